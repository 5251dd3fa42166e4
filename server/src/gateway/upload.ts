// A body that is a file: handed on as it arrives, at the pace at which it is read, with a clock that runs only while we wait for it.
import type { Socket } from 'node:net'
import type { Upload } from '@holdfast/contract'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { GatewayLimits } from '../platform/limits.ts'
import { Refused } from './problem.ts'

/** Whether a file that is announced can be taken. The operation has said in which media types it may be. */
export const checkCharset = (contentType: string): void => {
  const charset = /;\s*charset="?([^";\s]+)/i.exec(contentType)?.[1]
  if (charset === undefined || /^utf-?8$/i.test(charset)) return
  throw new Refused({ code: 'unsupported_media_type', detail: `The file must be in UTF-8, not in ${charset.slice(0, 40)}.` })
}

export type UploadDeps = {
  readonly limits: Pick<GatewayLimits, 'uploadIdleMs' | 'lingerMs' | 'admittedAgainMs'>
  /** Connections over which a file is being sent. */
  readonly uploading: WeakSet<Socket>
  readonly load: { readonly ending: boolean }
  /** Asked again and again while it arrives. */
  readonly isStillAdmitted: () => Promise<boolean>
}

export const uploadOf = (request: FastifyRequest, reply: FastifyReply, { limits, load, uploading, isStillAdmitted }: UploadDeps): Upload => {
  const { raw } = request
  const mediaType = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (mediaType === '') throw new Refused({ code: 'unsupported_media_type', detail: 'A file is needed, and its Content-Type.' })
  uploading.add(raw.socket)
  raw.once('close', () => uploading.delete(raw.socket))
  hearOut(request, reply, limits.lingerMs)
  return { mediaType, bytes: bytesOf(raw, { limits, isEnding: () => load.ending, isStillAdmitted }) }
}

/**
 * Whoever is refused while sending would not read why, if the door were shut in their face; and a proxy between us would tell them of a
 * bad gateway. What they still send is taken for a while, and thrown away.
 */
export const hearOut = ({ raw }: FastifyRequest, reply: FastifyReply, lingerMs: number): void => {
  reply.raw.once('finish', () => {
    if (raw.readableEnded || raw.destroyed) return
    raw.removeAllListeners('readable')
    raw.resume()
    const late = setTimeout(() => raw.destroy(), lingerMs)
    raw.once('close', () => clearTimeout(late))
  })
}

type Raw = FastifyRequest['raw']

type Patience = { readonly idleMs: number; readonly isEnding: () => boolean }
type Sending = Pick<UploadDeps, 'limits' | 'isStillAdmitted'> & { readonly isEnding: () => boolean }

async function* bytesOf(raw: Raw, { limits, isEnding, isStillAdmitted }: Sending): AsyncGenerator<Uint8Array> {
  // Not destroyed when nobody reads on: the answer still has to go out over it.
  const chunks = raw.iterator({ destroyOnReturn: false })
  let askedAt = performance.now()
  for (;;) {
    if (performance.now() - askedAt > limits.admittedAgainMs) {
      if (!(await isStillAdmitted()))
        throw new Refused({ code: 'unauthenticated', detail: 'Whoever sends this file may no longer send it. What was done is kept.' })
      askedAt = performance.now()
    }
    const next = await waitedFor(chunks.next(), { idleMs: limits.uploadIdleMs, isEnding })
    if (next.done) return
    yield next.value as Uint8Array // a request without an encoding gives bytes
  }
}

/** The next piece, unless it does not come, or this process has to go. */
const waitedFor = async <Result>(next: Promise<Result>, { idleMs, isEnding }: Patience): Promise<Result> => {
  if (isEnding()) throw abandoned(next, aboutToEnd())
  const sinceMs = performance.now()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setInterval(() => {
      if (isEnding()) reject(aboutToEnd())
      else if (performance.now() - sinceMs > idleMs)
        reject(new Refused({ code: 'invalid_request', detail: `Nothing of the file has come for ${idleMs / 1_000} seconds. ${GO_ON}` }))
    }, LOOK_MS)
  })
  try {
    return await Promise.race([next, late])
  } catch (error) {
    throw abandoned(next, error instanceof Refused ? error : new Refused({ code: 'invalid_request', detail: `The file broke off. ${GO_ON}` }))
  } finally {
    clearInterval(timer)
  }
}

/** Nobody waits for the piece any more, whatever becomes of it. */
const abandoned = (next: Promise<unknown>, why: Refused): Refused => {
  next.catch(() => undefined)
  return why
}

const LOOK_MS = 250
const aboutToEnd = () => new Refused({ code: 'unavailable', detail: `This process is about to end. ${GO_ON}` })
const GO_ON = 'What was done is kept: send the same file with the same Idempotency-Key, and it goes on from there.'

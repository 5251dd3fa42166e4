// Asks a role that runs in other processes. This is the only place between the edge and the database where anything is asked again.
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Operation, Upload } from '@holdfast/contract'
import { Pool as HttpPool, type Dispatcher } from 'undici'
import { retryBudget } from '../platform/retry-budget.ts'
import type { InsideLimits } from '../platform/limits.ts'
import type { Answer, Call } from '../services/service.ts'
import { CALL_PATH, LEFT_HEADER, linesOf, readAnswer, writeAsked } from './wire.ts'

export type RemoteRole = {
  ask(operation: Operation, input: unknown, call: Call): Promise<Answer<unknown>>
  stop(): Promise<void>
}

export type RemoteRoleDeps = {
  readonly role: string
  /** Of its processes. They are asked in turns. */
  readonly urls: readonly string[]
  readonly serviceKey: string
  readonly limits: InsideLimits
  readonly onFault: (error: unknown) => void
}

/** Nobody was there to take it: nothing was done, and another one may be asked. */
class NotTaken extends Error {}
/** It was sent, and no answer came: it may have been done or not. */
class Lost extends Error {}

export const remoteRole = ({ role, urls, serviceKey, limits, onFault }: RemoteRoleDeps): RemoteRole => {
  const processes = urls.map((url) => peer({ url, limits }))
  const budget = retryBudget({ share: limits.retryShare, most: limits.retriesMost })
  const headers = { authorization: `Bearer ${serviceKey}`, 'content-type': 'application/json' }
  let turn = 0
  /** Since when nobody has taken anything; undefined: somebody does. */
  let awaySince: number | undefined

  /** Those that are believed to be there, the next in turn first. */
  const inTurn = (): readonly Peer[] => {
    turn = (turn + 1) % processes.length
    return [...processes.slice(turn), ...processes.slice(0, turn)].filter((one) => one.isThere())
  }

  const exchange = async ({ http }: Peer, path: string, body: string | AsyncIterable<Uint8Array>, leftMs: number, signal: AbortSignal | undefined) => {
    let response: Dispatcher.ResponseData
    try {
      response = await http.request({
        path,
        method: 'POST',
        headers: { ...headers, [LEFT_HEADER]: String(Math.ceil(leftMs)) },
        body: typeof body === 'string' ? body : Readable.from(body, { objectMode: false }),
        ...(signal === undefined ? {} : { signal }),
      })
    } catch (error) {
      throw wasSent(error) ? new Lost(messageOf(error), { cause: error }) : new NotTaken(messageOf(error), { cause: error })
    }
    if (response.statusCode === 200) return response
    const said = await response.body.text().catch(() => '')
    // 401, 404, 503: a wrong key, another release, or one that has only begun. Nothing was done.
    if (response.statusCode !== 500) throw new NotTaken(`${role} answered ${response.statusCode}: ${said}`)
    throw new Error(`${role} failed: ${said}`)
  }

  /** One try at one process. */
  const tryOnce = async (to: Peer, { name, streams, bodyTypes }: Operation, { input, text, call, leftMs }: Try): Promise<Answer<unknown>> => {
    const path = `${CALL_PATH}${name}`
    if (streams === true) {
      const lines = linesOf((await exchange(to, path, text, leftMs, call.signal)).body)
      const first = await lines.next()
      if (first.done) throw new Lost('a stream ended before it began')
      const answer = readAnswer(first.value)
      return answer.ok ? { ...answer, body: eventsOf(lines) } : answer
    }
    // A file takes as long as its sender likes; whoever reads it here watches over its pace.
    if (bodyTypes !== undefined) return answerIn(await exchange(to, path, uploadOf(text, input as { readonly body: Upload }), leftMs, call.signal))
    const late = AbortSignal.timeout(Math.ceil(Math.min(leftMs, limits.tryMs)))
    return answerIn(await exchange(to, path, text, leftMs, call.signal === undefined ? late : AbortSignal.any([late, call.signal])))
  }
  const answerIn = async ({ body }: Dispatcher.ResponseData): Promise<Answer<unknown>> => {
    try {
      return readAnswer(await body.text())
    } catch (error) {
      throw new Lost(messageOf(error), { cause: error })
    }
  }

  const ask = async (operation: Operation, input: unknown, call: Call): Promise<Answer<unknown>> => {
    const isUpload = operation.bodyTypes !== undefined
    const text = writeAsked(isUpload ? withoutFile(input as { readonly body: Upload }) : input, call) // the gateway gives a file to what takes one
    // Whoever reads may read twice, and what has a key is done once.
    const isRepeatable = !isUpload && (operation.method === 'GET' || call.idempotencyKey !== undefined)
    const startedAt = performance.now()
    const until = Math.min(call.deadline ?? Number.POSITIVE_INFINITY, startedAt + limits.answerMs)
    budget.asked()
    for (;;) {
      for (const to of inTurn()) {
        const leftMs = until - performance.now()
        if (leftMs <= 0) return notDone(role)
        try {
          // A file can be sent only once, so it is sent to somebody who answers.
          if (isUpload && !(await to.answers())) throw new NotTaken(`${role} does not answer`)
          const answer = await tryOnce(to, operation, { input, text, call, leftMs })
          to.answered()
          awaySince = undefined
          return answer
        } catch (error) {
          if (call.signal?.aborted === true) return unknown(role)
          if (!(error instanceof Lost || error instanceof NotTaken)) throw error
          onFault(error)
          to.failed()
          if (error instanceof Lost && (!isRepeatable || !budget.spend())) return unknown(role)
        }
      }
      // Restarted, it is back in a moment, and nobody needs to notice. Away for longer, everybody is told at once.
      const now = performance.now()
      awaySince ??= now
      if (now - awaySince > limits.patienceMs || now >= until) return notDone(role)
      await sleep(limits.waitMs * (0.5 + Math.random()))
    }
  }

  return { ask, stop: async () => void (await Promise.all(processes.map((one) => one.stop()))) }
}

type Try = { readonly input: unknown; readonly text: string; readonly call: Call; readonly leftMs: number }

type Peer = {
  readonly http: HttpPool
  /** Whether it is worth asking: it is not when it failed several times, until it says that it is ready. */
  isThere(): boolean
  answers(): Promise<boolean>
  answered(): void
  failed(): void
  stop(): Promise<void>
}

/** One process. Whether it is back is found out beside the requests, so that none of them has to be the one that tries. */
const peer = ({ url, limits }: { readonly url: string; readonly limits: InsideLimits }): Peer => {
  const http = new HttpPool(new URL(url).origin, {
    connections: limits.connections,
    connect: { timeout: limits.connectMs },
    keepAliveTimeout: limits.idleMs,
    keepAliveMaxTimeout: limits.idleMs,
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  let failures = 0
  let probe: NodeJS.Timeout | undefined
  const answers = async (): Promise<boolean> => {
    try {
      const { statusCode, body } = await http.request({ path: '/readyz', method: 'GET', signal: AbortSignal.timeout(limits.probeAnswerMs) })
      await body.dump()
      return statusCode === 200
    } catch {
      return false
    }
  }
  const answered = () => {
    failures = 0
  }
  const look = () => {
    probe ??= setTimeout(() => {
      probe = undefined
      void answers().then((isBack) => (isBack ? answered() : look()))
    }, limits.probeMs).unref()
  }
  return {
    http,
    isThere: () => failures < limits.failures,
    answers,
    answered,
    failed: () => {
      failures += 1
      if (failures >= limits.failures) look()
    },
    stop: async () => {
      clearTimeout(probe)
      await http.destroy()
    },
  }
}

/** Whether anything may have reached the other side. A connection that was never made has carried nothing. */
const wasSent = (error: unknown): boolean => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return !/^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/.test(code)
}

const withoutFile = ({ body: { mediaType }, ...rest }: { readonly body: Upload }) => ({ ...rest, body: { mediaType } })

async function* uploadOf(text: string, { body: { bytes } }: { readonly body: Upload }): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${text}\n`)
  yield* bytes
}

async function* eventsOf(lines: AsyncIterable<string>): AsyncGenerator {
  for await (const line of lines) if (line !== '') yield JSON.parse(line)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const notDone = (role: string): Answer<never> => ({
  ok: false,
  refusal: { code: 'unavailable', detail: `${role} cannot be reached just now; nothing was done, try again`, retryAfterSeconds: 1 },
})
const unknown = (role: string): Answer<never> => ({
  ok: false,
  refusal: {
    code: 'unavailable',
    detail: `${role} went away while it was asked, and whether this was done is not known; the same request with the same key finds out`,
    retryAfterSeconds: 1,
  },
})

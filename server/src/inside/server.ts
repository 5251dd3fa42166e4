// Answers the other roles: calls of operations that run here, and how this process does. For the inside only, and with the service key.
import { hash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { allOperations, type Operation } from '@holdfast/contract'
import type { InsideLimits } from '../platform/limits.ts'
import { listen, type Where } from '../platform/listen.ts'
import type { Logger } from '../platform/log.ts'
import type { Answer, Call, Service } from '../services/service.ts'
import { CALL_PATH, LEFT_HEADER, STREAM_TYPE, readAsked, writeAnswer } from './wire.ts'

export type RoleState = { readonly name: string } & ReturnType<NonNullable<Service['state']>>

export type InsideDeps = {
  /** The handler of an operation that is answered in this process; undefined: it is not. */
  readonly handlerOf: (operation: Operation) => ((input: unknown, call: Call) => Promise<Answer<unknown>>) | undefined
  readonly ready: () => boolean
  readonly state: () => { readonly process: string; readonly roles: readonly RoleState[] }
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  /** Each of them is believed. */
  readonly serviceKeys: readonly string[]
  readonly limits: InsideLimits
  readonly log: Pick<Logger, 'warn' | 'error'>
}

export type Inside = {
  start(where: Where): Promise<{ readonly url: string }>
  /** Says goodbye with every answer, so that who asks next asks another. */
  drain(): void
  stop(): Promise<void>
}

export const inside = ({ handlerOf, ready, state, metrics, serviceKeys, limits, log }: InsideDeps): Inside => {
  const operations = new Map(allOperations.map((operation) => [operation.name, operation]))
  const expected = serviceKeys.map((key) => digest(`Bearer ${key}`))
  const underWay = new Set<Promise<void>>()
  const streams = new Set<AbortController>()
  let draining = false

  const send = (response: ServerResponse, status: number, text: string, type = 'application/json') => {
    if (response.destroyed) return
    response.writeHead(status, { 'content-type': type, ...(draining ? { connection: 'close' } : {}) }).end(text)
  }
  const say = (response: ServerResponse, status: number, message: string) => send(response, status, JSON.stringify({ message }))

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? ''
    if (path === '/healthz') return send(response, 200, '{"status":"alive"}')
    if (path === '/readyz') return !draining && ready() ? send(response, 200, '{"status":"ready"}') : say(response, 503, 'not ready')
    const given = digest(request.headers.authorization ?? '')
    if (!expected.some((one) => timingSafeEqual(given, one))) {
      // Nothing of what it sends is read.
      response.once('finish', () => request.destroy())
      return say(response, 401, 'the service key is wrong')
    }
    if (path === '/state') return send(response, 200, JSON.stringify(state()))
    if (path === '/metrics') return send(response, 200, await metrics.text(), metrics.contentType)
    const operation = path.startsWith(CALL_PATH) ? operations.get(path.slice(CALL_PATH.length)) : undefined
    const handle = operation && handlerOf(operation)
    if (operation === undefined || handle === undefined || request.method !== 'POST') return say(response, 404, `${path} is not answered here`)
    if (!ready() && !draining) return say(response, 503, 'not ready')
    await run(operation, handle, request, response)
  }

  const run = async (
    operation: Operation,
    handle: NonNullable<ReturnType<InsideDeps['handlerOf']>>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    if (operation.streams === true) {
      streams.add(gone)
      response.once('close', () => streams.delete(gone))
    }
    const leftMs = Number(request.headers[LEFT_HEADER] ?? limits.answerMs)
    const deadline = performance.now() + Math.min(limits.answerMs, leftMs)
    const asked = operation.bodyTypes === undefined ? readAsked(await textOf(request, limits.bodyBytes)) : await readUpload(request, limits.bodyBytes)
    const isLong = operation.streams === true || operation.bodyTypes !== undefined
    const call: Call = { ...asked.call, ...(isLong ? {} : { deadline }), signal: gone.signal }
    let given: Answer<unknown>
    try {
      given = await handle(asked.input, call)
    } catch (error) {
      if (response.destroyed) return
      // The caller's process tells of it once more, with the request that it was.
      log.error({ err: error, requestId: call.requestId, operation: operation.name }, 'a defect ended a call')
      return say(response, 500, 'a defect ended the call')
    }
    if (operation.streams === true && given.ok) await tell(given, response, gone.signal)
    // From here on it was done, whatever becomes of the answer: nothing may look as if it had not been taken.
    else send(response, 200, writeAnswer(given))
  }

  /** Events have no end; they end with their reader, or with us. Every now and then an empty line says that we are still here. */
  const tell = async ({ body, ...head }: Extract<Answer<unknown>, { ok: true }>, response: ServerResponse, ended: AbortSignal): Promise<void> => {
    response.writeHead(200, { 'content-type': STREAM_TYPE })
    response.write(`${JSON.stringify(head)}\n`)
    const heart = setInterval(() => void (response.writableNeedDrain || response.write('\n')), limits.heartbeatMs)
    const finish = () => response.end()
    ended.addEventListener('abort', finish, { once: true })
    try {
      for await (const event of body as AsyncIterable<unknown>) {
        // an operation that streams answers one
        if (ended.aborted) break
        if (!response.write(`${JSON.stringify(event)}\n`)) await once(response, 'drain', { signal: ended })
      }
    } finally {
      clearInterval(heart)
      ended.removeEventListener('abort', finish)
      response.end()
    }
  }

  const server = createServer({ keepAliveTimeout: limits.keepAliveMs, requestTimeout: 0, headersTimeout: limits.headersMs }, (request, response) => {
    const answering = answer(request, response)
      .catch((error: unknown) => {
        if (!response.destroyed && !response.headersSent)
          say(response, error instanceof TooLong ? 413 : 400, error instanceof Error ? error.message : 'unreadable')
        else response.destroy()
      })
      .finally(() => underWay.delete(answering))
    underWay.add(answering)
  })

  return {
    start: async (where) => ({ url: await listen(server, where) }),
    drain: () => void (draining = true),
    stop: async () => {
      draining = true
      for (const stream of streams) stream.abort()
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
      server.closeIdleConnections()
      const late = new AbortController()
      await Promise.race([Promise.all(underWay), sleep(limits.drainMs, undefined, { signal: late.signal }).catch(() => undefined)])
      late.abort()
      server.closeAllConnections()
      await closed
    },
  }
}

class TooLong extends Error {}

const digest = (text: string): Buffer => hash('sha256', text, 'buffer')

const textOf = async (pieces: AsyncIterable<Uint8Array>, most: number): Promise<string> => {
  const kept: Uint8Array[] = []
  let bytes = 0
  for await (const piece of pieces) {
    bytes += piece.length
    if (bytes > most) throw new TooLong(`a call of more than ${most} bytes`)
    kept.push(piece)
  }
  return Buffer.concat(kept).toString()
}

/** The call on the first line, and the file behind it, which is read as it arrives. */
const readUpload = async (request: IncomingMessage, most: number) => {
  const pieces = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array> // a request without an encoding gives bytes
  let head = Buffer.alloc(0)
  for (;;) {
    const next = await pieces.next()
    if (next.done) throw new Error('a file without its call')
    head = Buffer.concat([head, next.value])
    const end = head.indexOf(LINE_END)
    if (end < 0) {
      if (head.length > most) throw new TooLong(`a call of more than ${most} bytes`)
      continue
    }
    const { input, call } = readAsked(head.subarray(0, end).toString())
    const { body, ...rest } = input as { readonly body: { readonly mediaType: string } } // as the client wrote it
    return { call, input: { ...rest, body: { mediaType: body.mediaType, bytes: restOf(head.subarray(end + 1), pieces) } } }
  }
}
const LINE_END = 10

async function* restOf(first: Uint8Array, pieces: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first
  for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value
}

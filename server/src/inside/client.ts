// Asks a role that runs in other processes. This is the only place between the edge and the database where anything is asked again.
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Operation, Upload } from '@holdfast/contract'
import { Pool as HttpPool, type Dispatcher } from 'undici'
import { messageOf } from '../platform/error.ts'
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

/** Nobody took it: nothing was done, and another one may be asked. */
class NotTaken extends Error {}
/** It was sent, and no answer came: it may have been done or not. */
class Lost extends Error {}
/** Whoever sends a file broke off, or may no longer send it. That is nobody's fault here, and is told as it is. */
class SenderFailed extends Error {}

export const remoteRole = ({ role, urls, serviceKey, limits, onFault }: RemoteRoleDeps): RemoteRole => {
  /** Since when nobody has taken anything; undefined: somebody does. */
  let awaySince: number | undefined
  const processes = urls.map((url) => peer({ url, limits, onBack: () => (awaySince = undefined) }))
  const budget = retryBudget({ share: limits.retryShare, most: limits.retriesMost })
  const headers = { authorization: `Bearer ${serviceKey}`, 'content-type': 'application/json' }
  let turn = 0

  /** Those that are believed to be there, the next in turn first. */
  const inTurn = (): readonly Peer[] => {
    turn = (turn + 1) % processes.length
    return [...processes.slice(turn), ...processes.slice(0, turn)].filter((one) => one.isThere())
  }

  const exchange = async (to: Peer, { name }: Operation, body: string | Readable, { signal, leftMs, silentMs }: Exchange): Promise<Dispatcher.ResponseData> => {
    let response: Dispatcher.ResponseData
    try {
      response = await to.http.request({
        path: `${CALL_PATH}${name}`,
        method: 'POST',
        headers: { ...headers, [LEFT_HEADER]: String(Math.ceil(leftMs)) },
        body,
        bodyTimeout: silentMs,
        ...(signal === undefined ? {} : { signal }),
      })
    } catch (error) {
      throw wasSent(error) ? new Lost(messageOf(error), { cause: error }) : new NotTaken(messageOf(error), { cause: error })
    }
    // It is about to end, and takes what comes only until everybody knows.
    if (response.headers['connection'] === 'close') to.leaves()
    if (response.statusCode === 200) return response
    const said = await response.body.text().catch(() => '')
    // A wrong key, another release, or one that has only begun.
    if ([401, 404, 503].includes(response.statusCode)) throw new NotTaken(`${role} answered ${response.statusCode}: ${said}`)
    throw new Error(`${role} failed (${response.statusCode}): ${said}`)
  }

  /** One try at one process. */
  const tryOnce = async (to: Peer, operation: Operation, { input, text, call, tryMs }: Try): Promise<Answer<unknown>> => {
    if (operation.bodyTypes !== undefined) return sendFile(to, operation, input as { readonly body: Upload }, { text, call }) // the gateway gives a file to what takes one
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new Error(`no answer within ${Math.ceil(tryMs)} ms`)), tryMs)
    const signal = call.signal === undefined ? late.signal : AbortSignal.any([late.signal, call.signal])
    try {
      if (operation.streams !== true) {
        const { body } = await exchange(to, operation, text, { signal, leftMs: tryMs, silentMs: 0 })
        return readAnswer(await lostUnless(body.text()))
      }
      // Only its beginning has a time; then it says every now and then that it is still there.
      const lines = linesOf((await exchange(to, operation, text, { signal, leftMs: tryMs, silentMs: limits.silentMs })).body)
      const first = await lostUnless(lines.next())
      if (first.done) throw new Lost('a stream ended before it began')
      const answer = readAnswer(first.value)
      return answer.ok ? { ...answer, body: eventsOf(lines) } : answer
    } finally {
      clearTimeout(timer)
    }
  }

  /** A file takes as long as its sender likes, and can be sent once: whoever has begun to read it is the only one who can. */
  const sendFile = async (to: Peer, operation: Operation, { body }: { readonly body: Upload }, { text, call }: Pick<Try, 'text' | 'call'>) => {
    if (!(await to.answers())) throw new NotTaken(`${role} does not answer`)
    const sending = { hasBegun: false, failed: undefined as unknown }
    try {
      const file = Readable.from(fileOf(text, body, sending), { objectMode: false })
      const response = await exchange(to, operation, file, { signal: call.signal, leftMs: limits.answerMs, silentMs: 0 })
      return readAnswer(await lostUnless(response.body.text()))
    } catch (error) {
      if (sending.failed !== undefined) throw new SenderFailed('the sender of a file failed', { cause: sending.failed })
      throw error instanceof NotTaken && sending.hasBegun ? new Lost(error.message, { cause: error }) : error
    }
  }

  const ask = async (operation: Operation, input: unknown, call: Call): Promise<Answer<unknown>> => {
    const isUpload = operation.bodyTypes !== undefined
    const text = writeAsked(isUpload ? withoutFile(input as { readonly body: Upload }) : input, call) // the gateway gives a file to what takes one
    // Whoever reads may read twice, and what moves stock under a key is done once.
    const isRepeatable = !isUpload && (operation.method === 'GET' || (operation.movesStock && call.idempotencyKey !== undefined))
    const startedAt = performance.now()
    const until = Math.min(call.deadline ?? Number.POSITIVE_INFINITY, startedAt + limits.answerMs)
    let wasLost = false
    const noAnswer = () => (wasLost ? unknown(role) : notDone(role))
    budget.asked()
    for (;;) {
      for (const to of inTurn()) {
        const leftMs = until - performance.now()
        if (leftMs <= 0) return noAnswer()
        try {
          // What cannot be asked again is given all the time there is.
          const answer = await tryOnce(to, operation, { input, text, call, tryMs: isRepeatable ? Math.min(leftMs, limits.tryMs) : leftMs })
          to.answered()
          awaySince = undefined
          return answer
        } catch (error) {
          if (error instanceof SenderFailed) throw error.cause
          if (call.signal?.aborted === true) return unknown(role)
          if (!(error instanceof Lost || error instanceof NotTaken)) throw error
          onFault(error)
          to.failed()
          wasLost ||= error instanceof Lost
          if (error instanceof Lost && (!isRepeatable || !budget.spend())) return unknown(role)
        }
      }
      // Restarted, it is back in a moment, and nobody needs to notice. Away for longer, everybody is told at once.
      const now = performance.now()
      awaySince ??= now
      if (now - Math.min(awaySince, startedAt) > limits.patienceMs || now >= until) return noAnswer()
      await sleep(limits.waitMs * (0.5 + Math.random()))
    }
  }

  return { ask, stop: async () => void (await Promise.all(processes.map((one) => one.stop()))) }
}

type Try = { readonly input: unknown; readonly text: string; readonly call: Call; readonly tryMs: number }
/** `silentMs`: how long an answer that has begun may say nothing. 0: as long as it likes. */
type Exchange = { readonly signal: AbortSignal | undefined; readonly leftMs: number; readonly silentMs: number }

/** An answer that has begun and does not end. */
const lostUnless = async <Result>(arriving: Promise<Result>): Promise<Result> => {
  try {
    return await arriving
  } catch (error) {
    throw new Lost(messageOf(error), { cause: error })
  }
}

type Peer = {
  readonly http: HttpPool
  /** Whether it is worth asking: it is not when it failed several times or said that it ends, until it says that it is ready. */
  isThere(): boolean
  answers(): Promise<boolean>
  answered(): void
  failed(): void
  leaves(): void
  stop(): Promise<void>
}

/** One process. Whether it is back is found out beside the requests, so that none of them has to be the one that tries. */
const peer = ({ url, limits, onBack }: { readonly url: string; readonly limits: InsideLimits; readonly onBack: () => void }): Peer => {
  const { origin } = new URL(url)
  const options = { connect: { timeout: limits.connectMs }, keepAliveTimeout: limits.idleMs, keepAliveMaxTimeout: limits.idleMs, headersTimeout: 0 }
  // As many connections as there are calls, of which the edge has a limit: what waits in here for a connection would wait without one.
  const http = new HttpPool(origin, { ...options, connections: null })
  // Its health is asked for on a connection of its own, however many calls there are.
  const health = new HttpPool(origin, { ...options, connections: 1 })
  let failures = 0
  let isLeaving = false
  let isStopped = false
  let probe: NodeJS.Timeout | undefined

  const answers = async (): Promise<boolean> => {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), limits.probeAnswerMs)
    try {
      const { statusCode, body } = await health.request({ path: '/readyz', method: 'GET', signal: late.signal })
      await body.dump()
      return statusCode === 200
    } catch {
      return false
    } finally {
      clearTimeout(timer)
    }
  }
  const look = () => {
    if (isStopped) return
    probe ??= setTimeout(() => {
      void answers().then((isBack) => {
        probe = undefined
        if (!isBack) return look()
        failures = 0
        isLeaving = false
        onBack()
      })
    }, limits.probeMs).unref()
  }
  return {
    http,
    isThere: () => failures < limits.failures && !isLeaving,
    answers,
    answered: () => void (failures = 0),
    failed: () => {
      failures += 1
      if (failures >= limits.failures) look()
    },
    leaves: () => {
      isLeaving = true
      look()
    },
    stop: async () => {
      isStopped = true
      clearTimeout(probe)
      await Promise.all([http.destroy(), health.destroy()])
    },
  }
}

/** Whether anything may have reached the other side. A connection that was never made has carried nothing. */
const wasSent = (error: unknown): boolean => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return !/^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/.test(code)
}

const withoutFile = ({ body: { mediaType }, ...rest }: { readonly body: Upload }) => ({ ...rest, body: { mediaType } })

async function* fileOf(text: string, { bytes }: Upload, sending: { hasBegun: boolean; failed: unknown }): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${text}\n`)
  sending.hasBegun = true
  try {
    yield* bytes
  } catch (error) {
    sending.failed = error
    throw error
  }
}

async function* eventsOf(lines: AsyncIterable<string>): AsyncGenerator {
  for await (const line of lines) if (line !== '') yield JSON.parse(line)
}

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

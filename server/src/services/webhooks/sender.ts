// Sends what is due. All that must not be forgotten stands in the database: this keeps nothing but what is under way.
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeId, type Uuid } from '../../domain/ids.ts'
import type { WebhookLimits } from '../../platform/limits.ts'
import { loop } from '../../platform/loop.ts'
import type { Pool } from '../../storage/pool.ts'
import type { deliverer, Sent } from './deliver.ts'
import type { eventReader } from './read-events.ts'
import { nextWaitMs } from './schedule.ts'
import { claimDue, failed, giveBack, recordFailure, recordSuccess, succeeded, type Attempt, type Claimed } from './store.ts'

export type SenderDeps = {
  readonly pool: Pool
  readonly limits: WebhookLimits
  readonly readEvents: ReturnType<typeof eventReader>
  readonly deliver: ReturnType<typeof deliverer>
  readonly openSecrets: (endpoint: Uuid, sealed: Pick<Claimed, 'secret' | 'previousSecret'>) => readonly string[]
  readonly disable: (endpoint: Uuid, reason: 'gone' | 'failing') => Promise<void>
  readonly onFault: (error: unknown) => void
  /** Told of every attempt that came to an end. */
  readonly onAttempt: (delivered: boolean) => void
  /** From 0 up to but not 1. */
  readonly random: () => number
}

export type Sender = {
  start(): void
  /** Something is due now. */
  wake(): void
  stop(): Promise<void>
  underWay(): number
  /** Why what is due could not be taken last; null when it could. */
  failing(): string | null
}

export const sender = ({ pool, limits, readEvents, deliver, openSecrets, disable, onFault, onAttempt, random }: SenderDeps): Sender => {
  /** Each endpoint has room of its own, so that one that is slow keeps nobody waiting but itself. */
  const busy = new Map<Uuid, number>()
  /** Endpoints that were given as many as they had room for, so that there may be more. */
  const hungry = new Set<Uuid>()
  /** Not for every place that becomes free: half of them at a time is half the work. */
  const isHungry = (endpoint: Uuid): boolean => hungry.has(endpoint) && (busy.get(endpoint) ?? 0) <= limits.inFlight / 2
  const underWay = new Set<Promise<void>>()
  const givenUp = new AbortController()

  const step = async (): Promise<number> => {
    const before = new Map(busy)
    const due = await claimDue(pool, { busy: before, room: limits.inFlight, leaseMs: limits.leaseMs })
    // As they happened, as far as several at a time can be.
    const claimed = due.toSorted((a, b) => (a.event < b.event ? -1 : 1))
    const given = Map.groupBy(claimed, ({ endpoint }) => endpoint)
    for (const endpoint of new Set([...hungry, ...given.keys()])) {
      if ((given.get(endpoint)?.length ?? 0) + (before.get(endpoint) ?? 0) >= limits.inFlight) hungry.add(endpoint)
      else hungry.delete(endpoint)
    }
    if (claimed.length === 0) return limits.pollMs
    let events: Awaited<ReturnType<typeof readEvents>>
    try {
      events = await readEvents(claimed)
    } catch (error) {
      // Whether this can be written or not: the lease ends by itself.
      await giveBack(pool, claimed).catch(onFault)
      throw error
    }
    for (const one of claimed) {
      take(one.endpoint, 1)
      const sending = send(one, events.get(one.event))
        .catch(onFault)
        .finally(() => {
          underWay.delete(sending)
          take(one.endpoint, -1)
          if (isHungry(one.endpoint)) running.wake()
        })
      underWay.add(sending)
    }
    // They may have had room again before these were on their way.
    return [...hungry].some(isHungry) ? 0 : limits.pollMs
  }
  const running = loop({ step, onFault, afterFaultMs: limits.pollMs })

  const take = (endpoint: Uuid, more: number) => {
    const sending = (busy.get(endpoint) ?? 0) + more
    if (sending > 0) busy.set(endpoint, sending)
    else busy.delete(endpoint)
  }

  const send = async (claimed: Claimed, event: unknown): Promise<void> => {
    let sent: Sent
    try {
      sent = await attempt(claimed, event)
    } catch (error) {
      await giveBack(pool, [claimed])
      if (givenUp.signal.aborted) return
      throw error
    }
    onAttempt(sent.delivered)
    const log = [...claimed.log, sent.attempt].slice(-limits.attemptsKept)
    if (sent.delivered) {
      await recordSuccess(pool, claimed, log)
      if (claimed.failing) await succeeded(pool, claimed.endpoint)
      return
    }
    const waitMs = sent.gone ? null : nextWaitMs({ failures: claimed.failures + 1, retryAfterMs: sent.retryAfterMs, chance: random() }, limits)
    // Who is no longer the latest to have tried has nothing to say about the endpoint, either.
    if (!(await recordFailure(pool, claimed, { log, waitMs }))) return
    const isHopeless = await failed(pool, claimed.endpoint, limits)
    if (sent.gone) await disable(claimed.endpoint, 'gone')
    else if (isHopeless) await disable(claimed.endpoint, 'failing')
  }

  const attempt = (claimed: Claimed, event: unknown): Promise<Sent> | Sent => {
    if (event === undefined) return notSent(claimed, 'the event is no longer there')
    let secrets: readonly string[]
    try {
      secrets = openSecrets(claimed.endpoint, claimed)
    } catch (error) {
      onFault(error)
      return notSent(claimed, 'the secret was locked with a key that this server does not have')
    }
    return deliver({
      url: claimed.url,
      id: encodeId('event', claimed.event),
      payload: event,
      secrets,
      number: claimed.attempt,
      signal: givenUp.signal,
    })
  }

  return {
    start: running.start,
    wake: running.wake,
    stop: async () => {
      await running.stop()
      // What is under way is given a moment, and then given up: it is due again at once, here or elsewhere.
      const drained = new AbortController()
      await Promise.race([Promise.all(underWay), sleep(limits.drainMs, undefined, { signal: drained.signal })])
      drained.abort()
      givenUp.abort()
      await Promise.all(underWay)
    },
    underWay: () => underWay.size,
    failing: running.failing,
  }
}

const notSent = ({ attempt }: Claimed, error: string): Sent => {
  const log: Attempt = { number: attempt, started_at: new Date().toISOString(), duration_ms: 0, response_status: null, response_body: null, error }
  return { attempt: log, delivered: false, gone: false, retryAfterMs: null }
}

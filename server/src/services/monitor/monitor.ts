// The monitor role: asks everything how it does, again and again, and tells it in the words of those who use it. How everything
// stands is kept in memory, so that it is told while the database is what is down.
import { loop, stateOf } from '../../platform/loop.ts'
import type { Pool } from '../../storage/pool.ts'
import type { PartState, Service } from '../service.ts'
import { board } from './board.ts'
import type { Standing } from './component.ts'
import { databaseLook, ledgerLook, outboxLook, redisLook, standbyLook, type LookLimits } from './looks.ts'
import { round, type Look, type Probe } from './probe.ts'
import { rabbitLook, type RabbitLimits } from './rabbitmq.ts'
import { renderStatus } from './render.ts'
import type { Verification } from './store.ts'
import { telling } from './telling.ts'
import { verifier, waitAfter, type VerificationLimits } from './verification.ts'

export type MonitorDeps = {
  /** Each process of each role. */
  readonly probes: readonly Probe[]
  readonly pool: Pool
  /** With a longer patience, for verifying the books. */
  readonly verifyPool: Pool
  readonly redis?: { ping(): Promise<unknown> } | undefined
  /** The management API of RabbitMQ, what the names of our queues begin with, and how our own connection does. */
  readonly rabbitmq?: { readonly url: string; readonly prefix: string; readonly connection?: (() => PartState) | undefined } | undefined
  readonly limits: {
    readonly lookMs: number
    readonly askMs: number
    readonly againMs: number
    readonly changes: number
    readonly looks: LookLimits
    readonly rabbit: RabbitLimits
    readonly verification: VerificationLimits
  }
  readonly onFault: (error: unknown) => void
  readonly onVerified?: (verification: Verification) => void
  readonly now?: () => number
}

export type Monitor = Service<'monitor'> & {
  /** As it was at the last look, for what is counted. */
  standing(): readonly Standing[]
}

export const monitor = (deps: MonitorDeps): Monitor => {
  const { probes, pool, verifyPool, redis, rabbitmq, limits, onFault, onVerified = () => undefined, now = Date.now } = deps
  const everything = board({ now, most: limits.changes })
  // When a verification is overdue by as long again, it does not come by itself any more.
  const dueMs = (tookMs: number) => 2 * waitAfter(tookMs, limits.verification)
  const looks: readonly Look[] = [
    databaseLook(pool, limits.looks),
    standbyLook(pool, limits.looks),
    outboxLook(pool, limits.looks),
    ledgerLook(pool, { now, dueMs }),
    ...(redis ? [redisLook(redis)] : []),
    ...(rabbitmq ? [rabbitLook({ ...rabbitmq, limits: limits.rabbit })] : []),
  ]
  const look = round({ probes, looks, askMs: limits.askMs, onNotKnown: onFault })
  const stopped = new AbortController()
  const first = Promise.withResolvers<void>()
  let checkedAt = now()
  let isAgain = false

  const looking = loop({
    step: async () => {
      const from = now()
      const found = await look(stopped.signal)
      if (stopped.signal.aborted) return limits.lookMs
      const isSuspicious = everything.note(found)
      checkedAt = from
      tells.wake()
      // Once: what is otherwise every time would be looked at all the time.
      isAgain = isSuspicious && !isAgain
      if (!isAgain) first.resolve()
      return isAgain ? limits.againMs : Math.max(0, limits.lookMs - (now() - from))
    },
    onFault,
    afterFaultMs: limits.lookMs,
  })
  const tells = telling({ pool, board: everything, pollMs: limits.lookMs, onFault })
  const verifies = verifier({ pool, verifyPool, limits: limits.verification, now, onFault, onVerified })

  return {
    name: 'monitor',
    handlers: {
      status: {
        get: async () => {
          await first.promise
          return { ok: true, body: renderStatus(everything.standing(), checkedAt) }
        },
      },
      integrity: verifies.handlers,
    },
    start: async () => {
      looking.start()
      tells.start()
      verifies.start()
    },
    stop: async () => {
      stopped.abort()
      first.resolve()
      await Promise.all([looking.stop(), verifies.stop()])
      await tells.stop()
    },
    state: () => stateOf({ looking, 'telling what changed': tells, 'verifying the books': verifies }),
    standing: everything.standing,
  }
}

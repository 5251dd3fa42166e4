// What is looked at besides the roles, and what is found to be wrong with it. Each look is one question, and fails alone. Whoever may
// read the status reads what is said here: there is nothing in it of what is in stock, nor of who else is at the database.
import type { Pool } from '../../storage/pool.ts'
import { degraded, down, up, type Found } from './component.ts'
import type { Look } from './probe.ts'
import { lastVerification, lookAtDatabase, lookAtStandbys, outboxSeconds, type StandbySeen } from './store.ts'
import type { PartState } from '../service.ts'

export type LookLimits = {
  /** A transaction that somebody opened and forgot keeps its locks, and the database from tidying up. */
  readonly idleSeconds: number
  /** Ours give up after a second. */
  readonly blockedSeconds: number
  readonly standbyLagSeconds: number
  readonly outboxLateSeconds: number
  readonly outboxStuckSeconds: number
}

export const databaseLook = (pool: Pool, limits: LookLimits): Look => ({
  component: 'database',
  where: 'PostgreSQL',
  ask: async () => {
    const { isStandby, idle, blocked } = await lookAtDatabase(pool, limits)
    if (isStandby) return down('the server that answers is a standby: nothing can be written')
    const [forgotten, waiting] = [idle[0], blocked[0]]
    if (forgotten) return degraded(`a session has kept a transaction open and done nothing for ${forgotten.seconds} s`)
    if (waiting) return degraded(`${blocked.length} statements wait for locks, the first for ${waiting.seconds} s`)
    return up
  },
})

/** What the database tells of something else. When it is away, that is said of the database, and nothing is known of the other. */
const notKnown = () => 'not known' as const

/** Absent until there is one, or commits wait for one. From then on, one that has gone is missed. */
export const standbyLook = (pool: Pool, limits: LookLimits): Look => {
  let wasThere = false
  return {
    component: 'standby',
    where: 'PostgreSQL',
    ask: async () => {
      const { commitsWait, standbys } = await lookAtStandbys(pool)
      wasThere ||= standbys.length > 0
      if (commitsWait && !standbys.some(isSynchronous)) return down('commits wait for a standby, and none is connected that they could wait for')
      if (standbys.length > 0) return standbys.map((standby): Found => ({ where: standby.name, ...standbyState(standby, limits) }))
      return wasThere ? down('no standby is connected') : 'absent'
    },
    unanswered: notKnown,
  }
}
const isSynchronous = ({ state, syncState }: StandbySeen): boolean => state === 'streaming' && (syncState === 'sync' || syncState === 'quorum')
const standbyState = ({ state, syncState, lagSeconds }: StandbySeen, { standbyLagSeconds }: LookLimits): PartState => {
  if (state !== 'streaming') return degraded(`it is not up to date yet: ${state}`)
  return lagSeconds !== null && lagSeconds > standbyLagSeconds ? degraded(`it is ${Math.round(lagSeconds)} s behind (${syncState})`) : up
}

export const outboxLook = (pool: Pool, { outboxLateSeconds, outboxStuckSeconds }: LookLimits): Look => ({
  component: 'outbox',
  where: 'PostgreSQL',
  ask: async () => {
    const seconds = await outboxSeconds(pool)
    if (seconds <= outboxLateSeconds) return up
    const why = `the oldest event that was not told yet has waited for ${Math.round(seconds)} s`
    return seconds > outboxStuckSeconds ? down(why) : degraded(why)
  },
  unanswered: notKnown,
})

/** @param dueMs  how long after the last verification, by how long that took, there must be another one. Where there is none yet: after the start */
export const ledgerLook = (pool: Pool, { now, dueMs }: { readonly now: () => number; readonly dueMs: (tookMs: number) => number }): Look => {
  const startedAt = now()
  return {
    component: 'ledger',
    where: 'the last verification',
    ask: async () => {
      const { violations, verifiedAt, durationMs } = (await lastVerification(pool)) ?? { violations: [], verifiedAt: startedAt, durationMs: 0 }
      const [first] = violations
      if (first) return down(`${violations.length} places where the books do not agree; the first against the rule: ${first.rule}`)
      return now() - verifiedAt > dueMs(durationMs) ? degraded(`the books have not been verified since ${new Date(verifiedAt).toISOString()}`) : up
    },
    unanswered: notKnown,
  }
}

export const redisLook = (redis: { ping(): Promise<unknown> }): Look => ({
  component: 'redis',
  where: 'Redis',
  ask: async () => {
    await redis.ping()
    return up
  },
})

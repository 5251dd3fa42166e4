// What time itself brings: holds that are due give their stock back, old keys are forgotten, and months are made ahead.
import type { Ledger } from '../../ledger/ledger.ts'
import { loop, stateOf } from '../../platform/loop.ts'
import { readBacklog, type Backlog } from '../../storage/backlog.ts'
import { dueHolds } from '../../storage/holds.ts'
import { leader } from '../../storage/leader.ts'
import { forgetOldKeys } from '../../storage/idempotency.ts'
import { makeMonths } from '../../storage/months.ts'
import type { Pool } from '../../storage/pool.ts'
import type { Service } from '../service.ts'

export type TimersDeps = {
  readonly pool: Pool
  readonly ledger: Ledger
  readonly limits: {
    readonly sweepMs: number
    /** How often another process looks whether the leader is gone. */
    readonly leaderPollMs: number
    /** Due holds taken at a time. */
    readonly sweep: number
    readonly upkeepMs: number
    readonly keyAgeMs: number
    readonly keysForgotten: number
    readonly monthsAhead: number
    /** How often it is looked what waits, and how much of it is counted. */
    readonly lookMs: number
    readonly counted: number
  }
  /** Of a person who has gone. */
  readonly sessionIdleMs: number
  /** Told what waits to be done; nothing when that could not be found out. */
  readonly onBacklog: (backlog: Backlog | undefined) => void
  readonly onFault: (error: unknown) => void
}

export const timers = ({ pool, ledger, limits, sessionIdleMs, onBacklog, onFault }: TimersDeps): Service<'timers'> => {
  // So that several do not do the same. None of it would be wrong if two did: a hold ends once, and what is old is deleted once.
  const leadership = leader(pool, 'timers')
  /** Through the same ledger as everything else, so that a hold ends once, whoever else is at it. Expiry does not wait for this: it only makes reads right. */
  const sweep = async (): Promise<number> => {
    if ((await leadership.term()) === undefined) return limits.leaderPollMs
    const due = await dueHolds(pool, limits.sweep)
    const outcomes = await Promise.all(due.map((id) => ledger.submit({ command: { type: 'ExpireHold', id }, actor: 'system', requestId: 'sweep' })))
    // Where the ledger is overloaded or stopped, to ask again at once would only make it worse.
    return due.length === limits.sweep && outcomes.every((outcome) => outcome.ok) ? 0 : limits.sweepMs
  }
  const upkeep = async (): Promise<number> => {
    if ((await leadership.term()) === undefined) return limits.upkeepMs
    await makeMonths(pool, limits.monthsAhead)
    return (await forgetOldKeys(pool, limits.keyAgeMs, limits.keysForgotten)) === limits.keysForgotten ? 0 : limits.upkeepMs
  }
  const look = async (): Promise<number> => {
    const backlog = readBacklog(pool, { most: limits.counted, idleMs: sessionIdleMs })
    onBacklog(await backlog.catch(() => undefined))
    await backlog
    return limits.lookMs
  }
  const loops = {
    'expiring holds': loop({ step: sweep, onFault, afterFaultMs: limits.sweepMs * 4 }),
    // After a fault sooner than it is due: until it has been tried again, it is said to fail.
    upkeep: loop({ step: upkeep, onFault, afterFaultMs: Math.min(limits.upkeepMs, limits.lookMs) }),
    'looking what waits': loop({ step: look, onFault, afterFaultMs: limits.lookMs }),
  }
  return {
    name: 'timers',
    handlers: {},
    start: async () => {
      for (const each of Object.values(loops)) each.start()
    },
    stop: async () => {
      await Promise.all(Object.values(loops).map((each) => each.stop()))
      await leadership.resign()
    },
    state: () => stateOf(loops),
  }
}

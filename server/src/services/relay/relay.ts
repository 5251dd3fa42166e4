// The relay tells others what happened: it reads the outbox in the ledger's order, publishes, and removes what was taken.
import type { Bus } from '../../messaging/bus.ts'
import { eventsAfter } from '../../storage/events.ts'
import { leader } from '../../storage/leader.ts'
import { readOutbox, removeFromOutbox } from '../../storage/outbox.ts'
import type { Pool } from '../../storage/pool.ts'
import type { Service } from '../service.ts'
import { loop } from '../../platform/loop.ts'

export type RelayDeps = {
  readonly pool: Pool
  readonly bus: Bus
  readonly limits: { readonly rows: number; readonly events: number; readonly pollMs: number; readonly leaderPollMs: number }
  readonly onFault: (error: unknown) => void
}

export const relay = ({ pool, bus, limits, onFault }: RelayDeps): Service<'relay'> & { drain(): Promise<number> } => {
  const leadership = leader(pool, 'relay')

  /** Tells what is in the outbox now. Answers how many events were told. */
  const drain = async (): Promise<number> => {
    let told = 0
    for (;;) {
      const rows = await readOutbox(pool, limits.rows)
      for (const row of rows) {
        // A row's events are published in order, and a row that failed is published again from its start: at least once.
        for (let after = row.first - 1; after < row.last;) {
          const events = await eventsAfter(pool, { after, upTo: row.last, types: null, limit: limits.events })
          const last = events.at(-1)
          if (last === undefined) throw new Error(`outbox ${row.first}–${row.last}: no events after ${after}`)
          await bus.publish(events)
          after = last.sequence
          told += events.length
        }
        await removeFromOutbox(pool, [row.first])
      }
      if (rows.length < limits.rows) return told
    }
  }

  const running = loop({
    step: async () => {
      if (!(await leadership.isLeader())) return limits.leaderPollMs
      return (await drain()) > 0 ? 0 : limits.pollMs
    },
    onFault,
    afterFaultMs: limits.leaderPollMs,
  })
  return {
    name: 'relay',
    handlers: {},
    start: async () => running.start(),
    stop: async () => {
      await running.stop()
      await leadership.resign()
    },
    drain,
  }
}

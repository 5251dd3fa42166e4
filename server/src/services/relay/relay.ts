// The relay tells others what happened: it reads the outbox in the ledger's order, publishes, and removes what was taken.
import type { Bus } from '../../messaging/bus.ts'
import { eventsAfter } from '../../storage/events.ts'
import { leader } from '../../storage/leader.ts'
import { readOutbox, removeFromOutbox, type OutboxRow } from '../../storage/outbox.ts'
import type { Pool } from '../../storage/pool.ts'
import type { Service } from '../service.ts'
import { loop, stateOf } from '../../platform/loop.ts'

export type RelayDeps = {
  readonly pool: Pool
  readonly bus: Bus
  readonly limits: { readonly rows: number; readonly events: number; readonly pollMs: number; readonly leaderPollMs: number }
  readonly onFault: (error: unknown) => void
}

export const relay = ({ pool, bus, limits, onFault }: RelayDeps): Service<'relay'> & { drain(): Promise<number | undefined> } => {
  const leadership = leader(pool, 'relay')

  /** Tells what is in the outbox now. Answers how many of its rows have gone; nothing while another process leads. */
  const drain = async (): Promise<number | undefined> => {
    const term = await leadership.term()
    if (term === undefined) return undefined
    let gone = 0
    for (;;) {
      const rows = await readOutbox(pool, limits.rows)
      await tell(rows, term)
      gone += rows.length
      if (rows.length < limits.rows) return gone
    }
  }

  /** In order, many events at a time. A row goes when all its events were taken; one that failed is told again from its start. */
  const tell = async (rows: readonly OutboxRow[], term: number): Promise<void> => {
    const [first, last] = [rows[0], rows.at(-1)]
    if (first === undefined || last === undefined) return
    // Asked after the rows were read: whoever began to listen before something happened is there by now.
    if (!(await bus.isHeard())) return remove(rows, term)
    for (let after = first.first - 1; after < last.last;) {
      const events = await eventsAfter(pool, { after, upTo: last.last, types: null, limit: limits.events })
      const end = events.at(-1)
      if (end === undefined) throw new Error(`outbox ${first.first}–${last.last}: no events after ${after}`)
      await bus.publish(events)
      const told = rows.filter((row) => row.last > after && row.last <= end.sequence)
      if (told.length > 0) await remove(told, term)
      after = end.sequence
    }
  }
  const remove = async (rows: readonly OutboxRow[], term: number): Promise<void> => {
    const firsts = rows.map((row) => row.first)
    if (await removeFromOutbox(pool, firsts, term)) return
    // We slept, and somebody else leads. They tell what we have told once more, and that is all.
    await leadership.resign()
    throw new Error(`term ${term} of the relay is over`)
  }

  const running = loop({
    step: async () => {
      const gone = await drain()
      if (gone === undefined) return limits.leaderPollMs
      return gone > 0 ? 0 : limits.pollMs
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
    state: () => stateOf({ 'telling events': running }),
    drain,
  }
}

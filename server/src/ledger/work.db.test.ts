// Transfers, inbound shipments and counts on a real database: many at once, in both directions, while the shop goes on.
import { expect, test } from 'vitest'
import {
  announceInbound,
  approveCount,
  back,
  cancelCount,
  cancelInbound,
  cancelTransfer,
  counted,
  countItems,
  cup,
  dispatchTransfer,
  line,
  london,
  openCount,
  paris,
  planTransfer,
  pot,
  receiveInbound,
  receiveTransfer,
  tea,
} from '../../test/support/given.ts'
import {
  accepted,
  ask,
  byCallers,
  codeOf,
  digest,
  execution,
  expectBooksAgree,
  freshCell,
  hold,
  LEDGER,
  newId,
  place,
  receipt,
  rowsOf,
  sqlStatesOf,
  until,
  type Cell,
} from '../../test/support/ledger.ts'
import type { Command } from '../domain/decide.ts'
import { transaction } from '../storage/pool.ts'
import { itemNumber, type ItemNumber, type Uuid } from '../domain/ids.ts'
import type { LedgerStore } from '../storage/ledger-store.ts'
import type { Ledger, LedgerOutcome } from './ledger.ts'

const announcement = (lines: number | Parameters<typeof announceInbound>[1], rest: Parameters<typeof announceInbound>[2] = {}) =>
  announceInbound('', lines, { id: newId(), ...rest })

test('suppliers who announce the same names in another order do not wait for each other in a ring', async () => {
  const cell = await freshCell()
  const other = cell.another()
  const names = Array.from({ length: 9 }, (_, n) => digest(`po ${n}`)).toSorted()
  const announce = (item: ItemNumber, unique: Uuid) => ask(announcement([line(item, 1)], { unique }))

  // Somebody is about to take the name in the middle, and does not: until then both wait for it, with half of the names in hand.
  const outcomes = await transaction(cell.pool, async (connection) => {
    await connection.query(
      "insert into work_documents (id, kind, version, status, location_ids, unique_name, levels, body) values ($1, 'count', 1, 'open', '{}', $2, '[]', '{}')",
      [newId(), names[4]],
    )
    const asked = [...names.map((name) => cell.stock.submit(announce(tea, name))), ...names.toReversed().map((name) => other.submit(announce(cup, name)))]
    await until(async () => (await waitForLocks(cell)) === 2)
    await connection.query('delete from work_documents')
    return asked
  })
  const answers = await Promise.all(outcomes)

  expect(answers.filter((outcome) => outcome.ok)).toHaveLength(names.length)
  expect(new Set(answers.map(codeOf))).toEqual(new Set(['yes', 'already_announced']))
  expect(sqlStatesOf(cell.faults)).not.toContain('40P01')
  await expectBooksAgree(cell)
})

const waitForLocks = async ({ pool }: Cell): Promise<number> =>
  (
    await rowsOf(pool, "select from pg_stat_activity as a where a.datname = current_database() and a.application_name = $1 and a.wait_event_type = 'Lock'", [
      LEDGER,
    ])
  ).length

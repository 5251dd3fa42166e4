// An import that is interrupted at each place where it can be, and goes on: every unit is received once.
import { setTimeout as sleep } from 'node:timers/promises'
import { scopes } from '@holdfast/contract'
import { expect, onTestFinished, test } from 'vitest'
import { expectBooksAgree, freshCell, newId, rowsOf, until, type Cell } from '../../../test/support/ledger.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { limits } from '../../platform/limits.ts'
import { appendEvent } from '../../storage/events.ts'
import { openImport } from '../../storage/imports.ts'
import { insertLocation, setLocationSequence } from '../../storage/locations.ts'
import { transaction } from '../../storage/pool.ts'
import { Refused } from '../answer.ts'
import type { Call } from '../service.ts'
import { catalog } from './catalog.ts'
import { importHandlers, type ImportHandlers } from './imports.ts'
import { levelReader } from './level-reader.ts'

const ROWS = 45
const CHUNK = 10
const ERRORS_KEPT = 25

test.each(['before', 'after'] as const)('whatever chunk it is %s whose receipt the process dies, the stock is received once', async (when) => {
  for (let dies = 1; dies <= Math.ceil(ROWS / CHUNK); dies += 1) {
    const cell = await shop()
    const first = await imported(cell, { ledger: dyingAt(cell.stock, dies, when) })
    expect(first).toBe('unavailable')
    // A worker that died left no word, and the ledger has forgotten its keys long since.
    await cell.pool.query("update imports set worker = $1, working_until = clock_timestamp() - interval '1 second'", [newId()])
    await cell.pool.query('delete from idempotency_keys')
    expect(await imported(cell)).toMatchObject({ status: 'completed', rows_read: ROWS, items_created: ROWS, units_received: ROWS * 2 })
    await expectAllThere(cell)
  }
})

test('a dry run that is broken off leaves no notes behind: nobody comes back for them', async () => {
  const cell = await shop()
  const brokenOff = () => Promise.reject(new Refused('invalid_request', 'The file broke off.'))
  expect(await imported(cell, { dryRun: true, beforePiece: (piece) => (piece === 2 ? brokenOff() : undefined) })).toBe('invalid_request')
  expect(await rowsOf(cell.pool, 'select p.rows_read > 0 as begun, (select count(*) from import_items) as notes from imports as p')).toEqual([
    { begun: true, notes: 0 },
  ])
})

test('whoever comes in the moment in which another begins the same is told that it is being done, and not that the key is for something else', async () => {
  const { pool } = await shop()
  const key = { key: newId(), fingerprint: newId() }
  const opening = () =>
    ({ id: newId(), key, worker: newId(), leaseMs: 60_000, request: { format: 'csv', dryRun: false, onExisting: 'refuse', location: null } }) as const
  expect((await openImport(pool, opening())).is).toBe('mine')
  // As if it had not been there yet when the second one looked for it, and then was.
  await pool.query('update imports set key = null')
  const between = await pool.connect()
  onTestFinished(() => between.release(true))
  await between.query('begin; lock table idempotency_keys in access exclusive mode')
  const second = openImport(pool, opening())
  await until(async () => {
    const { rows } = await pool.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
    return rows.length > 0
  })
  await between.query('update imports set key = $1', [key.key])
  await between.query('commit')

  expect(await second).toMatchObject({ is: 'in use' })
  expect(await openImport(pool, { ...opening(), key: { ...key, fingerprint: newId() } })).toEqual({ is: 'reused' })
})

test('a worker that another has taken over from does nothing more', async () => {
  const cell = await shop()
  const stolen = await imported(cell, { beforePiece: (piece) => (piece === 2 ? cell.pool.query('update imports set worker = $1', [newId()]) : undefined) })
  expect(stolen).toBe('idempotency_key_in_use')
  const [far] = await rowsOf<{ rows_read: number }>(cell.pool, 'select p.rows_read from imports as p')
  const done = far?.rows_read ?? 0
  expect(done).toBeLessThan(ROWS)
  expect(await rowsOf(cell.pool, 'select count(*) as items from items as i')).toEqual([{ items: done }])
  await cell.pool.query('update imports set worker = null, working_until = null')
  expect(await imported(cell)).toMatchObject({ status: 'completed', units_received: ROWS * 2 })
  await expectAllThere(cell)
})

test('a chunk that the database refuses for somebody else is done again, and once', async () => {
  const cell = await shop()
  // Somebody makes one of its items in the middle of it: the item is there then, and its row is refused.
  const made = await imported(cell, {
    beforePiece: (piece) => (piece === 1 ? makeItem(cell, `SKU-${ROWS - 1}`) : undefined),
  })
  expect(made).toMatchObject({ status: 'completed', items_created: ROWS - 1, rows_failed: 1, units_received: (ROWS - 1) * 2 })
  await expectBooksAgree(cell)
})

test('of a file that is wrong from end to end every row is counted, and the reasons of the first are kept', async () => {
  const cell = await shop()
  for (let index = 0; index < ROWS; index += 1) await makeItem(cell, `SKU-${index}`)
  expect(await imported(cell)).toMatchObject({ status: 'completed', rows_read: ROWS, rows_failed: ROWS, units_received: 0 })
  expect(await rowsOf(cell.pool, 'select count(*) as kept, max(e.row_number) as last from import_errors as e')).toEqual([
    { kept: ERRORS_KEPT, last: ERRORS_KEPT },
  ])
})

const shop = async (): Promise<Cell> => {
  const cell = await freshCell()
  await transaction(cell.pool, async (connection) => {
    const fields = {
      code: 'LON',
      name: 'London',
      kind: 'warehouse',
      priority: 1,
      address: null,
      latitude: null,
      longitude: null,
      metadata: {},
      status: 'active',
    } as const
    const { number, version } = await insertLocation(connection, fields)
    const subject = { kind: 'location', id: 'LON', version }
    await setLocationSequence(
      connection,
      number,
      await appendEvent(connection, { type: 'location.created', subject, actor: 'test', requestId: 'test', data: {} }),
    )
  })
  return cell
}

const makeItem = ({ pool }: Cell, sku: string) =>
  pool.query("insert into items (sku, name, sequence, created_at, updated_at) values ($1, 'Made meanwhile', 0, now(), now())", [sku])

/** A ledger whose process dies at its n-th receipt: before it is written, or after that but before anybody hears of it. */
const dyingAt = (stock: Ledger, dies: number, when: 'before' | 'after'): Ledger => {
  let receipts = 0
  return {
    ...stock,
    submit: async (request) => {
      receipts += 1
      if (receipts < dies) return stock.submit(request)
      if (receipts === dies && when === 'after') await stock.submit(request)
      return { ok: false, rejection: { code: 'unavailable' }, sequence: 0, replayed: false }
    },
  }
}

/** Sends the file under its key, a piece at a time. Answers what became of it, or the code of the refusal. */
const imported = async (
  { pool, stock }: Cell,
  {
    ledger = stock,
    beforePiece,
    dryRun = false,
  }: { readonly ledger?: Ledger; readonly beforePiece?: (piece: number) => Promise<unknown> | undefined; readonly dryRun?: boolean } = {},
): Promise<unknown> => {
  const items = catalog({ pool, limits: { ...limits.catalog, reads: limits.reads }, onFault: () => undefined })
  await items.start()
  onTestFinished(() => items.stop())
  const handlers: ImportHandlers = importHandlers({
    ledger,
    pool,
    catalog: items,
    readLevels: levelReader({ pool, limits: limits.reads }),
    readAvailability: () => expect.unreachable('an import reads no availability'),
    newId,
    ttl: { defaultSeconds: 1, longestSeconds: 1 },
    nextExpiryLimits: limits.nextExpiry,
    wait: sleep,
    imports: {
      limits: { ...limits.imports, chunkRows: CHUNK, errors: ERRORS_KEPT },
      rows: { faultsOf: () => [], parse: (text) => ({ row: JSON.parse(text) as unknown }) },
      onFault: () => undefined,
    },
  })
  const text = `sku,name,quantity,location\n${Array.from({ length: ROWS }, (_, index) => `SKU-${index},Item,2,LON\n`).join('')}`
  async function* bytes() {
    for (const [index, piece] of (text.match(/[^]{1,300}/g) ?? []).entries()) {
      await beforePiece?.(index)
      yield Buffer.from(piece)
    }
  }
  const call: Call = {
    caller: { principal: 'shop', scopes: new Set(scopes), locations: null },
    origin: { address: '127.0.0.1', userAgent: null },
    requestId: 'req_test',
    idempotencyKey: 'catalogue',
  }
  try {
    const answer = await handlers.run({ params: {}, query: dryRun ? { dry_run: true } : {}, body: { mediaType: 'text/csv', bytes: bytes() } }, call)
    return answer.ok ? answer.body : answer.refusal.code
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return error.refusal.code
  }
}

const expectAllThere = async (cell: Cell): Promise<void> => {
  expect(await rowsOf(cell.pool, 'select count(*) as levels, sum(l.available)::int as available, max(l.available) as most from stock_levels as l')).toEqual([
    { levels: ROWS, available: ROWS * 2, most: 2 },
  ])
  // Told once, and known by the event that told of it, by which other processes hear of it.
  expect(await rowsOf(cell.pool, "select count(*) as created from events as e where e.type = 'item.created'")).toEqual([{ created: ROWS }])
  const told = 'select count(*) as told from items as i join events as e on e.sequence = i.sequence and e.subject_id = i.sku'
  expect(await rowsOf(cell.pool, told)).toEqual([{ told: ROWS }])
  expect(await rowsOf(cell.pool, 'select count(*) as notes from import_items as d')).toEqual([{ notes: 0 }])
  await expectBooksAgree(cell)
}

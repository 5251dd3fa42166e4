// A small shop's history, made by hand and without a fault in it: each test spoils one thing and sees it found.
import type { Attempt, Operation } from '../history.ts'
import { evidenceOf, type Evidence } from './evidence.ts'
import type { AllocationRow, EntryRow, EventRow, HoldRow, KeyRow, Snapshot } from './snapshot.ts'

/** What a test may spoil: the same as a snapshot and a history, but not read-only. */
export type Books = {
  operations: Operation[]
  entries: EntryRow[]
  levels: Snapshot['levels'][number][]
  holds: HoldRow[]
  events: EventRow[]
  keys: KeyRow[]
  deliveries: Snapshot['deliveries'][number][]
  parked: string[]
  head: number
  nowMs: number
}

export const START_MS = 1_000_000
const ITEM = 1
const LOCATION = 1
const HOLD = 'hold_00000000000000000000000001'
const HOLD_UUID = '00000000-0000-0000-0000-000000000001'
const PLACES = { available: 1, held: 2, committed: 3, supplier: 20 } as const
const ns = (ms: number) => ms * 1e6

/**
 * Ten are received (0 to 10 ms), four of them held (20 to 30), three executed and one given back (40 to 50); in between two look, and one
 * who wants seven is refused.
 */
export const books = (): Books => {
  const operations: Operation[] = []
  const ask = (action: Operation['action'], fromMs: number, toMs: number, answer: Partial<Attempt>, more: Partial<Operation> = {}): Operation => {
    const i = operations.length
    const made: Operation = {
      i,
      action,
      key: ['availability', 'levels', 'level-list'].includes(action) ? null : `key-${i}`,
      args: { path: '/', body: {} },
      subject: null,
      again: null,
      race: null,
      attempts: [],
      ...more,
    }
    made.attempts.push(attempt(made, fromMs, toMs, answer))
    operations.push(made)
    return made
  }
  const allocation = (counts: Partial<AllocationRow>): AllocationRow => ({
    item: ITEM,
    location: LOCATION,
    quantity: 4,
    held: 0,
    committed: 0,
    shipped: 0,
    released: 0,
    ...counts,
  })
  const wireHold = (version: number, counts: object) => ({
    id: HOLD,
    lines: [{ sku: 'TEA', quantity: 4, held: 0, committed: 0, released: 0, allocations: [{ location: 'A', quantity: 4, level_version: version }], ...counts }],
  })
  ask('receive', 0, 10, { body: { object: 'receipt' }, sequence: 1 }, { args: { path: '/v1/receipts', body: { lines: [{ sku: 'TEA', quantity: 10 }] } } })
  ask('hold', 20, 30, { body: wireHold(2, { held: 4 }), sequence: 2 }, { args: { path: '/v1/holds', body: { lines: [{ sku: 'TEA', quantity: 4 }] } } })
  ask('levels', 31, 33, {
    sequence: 2,
    body: {
      sku: 'TEA',
      locations: [{ sku: 'TEA', location: 'A', version: 2, available: 6, held: 4, committed: 0, damaged: 0, quality_control: 0, incoming: 0 }],
    },
  })
  ask('hold', 34, 36, {
    outcome: 'fail',
    status: 409,
    body: { code: 'insufficient_stock', shortages: [{ sku: 'TEA', location: 'A', requested: 7, available: 6, level_version: 2 }] },
  })
  ask('execute', 40, 50, { body: wireHold(3, { committed: 3, released: 1 }), sequence: 3 }, { subject: HOLD })
  ask('availability', 60, 61, { sequence: 3, body: { sku: 'TEA', stale: false, locations: [{ location: 'A', available_to_sell: 7, level_version: 3 }] } })

  const entry = (sequence: number, version: number, quantity: number, from: keyof typeof PLACES, to: keyof typeof PLACES): EntryRow => ({
    sequence,
    item: ITEM,
    location: LOCATION,
    version,
    quantity,
    from: PLACES[from],
    to: PLACES[to],
    documentKind: 1,
    document: HOLD_UUID,
    atMs: START_MS + [0, 5, 25, 45][sequence]!,
  })
  const event = (sequence: number, type: string, i: number, subject: string, version: number, hold: EventRow['hold']): EventRow => ({
    sequence,
    type,
    subjectKind: type.startsWith('hold') ? 'hold' : 'receipt',
    subject,
    subjectVersion: version,
    actor: 'tester',
    requestId: `torture-${i}-1`,
    atMs: START_MS + [0, 5, 25, 45][sequence]!,
    xmin: String(700 + sequence),
    hold,
  })
  const executed = allocation({ committed: 3, released: 1 })
  return {
    operations,
    entries: [
      entry(1, 1, 10, 'supplier', 'available'),
      entry(2, 2, 4, 'available', 'held'),
      entry(3, 3, 3, 'held', 'committed'),
      entry(3, 3, 1, 'held', 'available'),
    ],
    levels: [
      {
        item: ITEM,
        location: LOCATION,
        counts: { available: 7, held: 0, committed: 3, damaged: 0, quality_control: 0, incoming: 0 },
        safetyStock: 0,
        version: 3,
      },
    ],
    holds: [
      {
        id: HOLD_UUID,
        version: 2,
        status: 'executed',
        expiresAtMs: START_MS + 900,
        createdAtMs: START_MS + 25,
        endedAtMs: START_MS + 45,
        allocations: [executed],
      },
    ],
    events: [
      event(1, 'stock.received', 0, 'receipt', 1, null),
      event(2, 'hold.placed', 1, HOLD_UUID, 1, { expiresAtMs: START_MS + 900, status: 'active', allocations: [allocation({ held: 4 })] }),
      event(3, 'hold.executed', 4, HOLD_UUID, 2, { expiresAtMs: START_MS + 900, status: 'executed', allocations: [executed] }),
    ],
    keys: [1, 2, 3].map((sequence) => ({ key: `key ${sequence}`, sequence, replays: 0, xmin: String(700 + sequence) })),
    deliveries: [1, 2, 3].map((sequence) => ({ event: eventUuid(sequence), status: 'delivered', failures: 0, inFuture: false })),
    parked: [],
    head: 3,
    nowMs: START_MS + 2_000,
  }
}

/** An event's uuid ends with its sequence. */
const eventUuid = (sequence: number) => `00000000-0000-7000-8000-${String(sequence).padStart(12, '0')}`

export const attempt = (operation: Pick<Operation, 'i' | 'attempts'>, fromMs: number, toMs: number | null, answer: Partial<Attempt>): Attempt => ({
  try: operation.attempts.length + 1,
  node: 'a',
  requestId: `torture-${operation.i}-${operation.attempts.length + 1}`,
  invNs: ns(fromMs),
  compNs: toMs === null ? null : ns(toMs),
  outcome: 'ok',
  status: 200,
  body: {},
  sequence: null,
  replayed: false,
  ...answer,
})

export const evidence = ({ operations, ...rows }: Books, { clockWasSet = false } = {}): Evidence =>
  evidenceOf({ operations, startedAtMs: START_MS }, { ...rows, outbox: [], skus: new Map([[ITEM, 'TEA']]), codes: new Map([[LOCATION, 'A']]) }, { clockWasSet })

/** The first of those that are so; it must be there. */
export const first = <Thing>(things: readonly Thing[], isIt: (thing: Thing) => boolean): Thing => {
  const found = things.find(isIt)
  if (found === undefined) throw new Error('there is none')
  return found
}

/** Changes one of the rows in its place. */
export const change = <Row extends object>(rows: Row[], isIt: (row: Row) => boolean, by: Partial<Row>): void => {
  const place = rows.findIndex(isIt)
  const row = rows[place]
  if (row === undefined) throw new Error('there is none')
  rows[place] = { ...row, ...by }
}

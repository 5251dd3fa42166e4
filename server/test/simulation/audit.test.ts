// An auditor that never objects is no auditor. So for each of its rules the evidence of a faultless history is forged, and it must object.
import { beforeAll, expect, test } from 'vitest'
import type { Hold } from '../../src/domain/hold.ts'
import type { Rejection } from '../../src/domain/rejection.ts'
import type { TransferLine } from '../../src/domain/transfer.ts'
import { instant } from '../../src/domain/instant.ts'
import { audit, rules, type Evidence, type Rule } from './audit.ts'
import type { EventRow } from './database.ts'
import type { Asked, Attempt, Operation } from './history.ts'
import { run } from './simulation.ts'

/** Histories from which the forger chooses: not everything happens in each of them. */
const HISTORIES = 400

const faultless: Evidence[] = []
beforeAll(async () => {
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const { evidence, failures } = await run(seed)
    expect(failures).toEqual([])
    faultless.push(evidence)
  }
})

/** The effect stands, and something else was asked for. */
const askedOtherwise = (
  wishes: readonly (readonly [what: string, type: string, wish: (command: Asked) => Asked | false])[],
): (readonly [string, Rule, Forger])[] =>
  wishes.map(([what, type, wish]) => [
    what,
    'the effect is what was asked',
    (evidence) =>
      [...evidence.rows.events.values()].some((event) => {
        const index =
          event.type === type ? evidence.history.operations.findIndex(({ attempts }) => attempts.some(({ requestId }) => requestId === event.requestId)) : -1
        const operation = evidence.history.operations[index]
        const otherwise = operation === undefined ? false : wish(operation.command)
        if (operation === undefined || otherwise === false) return false
        evidence.history.operations[index] = { ...operation, command: otherwise }
        return true
      }),
  ])

type Refused<Code> = Extract<Rejection, { code: Code }>
const isRefusedFor =
  (code: Rejection['code']) =>
  ({ outcome }: Attempt): boolean =>
    outcome?.ok === false && !outcome.replayed && outcome.rejection.code === code

/** Another refusal in the place of the first of that kind. */
const changeRefusal = <Code extends Rejection['code']>(
  { operations }: Evidence['history'],
  code: Code,
  forge: (rejection: Refused<Code>) => Rejection,
): boolean =>
  operations.some(({ attempts }) =>
    change(
      attempts,
      isRefusedFor(code),
      (attempt): Attempt =>
        attempt.outcome?.ok === false ? { ...attempt, outcome: { ...attempt.outcome, rejection: forge(attempt.outcome.rejection as Refused<Code>) } } : attempt, // of that code
    ),
  )

const withLines = (event: EventRow, forge: (line: TransferLine) => TransferLine): EventRow =>
  event.data.kind === 'transfer'
    ? { ...event, data: { ...event.data, transfer: { ...event.data.transfer, lines: event.data.transfer.lines.map(forge) } } }
    : event

const hasEffect = ({ attempts }: Operation, { events }: Evidence['rows']): boolean =>
  [...events.values()].some((event) => attempts.some(({ requestId }) => requestId === event.requestId))

/** Forges the evidence, or says that there is nothing of that kind in this history. */
type Forger = (evidence: Evidence) => boolean | { thresholdsOf: Evidence['thresholdsOf'] }

const forgeries: readonly (readonly [what: string, Rule, Forger])[] = [
  [
    'a unit more stands in a level than came in',
    'units are neither made nor lost',
    ({ rows }) =>
      replace(
        rows.levels,
        () => true,
        (level) => ({ ...level, available: level.available + 1 }),
      ),
  ],
  [
    'two units have changed their state without an entry',
    'a level is the sum of its entries',
    ({ rows }) =>
      replace(
        rows.levels,
        ({ available }) => available > 1,
        (level) => ({ ...level, available: level.available - 2, damaged: level.damaged + 2 }),
      ),
  ],
  ['an entry is gone', 'each version of a level is one command’s', ({ rows }) => rows.entries.splice(0, 1).length === 1],
  [
    'more was taken than was there',
    'no state of a level was ever below zero',
    ({ rows }) =>
      change(
        rows.entries,
        ({ from }) => from === 'available',
        (entry) => ({ ...entry, quantity: entry.quantity + 1_000 }),
      ),
  ],
  [
    'more was to be kept back',
    'no more is promised than may be sold',
    ({ rows }) => rows.entries.some(({ to }) => to === 'held') && { thresholdsOf: () => ({ safetyStock: 1_000, reorderPoint: null }) },
  ],
  [
    'a level holds what no hold holds',
    'what is held is what holds hold',
    ({ rows }) =>
      replace(
        rows.levels,
        ({ available }) => available > 0,
        (level) => ({ ...level, available: level.available - 1, held: level.held + 1 }),
      ),
  ],
  [
    'a hold has lost a unit',
    'the lines of a hold add up',
    ({ rows }) =>
      replace(
        rows.holds,
        () => true,
        (hold): Hold => ({ ...hold, allocations: hold.allocations.map((allocation) => ({ ...allocation, quantity: allocation.quantity - 1 })) }),
      ),
  ],
  ['an event is gone', 'sequences have no gaps', ({ rows }) => rows.events.delete(rows.head.sequence)],
  ['the reader has missed an event', 'a reader sees no gaps', ({ history }) => history.told.splice(1, 1).length === 1],
  ['a batch of events was never to be told', 'every event is told once', ({ rows }) => rows.outbox.splice(0, 1).length === 1],
  [
    'an event says that it was two later',
    'versions of a subject have no gaps',
    ({ rows }) =>
      replace(
        rows.events,
        ({ type }) => type === 'hold.released',
        (event) => ({ ...event, subject: { ...event.subject, version: event.subject.version + 2 } }),
      ),
  ],
  [
    'an event was of before the one that it follows',
    'time runs forward along versions',
    ({ rows }) =>
      replace(
        rows.events,
        ({ subject }) => subject.version === 2,
        (event) => ({ ...event, occurredAt: 0 }),
      ),
  ],
  [
    'a hold was released after it had ended',
    'a hold ends once',
    ({ rows }) => {
      const ended = find(
        rows.events.values(),
        ({ data, type }) => type === 'hold.released' && data.kind === 'hold' && rows.holds.get(data.hold.id)?.version === data.hold.version,
      )
      if (ended?.data.kind !== 'hold') return false
      const version = ended.data.hold.version + 1
      const again: Hold = { ...ended.data.hold, version, status: 'expired', endedAt: ended.data.hold.expiresAt }
      rows.head.sequence += 1
      rows.events.set(rows.head.sequence, {
        ...ended,
        sequence: rows.head.sequence,
        subject: { ...ended.subject, version },
        data: { kind: 'hold', hold: again },
      })
      return true
    },
  ],
  [
    'a hold was executed at the instant of its expiry',
    'nothing is done with a hold from its expiry on',
    ({ rows }) => replace(rows.events, isExecution, (event) => ({ ...event, occurredAt: expiryOf(event) })),
  ],
  [
    'an execution was asked for when the hold was over',
    'an execution is granted only before the expiry',
    (evidence) =>
      withEffect(evidence, isExecution, (operation, event) => {
        const invokedAt = expiryOf(event) - (evidence.readings[0]?.offset ?? 0)
        for (const [index, attempt] of operation.attempts.entries()) operation.attempts[index] = { ...attempt, invokedAt, completedAt: invokedAt + 1 }
        return evidence.readings.length === 1
      }),
  ],
  [
    'a hold expired a millisecond early',
    'a hold expires only when it is due',
    ({ rows }) =>
      replace(
        rows.events,
        ({ type }) => type === 'hold.expired',
        (event) => ({ ...event, occurredAt: expiryOf(event) - 1 }),
      ),
  ],
  [
    'two effects had the same key',
    'a key has at most one effect',
    (evidence) =>
      withEffect(
        evidence,
        ({ sequence }) => sequence === 1,
        (first) =>
          withEffect(
            evidence,
            ({ sequence, actor }) => sequence > 1 && actor !== 'system',
            (second) => {
              for (const [index, attempt] of second.attempts.entries()) second.attempts[index] = { ...attempt, key: first.attempts[0]?.key ?? attempt.key }
              return true
            },
          ),
      ),
  ],
  [
    'one wish had two effects',
    'what is wanted once is done once',
    ({ rows }) => {
      const first = find(rows.events.values(), ({ actor }) => actor !== 'system')
      return replace(
        rows.events,
        ({ actor, sequence }) => actor !== 'system' && sequence !== first?.sequence,
        (event) => ({ ...event, requestId: first?.requestId ?? '' }),
      )
    },
  ],
  [
    'an effect has lost its key',
    'an effect has its key and a key its effect',
    ({ rows }) => rows.keys.delete(find(rows.keys.values(), ({ sequence }) => sequence !== null)?.key ?? uuidOfNobody),
  ],
  [
    'what was answered is not what stands',
    'what was acknowledged stands as it was told',
    ({ rows }) =>
      replace(
        rows.events,
        ({ type }) => type === 'stock.received',
        (event) => (event.data.kind === 'receipt' ? { ...event, data: { ...event.data, receipt: { ...event.data.receipt, lines: [] } } } : event),
      ),
  ],
  [
    'who was told no had an effect',
    'what was refused has no effect',
    (evidence) =>
      withEffect(
        evidence,
        ({ actor }) => actor !== 'system',
        (operation, event) =>
          change(
            operation.attempts,
            ({ requestId }) => requestId === event.requestId,
            (attempt): Attempt => ({
              ...attempt,
              outcome: { ok: false, rejection: { code: 'insufficient_stock', shortages: [] }, sequence: 1, replayed: false },
            }),
          ),
      ),
  ],
  [
    'a key was decided twice',
    'a key has one answer',
    ({ history }) =>
      history.operations.some((operation) => {
        const decided = operation.attempts.find(({ outcome }) => outcome?.ok === true && !outcome.replayed)
        if (decided === undefined || operation.dryRun) return false
        operation.attempts.push({ ...decided, requestId: `${decided.requestId} again` })
        return true
      }),
  ],
  [
    'the owner of a key was told that it is another’s',
    'a key belongs to one request',
    ({ history }) =>
      history.operations.some(({ attempts }) =>
        change(
          attempts,
          ({ outcome }) => outcome?.ok === true,
          (attempt): Attempt => ({ ...attempt, outcome: { ok: false, rejection: { code: 'idempotency_key_reused' }, sequence: 1, replayed: false } }),
        ),
      ),
  ],
  [
    'less was wanted than came',
    'the effect is what was asked',
    (evidence) =>
      withEffect(
        evidence,
        ({ type }) => type === 'stock.received',
        (operation) =>
          change(
            evidence.history.operations,
            (one) => one === operation,
            (one): Operation =>
              one.command.type === 'ReceiveStock'
                ? { ...one, command: { ...one.command, lines: one.command.lines.map((line) => ({ ...line, quantity: line.quantity + 1 })) } }
                : one,
          ),
      ),
  ],
  [
    'an effect came before it was asked for',
    'an effect happens during its call',
    (evidence) =>
      withEffect(
        evidence,
        ({ actor }) => actor !== 'system',
        (operation) =>
          change(
            operation.attempts,
            () => true,
            (attempt) => ({ ...attempt, invokedAt: attempt.invokedAt + 1_000_000 }),
          ),
      ),
  ],
  [
    'a reader saw in the end what had been at first',
    'what was done before is seen after',
    ({ history, rows }) => {
      const [level] = rows.levels.values()
      if (level === undefined) return false
      history.looks.push({ item: level.item, location: level.location, level: null, invokedAt: 1_000_000, completedAt: 1_000_001 })
      return true
    },
  ],
  [
    'who was short was told of more than there was',
    'a shortage is what the level of its version had',
    ({ history }) =>
      history.operations.some(({ attempts }) =>
        change(
          attempts,
          ({ outcome }) => outcome?.ok === false && outcome.rejection.code === 'insufficient_stock',
          (attempt): Attempt => {
            if (attempt.outcome?.ok !== false || attempt.outcome.rejection.code !== 'insufficient_stock') return attempt
            const shortages = attempt.outcome.rejection.shortages.map((shortage) => ({ ...shortage, available: shortage.requested }))
            return { ...attempt, outcome: { ...attempt.outcome, rejection: { code: 'insufficient_stock', shortages } } }
          },
        ),
      ),
  ],
  [
    'the holds that were in the way had been dead for long',
    'nobody is refused while dead holds have enough',
    ({ history, rows }) => {
      for (const [sequence, event] of rows.events)
        if (event.data.kind === 'hold') rows.events.set(sequence, { ...event, data: { kind: 'hold', hold: { ...event.data.hold, expiresAt: instant(0) } } })
      return history.operations.some(({ attempts }) =>
        attempts.some(
          ({ outcome }) =>
            outcome?.ok === false &&
            !outcome.replayed &&
            outcome.rejection.code === 'insufficient_stock' &&
            outcome.rejection.shortages.some(({ location, held }) => location !== null && held > 0),
        ),
      )
    },
  ],
  [
    'a hold was said not to be there',
    'a refusal tells the truth about its hold',
    ({ history }) =>
      history.operations.some(({ attempts }) =>
        change(
          attempts,
          ({ outcome }) => outcome?.ok === false && 'hold' in outcome.rejection,
          (attempt): Attempt =>
            attempt.outcome?.ok === false && 'hold' in attempt.outcome.rejection
              ? { ...attempt, outcome: { ...attempt.outcome, rejection: { code: 'hold_not_found', hold: attempt.outcome.rejection.hold } } }
              : attempt,
        ),
      ),
  ],
  [
    'what was only to be tried was done',
    'a dry run has no effect',
    (evidence) =>
      withEffect(
        evidence,
        ({ actor }) => actor !== 'system',
        (operation) =>
          change(
            evidence.history.operations,
            (one) => one === operation,
            (one) => ({ ...one, dryRun: true }),
          ),
      ),
  ],
  [
    'a unit that left never came to its other end',
    'nothing rests in transit',
    ({ rows }) =>
      change(
        rows.entries,
        ({ to }) => to === 'transit',
        (entry) => ({ ...entry, quantity: entry.quantity + 1 }),
      ),
  ],
  [
    'a transfer says that more has come than its entries say',
    'a document is what its entries say',
    ({ rows }) =>
      replace(
        rows.events,
        ({ type }) => type === 'transfer.received',
        (event) => withLines(event, (line) => ({ ...line, received: line.received + 1 })),
      ),
  ],
  [
    'units of a shipment were put down to another',
    'a document is what its entries say',
    ({ rows }) =>
      change(
        rows.entries,
        ({ document, from }) => document.kind === 'inbound_shipment' && from === 'incoming',
        (entry) => ({ ...entry, document: { ...entry.document, id: uuidOfNobody } }),
      ),
  ],
  [
    'a document was written over',
    'a document is what its entries say',
    ({ rows }) =>
      replace(
        rows.works,
        () => true,
        (work) => ({ ...work, reference: 'another' }),
      ),
  ],
  ['a document is gone', 'a document is what its entries say', ({ rows }) => rows.works.delete([...rows.works.keys()][0] ?? uuidOfNobody)],
  [
    'a shipment was received after it had ended',
    'a document is what its entries say',
    ({ rows }) => {
      const ended = find(
        rows.events.values(),
        ({ data, type }) => type === 'inbound.received' && data.kind === 'inbound_shipment' && data.inbound.status === 'received',
      )
      if (ended?.data.kind !== 'inbound_shipment') return false
      const again = { ...ended.data.inbound, version: ended.data.inbound.version + 1 }
      rows.head.sequence += 1
      rows.works.set(again.id, again)
      rows.events.set(rows.head.sequence, {
        ...ended,
        sequence: rows.head.sequence,
        subject: { ...ended.subject, version: again.version },
        data: { kind: 'inbound_shipment', inbound: again },
      })
      return true
    },
  ],
  [
    'a level waits for more than was announced',
    'what is incoming is what is outstanding',
    ({ rows }) =>
      replace(
        rows.levels,
        () => true,
        (level) => ({ ...level, incoming: level.incoming + 1 }),
      ),
  ],
  [
    'two shipments had one name',
    'a name belongs to one document',
    ({ history, rows }) => {
      const named = history.operations
        .filter(({ command }) => command.type === 'AnnounceInbound' && command.unique !== null)
        .filter((operation) => hasEffect(operation, rows))
      const [first, second] = named
      if (first?.command.type !== 'AnnounceInbound' || second?.command.type !== 'AnnounceInbound') return false
      history.operations[history.operations.indexOf(second)] = { ...second, command: { ...second.command, unique: first.command.unique } }
      return true
    },
  ],
  [
    'a name that was free was refused',
    'a name belongs to one document',
    ({ history }) => changeRefusal(history, 'already_announced', (rejection) => ({ ...rejection, id: uuidOfNobody })),
  ],
  [
    'a counter was told that the books had a unit more',
    'a count corrects by what was missed when it was counted',
    ({ rows }) =>
      replace(
        rows.events,
        ({ type }) => type === 'count.counted',
        (event) =>
          event.data.kind === 'count'
            ? {
                ...event,
                data: {
                  ...event.data,
                  count: { ...event.data.count, lines: event.data.count.lines.map((line) => ({ ...line, expected: line.expected + 1 })) },
                },
              }
            : event,
      ),
  ],
  [
    'an approval corrected by a unit more than was missed',
    'a count corrects by what was missed when it was counted',
    ({ rows }) =>
      change(
        rows.entries,
        ({ document }) => document.kind === 'count',
        (entry) => ({ ...entry, quantity: entry.quantity + 1 }),
      ),
  ],
  [
    'a customer was to have less',
    'no customer has more than the limit',
    (evidence) =>
      withEffect(
        evidence,
        ({ data, type }) => type === 'hold.placed' && data.kind === 'hold' && data.hold.customer !== null,
        (operation) =>
          change(
            evidence.history.operations,
            (one) => one === operation,
            (one): Operation =>
              one.command.type === 'PlaceHold'
                ? { ...one, command: { ...one.command, purchaseLimits: one.command.lines.map(({ item }) => ({ item, quantity: 0, windowMs: 60_000 })) } }
                : one,
          ),
      ),
  ],
  [
    'a customer was refused who could have had more',
    'a refusal for a limit was true',
    ({ history }) =>
      history.operations.some((operation, index) => {
        const { command, attempts } = operation
        if (command.type !== 'PlaceHold' || !attempts.some(isRefusedFor('purchase_limit_exceeded'))) return false
        history.operations[index] = {
          ...operation,
          command: { ...command, purchaseLimits: command.purchaseLimits.map((limit) => ({ ...limit, quantity: 1_000 })) },
        }
        return true
      }),
  ],
  [
    'nobody was told that an item was sold out',
    'every signal is true and none is missing',
    ({ rows }) => rows.events.delete(find(rows.events.values(), ({ type }) => type === 'stock.out')?.sequence ?? 0),
  ],
  [
    'an item was said to be low that was out',
    'every signal is true and none is missing',
    ({ rows }) =>
      replace(
        rows.events,
        ({ type }) => type === 'stock.out',
        (event) => ({ ...event, type: 'stock.low' }),
      ),
  ],
  [
    'a level forgot what it had told',
    'every signal is true and none is missing',
    ({ rows }) =>
      replace(
        rows.levels,
        ({ signals }) => signals > 0,
        (level) => ({ ...level, signals: level.signals - 1 }),
      ),
  ],
  [
    'a document was said to be what it never was',
    'a refusal tells the truth about its document',
    ({ history }) => changeRefusal(history, 'not_in_state', (rejection) => ({ ...rejection, status: 'lost' })),
  ],
  [
    'more was said to be outstanding than was',
    'a refusal tells the truth about its document',
    ({ history }) => changeRefusal(history, 'quantity_exceeds_outstanding', (rejection) => ({ ...rejection, remaining: rejection.remaining + 0.5 })),
  ],
  [
    'an item was said not to be counted that was',
    'a refusal tells the truth about its document',
    ({ history, rows }) =>
      changeRefusal(history, 'not_in_count', (rejection) => {
        const count = rows.works.get(rejection.id)
        return { ...rejection, item: (count?.kind === 'count' ? count.items?.[0] : undefined) ?? rejection.item }
      }),
  ],
  [
    'a document was said not to be there',
    'a refusal tells the truth about its document',
    ({ history }) => changeRefusal(history, 'not_in_state', ({ kind, id }) => ({ code: 'work_not_found', kind, id })),
  ],
  ...askedOtherwise([
    ['a transfer went somewhere else than was wanted', 'transfer.created', (command) => command.type === 'PlanTransfer' && { ...command, from: command.to }],
    ['another transfer was to be dispatched', 'transfer.dispatched', (command) => command.type === 'DispatchTransfer' && { ...command, id: uuidOfNobody }],
    ['less was wanted than arrived', 'transfer.received', (command) => command.type === 'ReceiveTransfer' && { ...command, lines: [] }],
    ['a plan was to be kept', 'transfer.canceled', (command) => command.type === 'CancelTransfer' && { type: 'DispatchTransfer', id: command.id }],
    ['a shipment was announced to another place', 'inbound.announced', (command) => command.type === 'AnnounceInbound' && { ...command, supplier: 'another' }],
    [
      'more was wanted than came with a shipment',
      'inbound.received',
      (command) =>
        command.type === 'ReceiveInbound' &&
        command.lines !== null && { ...command, lines: command.lines.map((line) => ({ ...line, quantity: line.quantity + 1 })) },
    ],
    [
      'a shipment was to be received',
      'inbound.canceled',
      (command) => command.type === 'CancelInbound' && { ...command, type: 'ReceiveInbound', lines: null, close: false, acceptExcess: false },
    ],
    ['other items were to be counted', 'count.opened', (command) => command.type === 'OpenCount' && { ...command, items: [] }],
    [
      'more was counted than was written down',
      'count.counted',
      (command) => command.type === 'CountItems' && { ...command, lines: command.lines.map((line) => ({ ...line, quantity: line.quantity + 1 })) },
    ],
    ['a count was to be canceled', 'count.approved', (command) => command.type === 'ApproveCount' && { type: 'CancelCount', id: command.id }],
    ['a count was to be approved', 'count.canceled', (command) => command.type === 'CancelCount' && { type: 'ApproveCount', id: command.id }],
  ]),
]

test.each(forgeries)('the auditor notices that %s', (_, rule, forge) => {
  for (const { thresholdsOf, ...evidence } of faultless) {
    const copy = { ...structuredClone(evidence), thresholdsOf }
    const forged = forge(copy)
    if (forged === false) continue
    const found = audit({ ...copy, ...(forged === true ? {} : forged) }).map((violation) => violation.rule)
    expect(found).toContain(rule)
    return
  }
  expect.fail(`nothing to forge in ${HISTORIES} histories`)
})

test('every rule of the auditor has been broken once on purpose', () => {
  expect([...new Set(forgeries.map(([, rule]) => rule))].toSorted()).toEqual([...rules].toSorted())
})

const isExecution = ({ type }: EventRow) => type === 'hold.executed'
const expiryOf = ({ data }: EventRow): number => (data.kind === 'hold' ? data.hold.expiresAt : 0)
const uuidOfNobody = '00000000-0000-0000-0000-000000000000' as Hold['id'] // 32 hex digits

const find = <Thing>(things: Iterable<Thing>, is: (thing: Thing) => boolean): Thing | undefined => [...things].find(is)

/** Puts another in the place of the first that is like that. */
const change = <Thing>(things: Thing[], is: (thing: Thing) => boolean, forge: (thing: Thing) => Thing): boolean => {
  const index = things.findIndex(is)
  const thing = things[index]
  if (thing === undefined) return false
  things[index] = forge(thing)
  return true
}

const replace = <Key, Thing>(things: Map<Key, Thing>, is: (thing: Thing) => boolean, forge: (thing: Thing) => Thing): boolean => {
  for (const [key, thing] of things) {
    if (!is(thing)) continue
    things.set(key, forge(thing))
    return true
  }
  return false
}

/** The first operation that had such an effect. */
const withEffect = ({ rows, history }: Evidence, is: (event: EventRow) => boolean, forge: (operation: Operation, event: EventRow) => boolean): boolean => {
  for (const event of rows.events.values()) {
    const operation = is(event) ? history.operations.find(({ attempts }) => attempts.some(({ requestId }) => requestId === event.requestId)) : undefined
    if (operation) return forge(operation, event)
  }
  return false
}

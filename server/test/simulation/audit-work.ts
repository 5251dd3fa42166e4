// The auditor's second half: documents with a life of their own, limits for one customer, and what is told of levels. Like the
// first it adds up the committed entries, and calls nothing of what it judges.
import type { CountLine } from '../../src/domain/count.ts'
import type { Thresholds } from '../../src/domain/level.ts'
import type { Shortage } from '../../src/domain/rejection.ts'
import type { Work } from '../../src/domain/work.ts'
import type { Effects, Evidence, Holds, Levels, Require, Time } from './audit.ts'
import type { EntryRow, EventRow } from './database.ts'
import { isDefinite, type Asked, type Attempt, type Operation } from './history.ts'

export const rulesOfWork = [
  'nothing rests in transit',
  'a document is what its entries say',
  'what is incoming is what is outstanding',
  'a name belongs to one document',
  'a count corrects by what was missed when it was counted',
  'no customer has more than the limit',
  'a refusal for a limit was true',
  'every signal is true and none is missing',
  'a refusal tells the truth about its document',
] as const

type LineCounts = { quantity: number; received: number; missing: number; withdrawn: number; excess: number }
type Step = { readonly event: EventRow; readonly work: Work; readonly lines: ReadonlyMap<number, LineCounts>; readonly entries: readonly EntryRow[] }
/** A document after each of its events: what its lines count is added up from entries, the rest as its events say. */
export type Works = ReadonlyMap<string, readonly Step[]>

const endings: Readonly<Record<string, readonly string[]>> = {
  'transfer.created': ['open'],
  'transfer.dispatched': ['dispatched'],
  'transfer.received': ['dispatched', 'received'],
  'transfer.canceled': ['canceled'],
  'inbound.announced': ['announced'],
  'inbound.received': ['announced', 'received'],
  'inbound.canceled': ['canceled'],
  'count.opened': ['open'],
  'count.counted': ['open'],
  'count.approved': ['approved'],
  'count.canceled': ['canceled'],
}
/** What a document must have been for this to become of it. */
const beginnings: Readonly<Record<string, string>> = {
  'transfer.dispatched': 'open',
  'transfer.received': 'dispatched',
  'inbound.received': 'announced',
  'inbound.canceled': 'announced',
  'count.counted': 'open',
  'count.approved': 'open',
  'count.canceled': 'open',
}

const workOf = ({ data }: EventRow): Work | undefined =>
  data.kind === 'transfer' ? data.transfer : data.kind === 'inbound_shipment' ? data.inbound : data.kind === 'count' ? data.count : undefined
const isAdjustable = (place: string) => place === 'available' || place === 'quality_control' || place === 'damaged'
const isOnShelf = (place: string) => place === 'available' || place === 'held' || place === 'committed'
const shelfChange = ({ from, to, quantity }: EntryRow) => (isOnShelf(to) ? quantity : 0) - (isOnShelf(from) ? quantity : 0)
const left = ({ quantity, received, missing, withdrawn }: LineCounts) => quantity - received - missing - withdrawn
const isOnItsWay = ({ status }: Work) => status === 'dispatched' || status === 'announced'
const destinationOf = (work: Work) => (work.kind === 'transfer' ? work.to : work.location)
const levelName = (item: number, location: number) => `${item}@${location}`

export const replayWorks = ({ rows }: Evidence, levels: Levels, require: Require): Works => {
  const entriesOf = new Map<number, EntryRow[]>()
  for (const entry of rows.entries) {
    const entries = entriesOf.get(entry.sequence)
    if (entries) entries.push(entry)
    else entriesOf.set(entry.sequence, [entry])
  }
  for (const [sequence, entries] of entriesOf) {
    const resting = new Map<number, number>()
    for (const { item, from, to, quantity } of entries)
      resting.set(item, (resting.get(item) ?? 0) + (to === 'transit' ? quantity : 0) - (from === 'transit' ? quantity : 0))
    require('nothing rests in transit', [...resting.values()].every((quantity) => quantity === 0), () =>
      `#${sequence} left in transit ${JSON.stringify([...resting])}`)
  }

  const works = new Map<string, Step[]>()
  for (const event of [...rows.events.values()].toSorted((a, b) => a.sequence - b.sequence)) {
    const work = workOf(event)
    if (work === undefined) continue
    const steps = works.get(work.id) ?? []
    works.set(work.id, steps)
    foldWork(steps, event, work, entriesOf.get(event.sequence) ?? [], require)
  }

  const coming = new Map<string, number>()
  for (const [id, steps] of works) {
    const last = steps.at(-1)
    if (last === undefined) continue
    const row = rows.works.get(last.work.id)
    require('a document is what its entries say', JSON.stringify(row) === JSON.stringify(last.work), () =>
      `document ${id}: its row is ${JSON.stringify(row)}, its last event told ${JSON.stringify(last.work)}`)
    if (isOnItsWay(last.work))
      for (const [item, counts] of last.lines) {
        const level = levelName(item, destinationOf(last.work))
        coming.set(level, (coming.get(level) ?? 0) + left(counts))
      }
  }
  require('a document is what its entries say', rows.works.size === works.size, () => `${rows.works.size} documents stand, ${works.size} were told of`)
  for (const { name, counts } of levels.values())
    require('what is incoming is what is outstanding', counts.at(-1)?.incoming === (coming.get(name) ?? 0), () =>
      `level ${name}: ${counts.at(-1)?.incoming} incoming, ${coming.get(name) ?? 0} outstanding`)
  for (const { item, location, incoming } of rows.levels.values())
    require('what is incoming is what is outstanding', incoming === (coming.get(levelName(item, location)) ?? 0), () =>
      `level ${levelName(item, location)}: its row has ${incoming} incoming, ${coming.get(levelName(item, location)) ?? 0} are outstanding`)
  return works
}

const foldWork = (steps: Step[], event: EventRow, work: Work, entries: readonly EntryRow[], require: Require) => {
  const { type, sequence, subject } = event
  const before = steps.at(-1)
  const holds = (is: boolean, what: string) =>
    require('a document is what its entries say', is, () => `${work.kind} ${work.id}: #${sequence} ${type} ${what}: ${JSON.stringify(work)}`)
  const isFirst = before === undefined
  holds(isFirst === (beginnings[type] === undefined && type !== 'transfer.canceled'), `follows ${before?.event.type ?? 'nothing'}`)
  holds(endings[type]?.includes(work.status) === true, `makes it ${work.status}`)
  holds(work.version === subject.version && work.id === subject.id && work.version === (before?.work.version ?? 0) + 1, `is of version ${subject.version}`)
  if (before !== undefined) {
    const was = before.work.status
    holds(beginnings[type] === was || (type === 'transfer.canceled' && (was === 'open' || was === 'dispatched')), `was ${was}`)
    holds(destinationOf(work) === destinationOf(before.work) && work.createdAt === before.work.createdAt, 'is another')
  }
  const hasEnded = work.status === 'received' || work.status === 'canceled' || work.status === 'approved'
  holds(hasEnded ? work.endedAt === event.occurredAt : work.endedAt === null, `ended at ${work.endedAt}`)
  holds(
    entries.every(({ document }) => document.id === work.id && document.kind === work.kind),
    'moved in another name',
  )

  const lines = new Map<number, LineCounts>()
  if (work.kind !== 'count') {
    for (const { item, quantity } of work.lines)
      lines.set(item, { ...(before?.lines.get(item) ?? { quantity, received: 0, missing: 0, withdrawn: 0, excess: 0 }) })
    const isCancel = type.endsWith('.canceled')
    const beyond = work.kind === 'transfer' ? 'shrinkage' : 'supplier'
    const source = work.kind === 'transfer' ? work.from : work.location
    const began = new Map<number, number>()
    for (const { item, location, from, to, quantity } of entries) {
      const counts = lines.get(item)
      if (counts === undefined) {
        holds(false, `moves ${quantity} of ${item}, which it has not`)
        continue
      }
      const isHere = location === destinationOf(work)
      if (isHere && from === 'incoming' && isAdjustable(to)) counts.received += quantity
      else if (isHere && from === 'incoming' && to === beyond && !isCancel) counts.missing += quantity
      else if (isHere && from === 'incoming' && to === (work.kind === 'transfer' ? 'transit' : beyond) && isCancel) counts.withdrawn += quantity
      else if (isHere && from === beyond && isAdjustable(to)) counts.excess += quantity
      else if (isHere && to === 'incoming' && from === (work.kind === 'transfer' ? 'transit' : 'supplier')) began.set(item, quantity)
      else
        holds(
          work.kind === 'transfer' && location === source && ((from === 'available' && to === 'transit') || (from === 'transit' && to === 'available')),
          `moves from ${from} to ${to} at ${location}`,
        )
    }
    const begins = type === 'transfer.dispatched' || type === 'inbound.announced'
    const wasOnItsWay = work.kind === 'inbound_shipment' || work.dispatchedAt !== null
    let outstanding = 0
    for (const [item, counts] of lines) {
      holds((began.get(item) ?? 0) === (begins ? counts.quantity : 0), `began with ${began.get(item) ?? 0} of ${item}`)
      holds(left(counts) >= 0, `took more of ${item} than was outstanding`)
      outstanding += left(counts)
      const line = work.lines.find((one) => one.item === item)
      holds(
        line !== undefined &&
          line.quantity === counts.quantity &&
          line.received === counts.received &&
          line.missing === counts.missing &&
          line.withdrawn === counts.withdrawn &&
          line.excess === counts.excess,
        `says other than its entries of ${item}, ${JSON.stringify(counts)}`,
      )
    }
    if (wasOnItsWay) holds((outstanding === 0) === hasEnded, `has ${outstanding} outstanding`)
  }
  steps.push({ event, work, lines, entries })
}

// What was asked of documents

/** Whether a document's event is what was asked. What its entries are in themselves has been checked before. */
export const isWorkAsAsked = (command: Asked, event: EventRow, works: Works): boolean | undefined => {
  const steps = works.get(event.subject.id) ?? []
  const step = steps[event.subject.version - 1]
  const before = steps[event.subject.version - 2]
  const moved = (item: number, from: string, to: string, location?: number) =>
    (step?.entries ?? []).reduce(
      (sum, entry) =>
        sum + (entry.item === item && entry.from === from && entry.to === to && (location === undefined || entry.location === location) ? entry.quantity : 0),
      0,
    )
  const summed = (lines: readonly { readonly item: number; readonly quantity: number }[]) => {
    const sums = new Map<number, number>()
    for (const { item, quantity } of lines) sums.set(item, (sums.get(item) ?? 0) + quantity)
    return sums
  }
  const isSum = (lines: readonly { readonly item: number; readonly quantity: number }[]) =>
    step !== undefined && JSON.stringify([...summed(lines)]) === JSON.stringify(Array.from(step.lines, ([item, { quantity }]) => [item, quantity]))
  const isOf = (type: string, id: string) => step !== undefined && before !== undefined && event.type === type && event.subject.id === id
  const work = step?.work
  switch (command.type) {
    case 'PlanTransfer':
      return event.type === 'transfer.created' && work?.kind === 'transfer' && work.from === command.from && work.to === command.to && isSum(command.lines)
    case 'DispatchTransfer':
      return (
        isOf('transfer.dispatched', command.id) &&
        work?.kind === 'transfer' &&
        work.lines.every(
          ({ item, quantity }) => moved(item, 'available', 'transit', work.from) === quantity && moved(item, 'transit', 'incoming', work.to) === quantity,
        )
      )
    case 'ReceiveTransfer':
    case 'ReceiveInbound': {
      const [type, beyond] = command.type === 'ReceiveTransfer' ? (['transfer.received', 'shrinkage'] as const) : (['inbound.received', 'supplier'] as const)
      if (!isOf(type, command.id) || before === undefined || work === undefined) return false
      const wanted = summed(command.lines ?? Array.from(before.lines, ([item, counts]) => ({ item, quantity: left(counts) })))
      return (
        [...wanted.keys()].every((item) => before.lines.has(item)) &&
        [...before.lines].every(([item, counts]) => {
          const asked = wanted.get(item) ?? 0
          const expected = Math.min(asked, left(counts))
          const to = (place: string) => moved(item, 'incoming', place) + moved(item, beyond, place)
          const askedTo = (place: string) =>
            command.lines === null
              ? place === 'available'
                ? asked
                : 0
              : command.lines.reduce((sum, line) => sum + (line.item === item && line.to === place ? line.quantity : 0), 0)
          const places = ['available', 'quality_control', 'damaged'] as const
          return (
            places.every((place) => to(place) === askedTo(place)) &&
            places.reduce((sum, place) => sum + moved(item, 'incoming', place), 0) === expected &&
            (command.acceptExcess || asked === expected) &&
            moved(item, 'incoming', beyond) === (command.close ? left(counts) - expected : 0)
          )
        })
      )
    }
    case 'CancelTransfer':
      return (
        isOf('transfer.canceled', command.id) &&
        work?.kind === 'transfer' &&
        [...(before?.lines ?? [])].every(([item, counts]) => {
          const back = before?.work.status === 'open' ? 0 : left(counts)
          return moved(item, 'incoming', 'transit', work.to) === back && moved(item, 'transit', 'available', work.from) === back
        })
      )
    case 'AnnounceInbound':
      return (
        event.type === 'inbound.announced' &&
        work?.kind === 'inbound_shipment' &&
        work.location === command.location &&
        work.supplier === command.supplier &&
        isSum(command.lines) &&
        [...summed(command.lines)].every(([item, quantity]) => moved(item, 'supplier', 'incoming', command.location) === quantity)
      )
    case 'CancelInbound':
      return isOf('inbound.canceled', command.id) && [...(before?.lines ?? [])].every(([item, counts]) => moved(item, 'incoming', 'supplier') === left(counts))
    case 'OpenCount':
      return (
        event.type === 'count.opened' &&
        work?.kind === 'count' &&
        work.location === command.location &&
        JSON.stringify(work.items) === JSON.stringify(command.items) &&
        work.lines.length === 0
      )
    case 'CountItems': {
      if (!isOf('count.counted', command.id) || work?.kind !== 'count' || before?.work.kind !== 'count') return false
      const wanted = summed(command.lines)
      const others = (lines: readonly CountLine[]) => lines.filter(({ item }) => !wanted.has(item))
      return (
        [...wanted].every(([item, quantity]) =>
          work.lines.some((line) => line.item === item && line.counted === quantity && line.countedAt === event.occurredAt),
        ) &&
        JSON.stringify(others(work.lines)) === JSON.stringify(others(before.work.lines)) &&
        (work.items === null || [...wanted.keys()].every((item) => work.items?.some((one) => one === item)))
      )
    }
    case 'ApproveCount':
      return isOf('count.approved', command.id)
    case 'CancelCount':
      return isOf('count.canceled', command.id)
    default:
      return undefined
  }
}

// Counts

/** What the books said is added up anew, from the entries up to the moment of counting, and held against line and correction. */
export const checkCounts = (works: Works, levels: Levels, effects: Effects, require: Require) => {
  const commandOf = new Map(Array.from(effects, ([operation, { sequence }]) => [sequence, operation.command]))
  for (const steps of works.values()) {
    const judged = new Map<number, number>()
    for (const { event, work, entries } of steps) {
      if (work.kind !== 'count') continue
      const command = commandOf.get(event.sequence)
      const holds = (is: boolean, what: () => string) =>
        require('a count corrects by what was missed when it was counted', is, () => `count ${work.id}: #${event.sequence} ${event.type} ${what()}`)
      if (event.type === 'count.counted')
        for (const { item, counted, expected, asOf, levelVersion } of work.lines) {
          const asked = command?.type === 'CountItems' ? command.lines.filter((line) => line.item === item) : []
          if (asked.length === 0) continue
          const level = levels.get(levelName(item, work.location))
          const latest = asked.some((line) => line.asOf === null) ? null : Math.max(...asked.map((line) => line.asOf ?? 0))
          holds(asOf === latest, () => `is as of ${asOf}, asked was ${latest}`)
          const counts = level?.counts[levelVersion]
          let shelf = 0
          if (latest !== null) for (const entry of level?.entries ?? []) shelf += entry.sequence <= latest ? shelfChange(entry) : 0
          else if (levelVersion > 0) shelf = counts === undefined ? Number.NaN : counts.available + counts.held + counts.committed
          holds(expected === shelf, () => `expected ${expected} of ${item}, on the shelf were ${shelf}`)
          // A level that was not there could not be locked: somebody may have made it meanwhile.
          if (levelVersion > 0)
            holds(
              (level?.madeBy[levelVersion] ?? 0) < event.sequence && (level?.madeBy[levelVersion + 1] ?? Number.POSITIVE_INFINITY) > event.sequence,
              () => `judged version ${levelVersion} of ${item}, made by #${level?.madeBy[levelVersion]}, and there was another`,
            )
          judged.set(item, counted - shelf)
        }
      const corrected = new Map<number, number>()
      for (const { item, location, from, to, quantity } of entries) {
        holds(
          location === work.location && ((from === 'available' && to === 'shrinkage') || (from === 'shrinkage' && to === 'available')),
          () => `moves ${quantity} of ${item} from ${from} to ${to} at ${location}`,
        )
        corrected.set(item, (corrected.get(item) ?? 0) + (to === 'available' ? quantity : -quantity))
      }
      if (event.type === 'count.approved') {
        for (const { item } of work.lines)
          holds((corrected.get(item) ?? 0) === judged.get(item), () => `corrects ${item} by ${corrected.get(item) ?? 0}, missed were ${judged.get(item)}`)
        holds(
          [...corrected.keys()].every((item) => judged.has(item)),
          () => 'corrects what nobody has counted',
        )
      } else holds(corrected.size === 0, () => `moves ${JSON.stringify([...corrected])}`)
    }
  }
}

// Limits

/** Units of an item that a customer has by these events, at an instant: the least and the most that it may be in a span of time. */
const boughtBy = (holds: Holds, customer: string, item: number, windowMs: number, isKnown: (event: EventRow) => boolean, from: number, to: number) => {
  let least = 0
  let most = 0
  for (const { placed, versions } of holds.values()) {
    if (placed.customer !== customer || placed.createdAt <= from - windowMs) continue
    const last = versions.findLast(({ event }) => isKnown(event))
    if (last === undefined) continue
    let taken = 0
    let held = 0
    for (const counts of last.lines.values())
      if (counts.item === item) {
        taken += counts.committed + counts.shipped
        held += counts.held
      }
    most += taken + (last.expiresAt > from ? held : 0)
    if (placed.createdAt > to - windowMs) least += taken + (last.expiresAt > to ? held : 0)
  }
  return { least, most }
}

export const checkLimits = ({ history, rows }: Evidence, holds: Holds, effects: Effects, time: Time, require: Require) => {
  for (const [{ command, number }, event] of effects) {
    if (command.type !== 'PlaceHold' || command.customer === null) continue
    const { customer, lines } = command
    for (const { item, quantity, windowMs } of command.purchaseLimits) {
      if (!lines.some((line) => line.item === item)) continue
      // What was decided before counts, also where it was written down after: who executes a hold a moment before its end has bought.
      const isKnown = ({ sequence, occurredAt }: EventRow) => sequence <= event.sequence || occurredAt < event.occurredAt
      const { most } = boughtBy(holds, customer, item, windowMs, isKnown, event.occurredAt, event.occurredAt)
      require('no customer has more than the limit', most <= quantity, () =>
        `operation ${number}: #${event.sequence} gives ${customer} ${most} of ${item}, the limit is ${quantity} in ${windowMs} ms`)
    }
  }
  for (const { command, attempts, number } of history.operations)
    for (const { outcome, invokedAt, completedAt } of attempts) {
      if (!isDefinite(outcome) || outcome.ok || outcome.replayed || completedAt === null || outcome.rejection.code !== 'purchase_limit_exceeded') continue
      const { customer, item, requested, remaining } = outcome.rejection
      const limit = command.type === 'PlaceHold' && command.customer === customer ? command.purchaseLimits.find((one) => one.item === item) : undefined
      const asked = command.type === 'PlaceHold' ? command.lines.reduce((sum, line) => sum + (line.item === item ? line.quantity : 0), 0) : 0
      const says = () => `operation ${number} was refused ${JSON.stringify(outcome.rejection)} at #${outcome.sequence}`
      if (limit === undefined || asked !== requested || requested <= remaining || remaining < 0) {
        require('a refusal for a limit was true', false, says)
        continue
      }
      const from = time.earliest(invokedAt, completedAt)
      const to = time.latest(completedAt)
      let least = Number.POSITIVE_INFINITY
      let most = 0
      // It knew all that had been answered before it was asked, and nothing that was decided after it was answered.
      const first = outcome.sequence
      const changes = [...rows.events.values()].filter(({ sequence, occurredAt, subject }) => subject.kind === 'hold' && sequence > first && occurredAt <= to)
      for (const known of [first, ...changes.map(({ sequence }) => sequence)]) {
        const bought = boughtBy(holds, customer, item, limit.windowMs, ({ sequence }) => sequence <= known, from, to)
        least = Math.min(least, bought.least)
        most = Math.max(most, bought.most)
      }
      // What had just been given back, or sold, by a transaction that it did not wait for, it need not have known.
      const before = [...rows.events.values()].filter(({ sequence, occurredAt, subject }) => subject.kind === 'hold' && sequence <= first && occurredAt >= from)
      for (const { sequence: known } of before)
        for (const at of [known - 1, known]) {
          const bought = boughtBy(holds, customer, item, limit.windowMs, ({ sequence }) => sequence <= at, from, to)
          least = Math.min(least, bought.least)
          most = Math.max(most, bought.most)
        }
      require('a refusal for a limit was true', remaining === 0
        ? most >= limit.quantity
        : least <= limit.quantity - remaining && limit.quantity - remaining <= most, () =>
        `${says()}, when ${customer} had ${least} to ${most} of ${limit.quantity}`)
    }
}

// Signals

/** Each level, version by version: which lines it crosses, and whether that and nothing else was told of it. */
export const checkSignals = ({ rows, thresholdsOf }: Evidence, levels: Levels, require: Require) => {
  const told = new Map<string, EventRow[]>()
  for (const event of [...rows.events.values()].toSorted((a, b) => a.sequence - b.sequence))
    if (event.data.kind === 'stock_level') {
      const events = told.get(event.subject.id)
      if (events) events.push(event)
      else told.set(event.subject.id, [event])
    }
  for (const level of levels.values()) {
    const { item, name, counts, madeBy } = level
    const crossed = crossings(
      counts.map(({ available }) => available),
      thresholdsOf(item),
    )
    const events = told.get(name) ?? []
    const holds = (is: boolean, what: () => string) => require('every signal is true and none is missing', is, () => `level ${name}: ${what()}`)
    holds(
      events.length === crossed.told.length,
      () => `crossed ${JSON.stringify(crossed.told)}, told ${events.map(({ type, sequence }) => `#${sequence} ${type}`).join(', ')}`,
    )
    for (const [index, event] of events.entries()) {
      const due = crossed.told[index]
      const said = event.data.kind === 'stock_level' ? event.data.level : undefined
      const stood = due && counts[due.version]
      const cause = due && rows.events.get(madeBy[due.version] ?? 0)
      holds(
        due !== undefined &&
          event.type === due.type &&
          said?.version === due.version &&
          said.signal === due.signal &&
          said.signals === index + 1 &&
          event.subject.version === index + 1 &&
          said.available === stood?.available &&
          said.held === stood.held &&
          said.incoming === stood.incoming,
        () => `#${event.sequence} ${event.type} of ${JSON.stringify(said)} is not ${JSON.stringify(due)} of ${JSON.stringify(stood)}`,
      )
      holds(
        cause !== undefined &&
          cause.sequence < event.sequence &&
          cause.occurredAt === event.occurredAt &&
          cause.requestId === event.requestId &&
          event.actor === 'system' &&
          event.sequence < (madeBy[(due?.version ?? 0) + 1] ?? Number.POSITIVE_INFINITY),
        () => `#${event.sequence} is not told behind #${cause?.sequence}`,
      )
    }
    const row = [...rows.levels.values()].find((one) => levelName(one.item, one.location) === name)
    holds(
      row?.signals === crossed.told.length && row.signal === crossed.signal,
      () => `its row says ${row?.signal} (${row?.signals}), it is ${crossed.signal} (${crossed.told.length})`,
    )
  }
  for (const name of told.keys()) require('every signal is true and none is missing', levels.has(name), () => `a signal of ${name}, which has no entries`)
}

type Signal = 'in_stock' | 'low' | 'out'

const crossings = (availables: readonly number[], { safetyStock, reorderPoint }: Thresholds) => {
  const line = reorderPoint ?? 0
  const margin = Math.ceil(line / 10)
  const plainly = (sellable: number): Signal => (sellable <= 0 ? 'out' : sellable <= line ? 'low' : 'in_stock')
  const told: { readonly version: number; readonly type: string; readonly signal: Signal }[] = []
  let signal: Signal | null = null
  // Version 1 made the level: what was never there is neither back nor out.
  for (let version = 2; version < availables.length; version += 1) {
    const was: Signal = signal ?? plainly((availables[version - 1] ?? 0) - safetyStock)
    const sellable = (availables[version] ?? 0) - safetyStock
    let now: Signal = plainly(sellable)
    if (was === 'out' && sellable <= margin) now = 'out'
    if (was === 'low' && now === 'in_stock' && sellable <= line + margin) now = 'low'
    if (now === was) continue
    signal = now
    const type = now === 'out' ? 'stock.out' : was === 'out' ? 'stock.back' : now === 'low' ? 'stock.low' : null
    if (type !== null) told.push({ version, type, signal: now })
  }
  return { told, signal }
}

// Names and refusals

export const checkNames = ({ rows, history }: Evidence, effects: Effects, require: Require) => {
  const owners = new Map<string, string>()
  for (const [{ command }, event] of effects) {
    if (command.type !== 'AnnounceInbound' || command.unique === null) continue
    const { unique } = command
    const other = owners.get(unique)
    require('a name belongs to one document', other === undefined && rows.names.get(unique) === event.subject.id, () =>
      `name ${unique} belongs to ${other} and ${event.subject.id}, its row says ${rows.names.get(unique)}`)
    owners.set(unique, event.subject.id)
  }
  require('a name belongs to one document', rows.names.size === owners.size, () => `${rows.names.size} names stand, ${owners.size} were given`)
  for (const { command, attempts, number } of history.operations)
    for (const { outcome } of attempts)
      if (isDefinite(outcome) && !outcome.ok && outcome.rejection.code === 'already_announced') {
        const { id } = outcome.rejection
        require('a name belongs to one document', command.type === 'AnnounceInbound' && command.unique !== null && owners.get(command.unique) === id, () =>
          `operation ${number} was refused for the name of ${id}: ${JSON.stringify(command)}`)
      }
}

/** What a document was said to be, it was at some time: which one is not for a "no" to say, but its sequence bounds it. */
export const checkWorkRefusal = ({ command, number }: Operation, { outcome, completedAt, requestId }: Attempt, works: Works, time: Time, require: Require) => {
  if (!isDefinite(outcome) || outcome.ok || outcome.replayed) return
  const { rejection } = outcome
  const until = time.latest(completedAt ?? Number.POSITIVE_INFINITY)
  const stepsOf = (id: string) => (works.get(id) ?? []).filter(({ event }) => event.occurredAt <= until)
  const truth = (is: boolean) =>
    require('a refusal tells the truth about its document', is, () =>
      `operation ${number}, ${requestId} ${JSON.stringify(command)} heard ${JSON.stringify(rejection)}`)
  switch (rejection.code) {
    case 'work_not_found':
      // Clients know of documents only from answers, and what was answered stands.
      return truth(false)
    case 'not_in_state': {
      const wanted: Readonly<Record<string, string>> = {
        DispatchTransfer: 'dispatched open',
        ReceiveTransfer: 'received dispatched',
        CancelTransfer: 'canceled open dispatched',
        ReceiveInbound: 'received announced',
        CancelInbound: 'canceled announced',
        CountItems: 'counted open',
        ApproveCount: 'approved open',
        CancelCount: 'canceled open',
      }
      const [asked, ...states] = (wanted[command.type] ?? '').split(' ')
      const steps = stepsOf(rejection.id)
      // What it was at the last that was committed before, or became later: it does not go back, so it cannot have been that before only.
      const from = Math.max(
        0,
        steps.findLastIndex(({ event }) => event.sequence <= outcome.sequence),
      )
      return truth(
        command.id === rejection.id &&
          asked === rejection.asked &&
          !states.includes(rejection.status) &&
          steps.slice(from).some(({ work }) => work.status === rejection.status && work.kind === rejection.kind),
      )
    }
    case 'quantity_exceeds_outstanding': {
      const { item, requested, remaining } = rejection
      const lines = command.type === 'ReceiveTransfer' || command.type === 'ReceiveInbound' ? (command.lines ?? []) : []
      const asked = lines.reduce((sum, line) => sum + (line.item === item ? line.quantity : 0), 0)
      const steps = stepsOf(rejection.id)
      const from = Math.max(
        0,
        steps.findLastIndex(({ event }) => event.sequence <= outcome.sequence),
      )
      return truth(
        command.id === rejection.id &&
          asked === requested &&
          requested > remaining &&
          steps.slice(from).some((step) => {
            const counts = step.lines.get(item)
            return (
              isOnItsWay(step.work) &&
              (counts === undefined ? remaining === 0 : left(counts) === remaining && 'acceptExcess' in command && !command.acceptExcess)
            )
          }),
      )
    }
    case 'not_in_count': {
      const work = stepsOf(rejection.id)[0]?.work
      return truth(
        command.type === 'CountItems' &&
          work?.kind === 'count' &&
          work.items !== null &&
          !work.items.includes(rejection.item) &&
          command.lines.some(({ item }) => item === rejection.item),
      )
    }
    default:
  }
}

/** Whether a document's line asked for what it was said to be short of. */
export const isShortAsSaid = (
  command: Asked,
  { item, location, requested, available, held, incoming }: Shortage,
  works: Works,
  counts: Readonly<Record<'available' | 'held' | 'incoming', number>>,
): boolean => {
  const isSaid = available === counts.available && held === counts.held && incoming === counts.incoming
  return (
    isSaid &&
    (works.get(command.id) ?? []).some(({ work }) => {
      if (command.type === 'DispatchTransfer')
        return work.kind === 'transfer' && work.from === location && work.lines.some((line) => line.item === item && line.quantity === requested)
      return work.kind === 'count' && work.location === location && work.lines.some((line) => line.item === item && line.expected - line.counted === requested)
    })
  )
}

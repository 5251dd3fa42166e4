// The auditor. It has not seen how stock is counted: it adds up the committed entries, lays the events, keys and rows beside them,
// and holds both against what the clients asked for and heard. It calls nothing of what it judges.
import type { Hold } from '../../src/domain/hold.ts'
import type { ItemNumber, Uuid } from '../../src/domain/ids.ts'
import type { Thresholds } from '../../src/domain/level.ts'
import type { Shortage } from '../../src/domain/rejection.ts'
import type { LedgerOutcome } from '../../src/ledger/ledger.ts'
import {
  checkCounts,
  checkLimits,
  checkNames,
  checkSignals,
  checkWorkRefusal,
  isShortAsSaid,
  isWorkAsAsked,
  replayWorks,
  rulesOfWork,
  type Works,
} from './audit-work.ts'
import type { EntryRow, EventRow, Reading, Rows } from './database.ts'
import { isDefinite, type Asked, type Attempt, type History, type Operation } from './history.ts'

export type Evidence = {
  readonly rows: Rows
  readonly history: History
  readonly readings: readonly Reading[]
  readonly thresholdsOf: (item: ItemNumber) => Thresholds
}

export const rules = [
  'units are neither made nor lost',
  'a level is the sum of its entries',
  'each version of a level is one command’s',
  'no state of a level was ever below zero',
  'no more is promised than may be sold',
  'what is held is what holds hold',
  'the lines of a hold add up',
  'sequences have no gaps',
  'a reader sees no gaps',
  'every event is told once',
  'versions of a subject have no gaps',
  'time runs forward along versions',
  'a hold ends once',
  'nothing is done with a hold from its expiry on',
  'an execution is granted only before the expiry',
  'a hold expires only when it is due',
  'a key has at most one effect',
  'what is wanted once is done once',
  'an effect has its key and a key its effect',
  'what was acknowledged stands as it was told',
  'what was refused has no effect',
  'a key has one answer',
  'a key belongs to one request',
  'the effect is what was asked',
  'an effect happens during its call',
  'what was done before is seen after',
  'a shortage is what the level of its version had',
  'nobody is refused while dead holds have enough',
  'a refusal tells the truth about its hold',
  'a dry run has no effect',
  ...rulesOfWork,
] as const
export type Rule = (typeof rules)[number]
export type Violation = { readonly rule: Rule; readonly what: string }

export const audit = (evidence: Evidence): Violation[] => {
  const violations: Violation[] = []
  const require: Require = (rule, holds, what) => {
    if (!holds) violations.push({ rule, what: what() })
  }
  const time = timeOf(evidence.readings)
  const levels = replayLevels(evidence, require)
  const holds = replayHolds(evidence, require)
  const works = replayWorks(evidence, levels, require)
  compareRows(evidence, levels, holds, require)
  checkSequences(evidence, require)
  const effects = checkKeys(evidence, require)
  for (const operation of evidence.history.operations) {
    const effect = effects.get(operation)
    if (effect) checkEffect(operation, effect, evidence, holds, works, time, require)
    for (const attempt of operation.attempts) {
      if (isDefinite(attempt.outcome)) checkAnswer(operation, attempt, attempt.outcome, evidence, levels, holds, works, time, require)
      checkWorkRefusal(operation, attempt, works, time, require)
    }
  }
  checkCounts(works, levels, effects, require)
  checkLimits(evidence, holds, effects, time, require)
  checkSignals(evidence, levels, require)
  checkNames(evidence, effects, require)
  checkOrderOfLevels(evidence, levels, effects, require)
  checkOrderOfAll(evidence, effects, require)
  return violations
}

export type Require = (rule: Rule, holds: boolean, what: () => string) => void

// Levels

const states = ['available', 'held', 'committed', 'damaged', 'quality_control', 'incoming'] as const
type State = (typeof states)[number]
type Counts = Record<State, number>
type LevelHistory = {
  readonly item: ItemNumber
  readonly safetyStock: number
  readonly name: string
  /** What stood at each version, from 0 on. */
  readonly counts: Counts[]
  /** The sequence that made each version, from 1 on. */
  readonly madeBy: number[]
  readonly entries: EntryRow[]
}
export type Levels = ReadonlyMap<string, LevelHistory>

const copyOf = (counts: Counts): Counts => ({ ...counts })
const isState = (place: string): place is State => (states as readonly string[]).includes(place)
const levelName = (item: number, location: number) => `${item}@${location}`

const replayLevels = ({ rows, thresholdsOf }: Evidence, require: Require): Levels => {
  const levels = new Map<string, LevelHistory>()
  for (const entry of rows.entries) {
    const name = levelName(entry.item, entry.location)
    const item = entry.item as ItemNumber // it is an item's number, wherever it was read
    const level = levels.get(name) ?? { item, name, safetyStock: thresholdsOf(item).safetyStock, counts: [], madeBy: [], entries: [] }
    levels.set(name, level)
    level.entries.push(entry)
  }
  for (const level of levels.values()) {
    const { name, counts, madeBy, entries, safetyStock } = level
    entries.sort((a, b) => a.levelVersion - b.levelVersion)
    let now: Counts = { available: 0, held: 0, committed: 0, damaged: 0, quality_control: 0, incoming: 0 }
    counts.push(now)
    let before: EntryRow | undefined
    let sold = false
    for (const entry of entries) {
      if (entry.levelVersion !== before?.levelVersion) {
        require('each version of a level is one command’s', entry.levelVersion === counts.length, () =>
          `level ${name}: version ${entry.levelVersion} follows ${counts.length - 1}`)
        require('time runs forward along versions', before === undefined || (before.occurredAt <= entry.occurredAt && before.sequence < entry.sequence), () =>
          `level ${name}: version ${entry.levelVersion} (#${entry.sequence}) is of before version ${entry.levelVersion - 1} (#${before?.sequence})`)
        now = copyOf(now)
        counts.push(now)
        madeBy[counts.length - 1] = entry.sequence
        sold = false
      } else
        require('each version of a level is one command’s', entry.sequence === before.sequence, () =>
          `level ${name}: version ${entry.levelVersion} was made by #${before?.sequence} and by #${entry.sequence}`)
      require('units are neither made nor lost', entry.quantity > 0 && entry.from !== entry.to && (isState(entry.from) || isState(entry.to)), () =>
        `#${entry.sequence} moves ${entry.quantity} from ${entry.from} to ${entry.to}`)
      if (isState(entry.from)) now[entry.from] -= entry.quantity
      if (isState(entry.to)) now[entry.to] += entry.quantity
      require('no state of a level was ever below zero', !isState(entry.from) || now[entry.from] >= 0, () =>
        `level ${name}: ${entry.from} is ${isState(entry.from) ? now[entry.from] : 0} at version ${entry.levelVersion} (#${entry.sequence})`)
      sold ||= entry.from === 'available' && entry.to === 'held'
      require('no more is promised than may be sold', !sold || now.available >= safetyStock, () =>
        `level ${name}: ${now.available} available with ${safetyStock} kept back after a hold at version ${entry.levelVersion} (#${entry.sequence})`)
      before = entry
    }
  }
  return levels
}

// Holds

type HoldHistory = {
  readonly placed: Hold
  /** The hold after each of its events, from version 1 on: counts added up from entries, the rest as its events say. */
  readonly versions: {
    readonly event: EventRow
    readonly expiresAt: number
    readonly status: Hold['status']
    readonly lines: ReadonlyMap<string, LineCounts>
  }[]
}
type LineCounts = {
  readonly item: number
  readonly held: number
  readonly committed: number
  readonly shipped: number
  readonly released: number
  readonly returned: number
}
export type Holds = ReadonlyMap<string, HoldHistory>

const noLine = { held: 0, committed: 0, shipped: 0, released: 0, returned: 0 }

const replayHolds = ({ rows }: Evidence, require: Require): Holds => {
  const entriesOf = new Map<number, EntryRow[]>()
  for (const entry of rows.entries) {
    const entries = entriesOf.get(entry.sequence)
    if (entries) entries.push(entry)
    else entriesOf.set(entry.sequence, [entry])
  }
  const holds = new Map<string, HoldHistory>()
  const last = new Map<string, EventRow>()
  for (const event of [...rows.events.values()].toSorted((a, b) => a.sequence - b.sequence)) {
    const { subject, sequence, occurredAt } = event
    const name = `${subject.kind} ${subject.id}`
    const before = last.get(name)
    require('versions of a subject have no gaps', subject.version === (before?.subject.version ?? 0) + 1, () =>
      `${name}: version ${subject.version} (#${sequence}) follows ${before?.subject.version ?? 0}`)
    require('time runs forward along versions', before === undefined || before.occurredAt <= occurredAt, () =>
      `${name}: #${sequence} is of before #${before?.sequence}`)
    last.set(name, event)
    if (subject.kind === 'hold') foldHold(holds, event, entriesOf.get(sequence) ?? [], require)
  }
  return holds
}

const foldHold = (holds: Map<string, HoldHistory>, event: EventRow, entries: readonly EntryRow[], require: Require) => {
  const {
    subject: { id },
    data,
    sequence,
    occurredAt,
    type,
  } = event
  const after = data.kind === 'hold' ? data.hold : undefined
  const history = holds.get(id)
  const before = history?.versions.at(-1)
  if (type === 'hold.placed' && after !== undefined && before === undefined) {
    const lines = new Map<string, LineCounts>()
    for (const { item, location, quantity, from, to } of entries) {
      require('the lines of a hold add up', from === 'available' && to === 'held', () => `hold ${id}: placed by moving from ${from} to ${to}`)
      const line = levelName(item, location)
      lines.set(line, { ...noLine, item, held: (lines.get(line)?.held ?? 0) + quantity })
    }
    holds.set(id, { placed: after, versions: [{ event, expiresAt: after.expiresAt, status: after.status, lines }] })
    require('the lines of a hold add up', after.status === 'active' && isSame(after, lines), () =>
      `hold ${id}: placed as ${JSON.stringify(after.allocations)}, but moved ${JSON.stringify([...lines])}`)
    return
  }
  if (history === undefined || before === undefined)
    return require('versions of a subject have no gaps', false, () => `hold ${id}: #${sequence} ${type} of a hold that was never placed`)

  const lines = new Map(before.lines)
  const add = (line: string, changes: Partial<Record<keyof typeof noLine, number>>) => {
    const counts = { ...(lines.get(line) ?? { ...noLine, item: 0 }) }
    for (const [count, change] of Object.entries(changes) as [keyof typeof noLine, number][]) counts[count] += change // its own keys
    lines.set(line, counts)
  }
  for (const { item, location, quantity, from, to } of entries) {
    const line = levelName(item, location)
    if (from === 'held' && to === 'committed') add(line, { held: -quantity, committed: quantity })
    else if ((from === 'held' || from === 'committed') && to === 'available') add(line, { [from]: -quantity, released: quantity })
    else if (from === 'committed' && to === 'customer') add(line, { committed: -quantity, shipped: quantity })
    else
      require('the lines of a hold add up', from === 'customer' && type === 'stock.returned', () =>
        `hold ${id}: #${sequence} ${type} moves from ${from} to ${to}`)
  }
  // What comes back need not come to where it was shipped from, so it is counted over all of the hold's lines.
  if (data.kind === 'return') add('returned', { returned: data.return.lines.reduce((sum, { quantity }) => sum + quantity, 0) })
  for (const [line, counts] of lines)
    require('the lines of a hold add up', counts.held >= 0 && counts.committed >= 0 && counts.shipped >= 0, () =>
      `hold ${id}: #${sequence} ${type} takes more of ${line} than there is: ${JSON.stringify(counts)}`)
  if (after)
    require('the lines of a hold add up', isSame(after, lines), () =>
      `hold ${id}: told as ${JSON.stringify(after.allocations)} by #${sequence}, but its entries say ${JSON.stringify([...lines])}`)

  const status = after?.status ?? before.status
  const { expiresAt } = before
  const ends = status !== before.status
  const mayEnd = before.status === 'active' ? status !== 'active' : status === 'canceled' && before.status !== 'canceled'
  require('a hold ends once', !ends || mayEnd, () => `hold ${id}: #${sequence} makes it ${status} when it was ${before.status}`)
  const isWhole = [...lines.values()].every(({ held }) => held === 0)
  require('the lines of a hold add up', (status === 'active') !== isWhole, () =>
    `hold ${id}: ${status} after #${sequence} ${type} and holds ${JSON.stringify([...lines])}`)
  const needsLife = type === 'hold.executed' || type === 'hold.released' || type === 'hold.extended' || (type === 'hold.canceled' && before.status === 'active')
  require('nothing is done with a hold from its expiry on', !needsLife || occurredAt < expiresAt, () =>
    `hold ${id}: #${sequence} ${type} at ${occurredAt}, ${occurredAt - expiresAt} ms after it expired`)
  require('a hold expires only when it is due', type !== 'hold.expired' || (occurredAt >= expiresAt && before.status === 'active'), () =>
    `hold ${id}: #${sequence} expires it ${expiresAt - occurredAt} ms too early, or when it is ${before.status}`)
  history.versions.push({ event, expiresAt: after?.expiresAt ?? expiresAt, status, lines })
}

/** Whether a hold, as it is told, counts what its entries count. */
const isSame = (hold: Hold, lines: ReadonlyMap<string, LineCounts>): boolean => {
  let places = 0
  for (const { item, location, quantity, held, committed, shipped, released } of hold.allocations) {
    const counts = lines.get(levelName(item, location))
    if (counts === undefined || counts.held !== held || counts.committed !== committed || counts.shipped !== shipped || counts.released !== released)
      return false
    if (quantity !== held + committed + shipped + released) return false
    places += 1
  }
  return places === lines.size - (lines.has('returned') ? 1 : 0)
}

const sumOf = (lines: ReadonlyMap<string, LineCounts>, count: keyof typeof noLine, item?: number): number => {
  let sum = 0
  for (const counts of lines.values()) if (item === undefined || counts.item === item) sum += counts[count]
  return sum
}

// Rows beside what the entries and events say

const compareRows = ({ rows }: Evidence, levels: Levels, holds: Holds, require: Require) => {
  const held = new Map<string, { held: number; committed: number }>()
  for (const { versions } of holds.values()) {
    const last = versions.at(-1)
    for (const [line, counts] of last?.lines ?? []) {
      const sum = held.get(line) ?? { held: 0, committed: 0 }
      if (last?.status === 'active') sum.held += counts.held
      sum.committed += counts.committed
      held.set(line, sum)
    }
  }
  let rowsInside = 0
  for (const row of rows.levels.values()) {
    const name = levelName(row.item, row.location)
    const level = levels.get(name)
    const stands = level?.counts.at(-1)
    require('a level is the sum of its entries', stands !== undefined &&
      states.every((state) => stands[state] === row[state]) &&
      row.version === (level?.counts.length ?? 0) - 1, () =>
      `level ${name}: its row is ${JSON.stringify(row)}, its entries are ${JSON.stringify(stands)} at version ${(level?.counts.length ?? 0) - 1}`)
    const open = held.get(name)
    require('what is held is what holds hold', row.held === (open?.held ?? 0) && row.committed === (open?.committed ?? 0), () =>
      `level ${name}: ${row.held} held and ${row.committed} committed, by holds ${JSON.stringify(open)}`)
    for (const state of states) rowsInside += row[state]
  }
  require('a level is the sum of its entries', rows.levels.size === levels.size, () => `${rows.levels.size} levels stand, ${levels.size} have entries`)
  let broughtIn = 0
  for (const { from, to, quantity } of rows.entries) broughtIn += (isState(from) ? 0 : quantity) - (isState(to) ? 0 : quantity)
  require('units are neither made nor lost', rowsInside === broughtIn, () => `${broughtIn} units came in, ${rowsInside} are there`)

  for (const row of rows.holds.values()) {
    const history = holds.get(row.id)
    const last = history?.versions.at(-1)
    require('the lines of a hold add up', last !== undefined &&
      row.version === history?.versions.length &&
      row.status === last.status &&
      row.expiresAt === last.expiresAt &&
      isSame(row, last.lines), () =>
      `hold ${row.id}: its row is ${JSON.stringify(row)}, its events say ${last?.status} v${history?.versions.length} ${JSON.stringify([...(last?.lines ?? [])])}`)
  }
  require('the lines of a hold add up', rows.holds.size === holds.size, () => `${rows.holds.size} holds stand, ${holds.size} were placed`)
}

const checkSequences = ({ rows, history }: Evidence, require: Require) => {
  const sequences = [...rows.events.keys()].toSorted((a, b) => a - b)
  const isTiled = (numbers: readonly number[]) => numbers.every((sequence, index) => sequence === index + 1)
  require('sequences have no gaps', isTiled(sequences) && sequences.length === rows.head.sequence, () =>
    `events ${JSON.stringify(sequences)} under head ${rows.head.sequence}`)
  require('sequences have no gaps', rows.entries.every(({ sequence, occurredAt }) => rows.events.get(sequence)?.occurredAt === occurredAt), () =>
    'entries without their event')
  require('a reader sees no gaps', isTiled(history.told), () => `a reader saw ${JSON.stringify(history.told)}`)
  let next = 1
  for (const { first, last } of rows.outbox.toSorted((a, b) => a.first - b.first)) {
    require('every event is told once', first === next && last >= first, () => `outbox has ${first}..${last} where ${next} was to come`)
    next = last + 1
  }
  require('every event is told once', next === rows.head.sequence + 1, () => `outbox ends before ${next}, the head is ${rows.head.sequence}`)
}

// Keys

export type Effects = ReadonlyMap<Operation, EventRow>

/** Each operation's effect: the event whose request it was. What the ledger does by itself on the way is nobody's. */
const checkKeys = ({ rows, history }: Evidence, require: Require): Effects => {
  const operations = new Map<string, { operation: Operation; attempt: Attempt }>()
  for (const operation of history.operations) for (const attempt of operation.attempts) operations.set(attempt.requestId, { operation, attempt })
  const effects = new Map<Operation, EventRow>()
  const byKey = new Map<Uuid, EventRow>()
  for (const event of rows.events.values()) {
    if (event.actor === 'system') continue
    const cause = operations.get(event.requestId)
    if (cause === undefined) {
      require('what is wanted once is done once', false, () => `#${event.sequence} ${event.type} was asked for by nobody (${event.requestId})`)
      continue
    }
    const { operation, attempt } = cause
    const other = effects.get(operation)
    const sameKey = byKey.get(attempt.key)
    require('what is wanted once is done once', other === undefined, () =>
      `operation ${operation.number} ${operation.command.type} has effects #${other?.sequence} and #${event.sequence}`)
    require('a key has at most one effect', sameKey === undefined, () => `key ${attempt.key} has effects #${sameKey?.sequence} and #${event.sequence}`)
    require('a dry run has no effect', !operation.dryRun, () => `the dry run ${operation.number} made #${event.sequence}`)
    // A shortage may pass, so its key may have an effect by another attempt; but not by one that was refused.
    require('what was refused has no effect', !isDefinite(attempt.outcome) || attempt.outcome.ok, () =>
      `${event.requestId} ${operation.command.type} heard ${JSON.stringify(attempt.outcome)} and made #${event.sequence}`)
    const row = rows.keys.get(attempt.key)
    require('an effect has its key and a key its effect', row?.sequence === event.sequence && row.fingerprint === operation.fingerprint, () =>
      `#${event.sequence} was made under key ${attempt.key}, which says ${JSON.stringify(row)}`)
    effects.set(operation, event)
    byKey.set(attempt.key, event)
  }
  for (const { key, sequence } of rows.keys.values())
    require('an effect has its key and a key its effect', sequence === null || byKey.get(key)?.sequence === sequence, () =>
      `key ${key} says #${sequence}, and that is not its effect`)

  const decided = new Map<Uuid, number>()
  for (const { attempts, dryRun } of history.operations)
    for (const { key, outcome } of attempts)
      if (!dryRun && isDefinite(outcome) && !outcome.replayed && isRemembered(outcome)) decided.set(key, (decided.get(key) ?? 0) + 1)
  for (const [key, times] of decided) require('a key has one answer', times === 1, () => `key ${key} was decided ${times} times`)
  return effects
}

/** Whether the answer is to be the same for ever. A shortage may pass, and a wrong key says nothing about the request that owns it. */
const isRemembered = (outcome: LedgerOutcome): boolean =>
  outcome.ok || (outcome.rejection.code !== 'insufficient_stock' && outcome.rejection.code !== 'idempotency_key_reused')

const isEqual = (a: unknown, b: unknown) => a === b || JSON.stringify(a) === JSON.stringify(b)

// Effects

const checkEffect = (
  { number, command, attempts }: Operation,
  event: EventRow,
  { rows }: Evidence,
  holds: Holds,
  works: Works,
  time: Time,
  require: Require,
) => {
  const invokedAt = attempts[0]?.invokedAt ?? 0
  const heard = attempts.filter(({ outcome }) => outcome?.ok).map(({ completedAt }) => completedAt ?? Number.POSITIVE_INFINITY)
  const completedAt = Math.min(Number.POSITIVE_INFINITY, ...heard)
  require('an effect happens during its call', event.occurredAt >= time.earliest(invokedAt, completedAt) && event.occurredAt <= time.latest(completedAt), () =>
    `operation ${number}, from ${invokedAt} to ${completedAt}, made #${event.sequence} at ${event.occurredAt}`)
  if (command.type === 'ExecuteHold') {
    // Whatever instant was written down: who asks when the hold is over, by the one clock that counts, is too late.
    const expiresAt = holds.get(command.id)?.versions[event.subject.version - 2]?.expiresAt ?? 0
    const askedAt = time.earliest(invokedAt, completedAt)
    require('an execution is granted only before the expiry', askedAt < expiresAt, () =>
      `operation ${number} was asked for at ${askedAt}, ${askedAt - expiresAt} ms after hold ${command.id} expired, and granted by #${event.sequence}`)
  }
  require('the effect is what was asked', isAsAsked(command, event, rows, holds, works), () =>
    `operation ${number} asked ${JSON.stringify(command)} and made #${event.sequence} ${event.type} ${JSON.stringify(event.data)}`)
}

const isAsAsked = (command: Asked, event: EventRow, { entries: all }: Rows, holds: Holds, works: Works): boolean => {
  const moved = (item: number, from: string, to: string, location?: number): number => {
    let sum = 0
    for (const entry of all)
      if (
        entry.sequence === event.sequence &&
        entry.item === item &&
        entry.from === from &&
        entry.to === to &&
        (location === undefined || entry.location === location)
      )
        sum += entry.quantity
    return sum
  }
  const asked = (lines: readonly { item: number; quantity: number }[], item: number) =>
    lines.reduce((sum, line) => sum + (line.item === item ? line.quantity : 0), 0)
  const history = holds.get(event.subject.id)
  const before = history?.versions[event.subject.version - 2]?.lines ?? new Map<string, LineCounts>()
  switch (command.type) {
    case 'PlaceHold': {
      const { lines, mode } = command
      const short = event.data.kind === 'hold' ? event.data.hold.shortages.length : 0
      if (event.type !== 'hold.placed' || (mode === 'all_or_nothing' && short > 0)) return false
      if (event.data.kind !== 'hold' || event.data.hold.customer !== command.customer) return false
      return (
        lines.every(({ item }) => {
          const got = moved(item, 'available', 'held')
          return short === 0 ? got === asked(lines, item) : got <= asked(lines, item)
        }) &&
        lines.every(({ item, location }) => {
          if (location === null || short > 0) return true
          return (
            moved(item, 'available', 'held', location) >=
            asked(
              lines.filter((line) => line.location === location),
              item,
            )
          )
        })
      )
    }
    case 'ExecuteHold':
    case 'ShipHold': {
      const [from, to, type] =
        command.type === 'ExecuteHold' ? (['held', 'committed', 'hold.executed'] as const) : (['committed', 'customer', 'stock.shipped'] as const)
      const wanted = command.lines
      const items = new Set(Array.from(before.values(), ({ item }) => item))
      return (
        event.type === type &&
        event.subject.id === (command.type === 'ExecuteHold' ? command.id : command.hold) &&
        [...items].every((item) => {
          const did = moved(item, from, to)
          const left = sumOf(before, from, item) - did
          if (command.type === 'ExecuteHold' && command.final && moved(item, 'held', 'available') !== left) return false
          return did === (wanted === null ? sumOf(before, from, item) : asked(wanted, item))
        })
      )
    }
    case 'ReleaseHold':
      return event.type === 'hold.released' && event.subject.id === command.id
    case 'CancelHold':
      return event.type === 'hold.canceled' && event.subject.id === command.id
    case 'ExtendHold':
      return (
        event.type === 'hold.extended' &&
        event.subject.id === command.id &&
        history?.versions[event.subject.version - 1]?.expiresAt === event.occurredAt + command.ttlMs
      )
    case 'ReceiveStock':
      return (
        event.type === 'stock.received' &&
        command.lines.every(({ item }) => moved(item, 'supplier', 'available', command.location) === asked(command.lines, item))
      )
    case 'ReturnStock':
      return event.type === 'stock.returned' && command.lines.every(({ item, quantity, to }) => moved(item, 'customer', to, command.location) === quantity)
    case 'AdjustStock':
      return command.lines.every(({ item, quantity, from, to }) => moved(item, from, to, command.location) === quantity)
    default:
      return isWorkAsAsked(command, event, works) === true
  }
}

// Answers

const checkAnswer = (
  operation: Operation,
  attempt: Attempt,
  outcome: LedgerOutcome,
  { rows }: Evidence,
  levels: Levels,
  holds: Holds,
  works: Works,
  time: Time,
  require: Require,
) => {
  const { command } = operation
  const { key, requestId } = attempt
  const row = rows.keys.get(key)
  const say = () => `${requestId} ${command.type}, key ${key}, heard ${JSON.stringify(outcome)}`
  if (!outcome.ok && outcome.rejection.code === 'idempotency_key_reused')
    require('a key belongs to one request', row !== undefined && row.fingerprint !== operation.fingerprint, () =>
      `${say()}, and the key says ${JSON.stringify(row)}`)
  else if (!operation.dryRun && isRemembered(outcome)) {
    const { ok } = outcome
    const remembered = row?.outcome ?? (row?.sequence == null ? undefined : { ok: true, answer: rows.events.get(row.sequence)?.data })
    const told = outcome.ok ? { ok, answer: outcome.answer } : { ok, rejection: outcome.rejection }
    const rule = ok ? 'what was acknowledged stands as it was told' : 'a key has one answer'
    require(rule, remembered !== undefined &&
      row?.fingerprint === operation.fingerprint &&
      isEqual(remembered.ok, ok) &&
      isEqual('answer' in remembered ? remembered.answer : remembered.rejection, 'answer' in told ? told.answer : told.rejection), () =>
      `${say()}, and the key says ${JSON.stringify(remembered)}`)
    if (row?.sequence != null) require(rule, outcome.sequence === row.sequence, () => `${say()}, and the key says #${row.sequence}`)
    if (!ok) require('what was refused has no effect', row?.sequence == null, () => `${say()}, and yet there is #${row?.sequence}`)
  }

  if (outcome.ok) {
    const shortages = outcome.answer.kind === 'hold' && outcome.answer.hold.version === 1 && command.type === 'PlaceHold' ? outcome.answer.hold.shortages : []
    for (const shortage of shortages) checkShortage(command, attempt, shortage, levels, holds, works, time, require, outcome.replayed)
    return
  }
  const { rejection } = outcome
  if (rejection.code === 'insufficient_stock') {
    require('a shortage is what the level of its version had', rejection.shortages.length > 0, say)
    for (const shortage of rejection.shortages) checkShortage(command, attempt, shortage, levels, holds, works, time, require, outcome.replayed)
  }
  if (outcome.replayed) return
  if (rejection.code === 'version_conflict')
    require('a refusal tells the truth about its hold', rejection.current !== rejection.expected &&
      command.type === 'AdjustStock' &&
      command.lines.some(({ item, ifVersion }) => item === rejection.item && ifVersion === rejection.expected), say)
  if (!('hold' in rejection)) return

  const history = holds.get(rejection.hold)
  const truth = (holds: boolean | undefined) => require('a refusal tells the truth about its hold', holds === true, say)
  const events = history?.versions.map(({ event }) => event.type) ?? []
  switch (rejection.code) {
    case 'hold_not_found':
      // Clients know of holds only from answers, and what was answered stands.
      return truth(false)
    case 'hold_expired':
      truth(history?.versions.some(({ expiresAt }) => expiresAt === rejection.expiresAt))
      require('a hold expires only when it is due', time.latest(attempt.completedAt ?? Number.POSITIVE_INFINITY) >= rejection.expiresAt, say)
      // A dry run may say what nobody has written down yet, but what it says stays so.
      return require('nothing is done with a hold from its expiry on', operation.dryRun || events.includes('hold.expired'), () =>
        `${say()}, and then it had ${events.join(', ')}`)
    case 'hold_already_executed':
      return truth(history?.versions.some(({ status }) => status === 'executed'))
    case 'hold_already_released':
      return truth(history?.versions.some(({ status }) => status === 'released' || status === 'canceled'))
    case 'quantity_exceeds_remaining': {
      const { item, remaining, requested } = rejection
      const left = (lines: ReadonlyMap<string, LineCounts>) => {
        if (command.type === 'ReturnStock') return sumOf(lines, 'shipped', item ?? undefined) - sumOf(lines, 'returned')
        return sumOf(lines, command.type === 'ExecuteHold' ? 'held' : 'committed', item ?? undefined)
      }
      return truth(requested > remaining && history?.versions.some(({ lines }) => left(lines) === remaining || command.type === 'ReturnStock'))
    }
    case 'ttl_out_of_range':
      return truth(
        command.type === 'ExtendHold' &&
          history !== undefined &&
          time.latest(attempt.completedAt ?? Number.POSITIVE_INFINITY) + command.ttlMs > history.placed.createdAt + command.longestMs,
      )
  }
}

const checkShortage = (
  command: Asked,
  { invokedAt, completedAt, requestId }: Attempt,
  shortage: Shortage,
  levels: Levels,
  holds: Holds,
  works: Works,
  time: Time,
  require: Require,
  replayed: boolean,
) => {
  const { item, requested, available, levelVersion } = shortage
  const says = () => `${requestId} ${JSON.stringify(command)} was short: ${JSON.stringify(shortage)}`
  require('a shortage is what the level of its version had', available < requested, says)
  const candidates = command.type === 'PlaceHold' ? command.candidates : []
  const location = shortage.location ?? (candidates.length === 1 ? (candidates[0]?.location ?? null) : null)
  if (location === null || levelVersion === null)
    return require('a shortage is what the level of its version had', shortage.location === null && candidates.length !== 1, () => `${says()} of no version`)

  const level = levels.get(levelName(item, location))
  const counts = levelVersion === 0 ? { available: 0, held: 0, committed: 0, damaged: 0, quality_control: 0, incoming: 0 } : level?.counts[levelVersion]
  if (counts === undefined) return require('a shortage is what the level of its version had', false, () => `${says()}, of a version that never was`)
  const safetyStock = level?.safetyStock ?? 0
  const sellable = Math.max(0, counts.available - safetyStock)
  if (command.type === 'PlaceHold') {
    // Lines that say where are served first; a line that does not say gets what they leave.
    const named = command.lines.reduce((sum, line) => sum + (line.item === item && line.location === location ? line.quantity : 0), 0)
    const unnamed = command.lines.reduce((sum, line) => sum + (line.item === item && line.location === null ? line.quantity : 0), 0)
    const expected = shortage.location === null ? sellable - Math.min(sellable, named) : sellable
    require('a shortage is what the level of its version had', available === expected &&
      requested === (shortage.location === null ? unnamed : named) &&
      shortage.held === counts.held, () => `${says()}, but the level had ${JSON.stringify(counts)} with ${safetyStock} kept back`)
  } else if (command.type === 'AdjustStock') {
    const line = command.lines.find((one) => one.item === item)
    require('a shortage is what the level of its version had', line !== undefined &&
      line.from !== 'shrinkage' &&
      counts[line.from] === available &&
      line.quantity === requested, () => `${says()}, but the level had ${JSON.stringify(counts)}`)
  } else
    require('a shortage is what the level of its version had', isShortAsSaid(command, shortage, works, counts), () =>
      `${says()}, but the level had ${JSON.stringify(counts)}, or the document asked for something else`)

  // Whoever was refused could have had what dead holds still held: they died before the request was made.
  if (replayed || level === undefined || completedAt === null) return
  const heldBy = new Map<Uuid, number>()
  for (const { levelVersion: version, document, quantity, from, to } of level.entries) {
    if (version > levelVersion || document.kind !== 'hold') continue
    if (to === 'held') heldBy.set(document.id, (heldBy.get(document.id) ?? 0) + quantity)
    if (from === 'held') heldBy.set(document.id, (heldBy.get(document.id) ?? 0) - quantity)
  }
  let dead = 0
  for (const [id, held] of heldBy) {
    const expiresAt = Math.max(...(holds.get(id)?.versions.map((version) => version.expiresAt) ?? []))
    if (held > 0 && expiresAt <= time.earliest(invokedAt, completedAt)) dead += held
  }
  require('nobody is refused while dead holds have enough', dead === 0, () => `${says()}, while ${dead} units were held by holds that had expired`)
}

// Real time

/**
 * What was done before is seen after: if one call was over before another began, the other saw a version at least as new.
 * Versions order everything that touched a level, so this is a scan and needs no search.
 */
const checkOrderOfLevels = ({ rows, history }: Evidence, levels: Levels, effects: Effects, require: Require) => {
  type Sighting = { readonly version: number; readonly wrote: boolean; readonly invokedAt: number; readonly completedAt: number; readonly who: string }
  const sightings = new Map<string, Sighting[]>()
  const see = (item: number, location: number, sighting: Sighting) => {
    const name = levelName(item, location)
    const seen = sightings.get(name)
    if (seen) seen.push(sighting)
    else sightings.set(name, [sighting])
  }
  const callOf = new Map(Array.from(effects, ([operation, { sequence }]) => [sequence, operation]))
  const counted = new Set<string>()
  for (const { item, location, levelVersion, sequence } of rows.entries) {
    const operation = callOf.get(sequence)
    const name = `${levelName(item, location)} ${levelVersion}`
    if (operation === undefined || counted.has(name)) continue
    counted.add(name)
    const call = spanOf(operation)
    see(item, location, { version: levelVersion, wrote: true, ...call, who: `#${sequence} (operation ${operation.number})` })
  }
  for (const { command, attempts } of history.operations)
    for (const { outcome, invokedAt, completedAt, requestId } of attempts) {
      if (!isDefinite(outcome) || outcome.ok || outcome.replayed || completedAt === null) continue
      const { rejection } = outcome
      if (rejection.code === 'version_conflict' && rejection.location !== null)
        see(rejection.item, rejection.location, { version: rejection.current, wrote: false, invokedAt, completedAt, who: requestId })
      if (rejection.code !== 'insufficient_stock') continue
      for (const { item, location, levelVersion } of rejection.shortages)
        if (location !== null && levelVersion !== null)
          see(item, location, { version: levelVersion, wrote: false, invokedAt, completedAt, who: `${requestId} ${command.type}` })
    }
  for (const { item, location, level, invokedAt, completedAt } of history.looks) {
    const stands = levels.get(levelName(item, location))?.counts[level?.version ?? 0]
    require('a level is the sum of its entries', level === null || (stands !== undefined && states.every((state) => stands[state] === level[state])), () =>
      `a reader saw ${JSON.stringify(level)}, its entries were ${JSON.stringify(stands)}`)
    see(item, location, { version: level?.version ?? 0, wrote: false, invokedAt, completedAt, who: 'a reader' })
  }
  for (const [name, seen] of sightings) {
    seen.sort((a, b) => b.version - a.version || Number(a.wrote) - Number(b.wrote) || b.invokedAt - a.invokedAt)
    let first: Sighting | undefined
    for (const sighting of seen) {
      require('what was done before is seen after', first === undefined || sighting.invokedAt <= first.completedAt, () =>
        `level ${name}: ${sighting.who} began at ${sighting.invokedAt} with version ${sighting.version}, when ${first?.who} had been over at ${first?.completedAt} with version ${first?.version}`)
      if (first === undefined || sighting.completedAt < first.completedAt) first = sighting
    }
  }
}

/** The same for everything at once: sequences are in the order of the commits, and a "no" says which one it knew. */
const checkOrderOfAll = ({ history }: Evidence, effects: Effects, require: Require) => {
  const done = Array.from(effects, ([operation, { sequence }]) => ({ ...spanOf(operation), sequence, operation })).toSorted(
    (a, b) => a.completedAt - b.completedAt,
  )
  const newest: number[] = []
  for (const { sequence } of done) newest.push(Math.max(newest.at(-1) ?? 0, sequence))
  const newestBefore = (instant: number): number => {
    let low = 0
    let high = done.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((done[middle]?.completedAt ?? 0) < instant) low = middle + 1
      else high = middle
    }
    return newest[low - 1] ?? 0
  }
  for (const { sequence, invokedAt, operation } of done)
    require('what was done before is seen after', sequence > newestBefore(invokedAt), () =>
      `operation ${operation.number} began at ${invokedAt} and made #${sequence}, when #${newestBefore(invokedAt)} had been answered`)
  for (const { attempts } of history.operations)
    for (const { outcome, invokedAt, requestId } of attempts)
      if (isDefinite(outcome) && !outcome.ok && !outcome.replayed)
        require('what was done before is seen after', outcome.sequence >= newestBefore(invokedAt), () =>
          `${requestId} began at ${invokedAt} and knew #${outcome.sequence}, when #${newestBefore(invokedAt)} had been answered`)
}

/** From the first time that it was asked to the first time that somebody heard it was done. */
const spanOf = ({ attempts }: Operation): { readonly invokedAt: number; readonly completedAt: number } => ({
  invokedAt: attempts[0]?.invokedAt ?? 0,
  completedAt: attempts.reduce(
    (first, { outcome, completedAt }) => (outcome?.ok && completedAt !== null ? Math.min(first, completedAt) : first),
    Number.POSITIVE_INFINITY,
  ),
})

/** What the database's clock can have said. Time that was reached stays reached, though the clock is set back. */
export type Time = {
  /** The least that it said between two moments, not counting what had been reached before. */
  earliest(from: number, to: number): number
  /** The most that it had said up to a moment. */
  latest(to: number): number
}

const timeOf = (readings: readonly Reading[]): Time => ({
  earliest: (from, to) => {
    let least = Number.POSITIVE_INFINITY
    for (const [index, reading] of readings.entries()) {
      const until = readings[index + 1]?.from ?? Number.POSITIVE_INFINITY
      if (until >= from && reading.from <= to) least = Math.min(least, Math.max(from, reading.from) + reading.offset)
    }
    return least
  },
  latest: (to) => {
    let most = 0
    for (const [index, reading] of readings.entries())
      if (reading.from <= to) most = Math.max(most, Math.min(to, readings[index + 1]?.from ?? Number.POSITIVE_INFINITY) + reading.offset)
    return most
  },
})

// Holds a history of requests and answers against the books. Whoever wrote a level or judged it has said which version that was,
// so there is nothing to guess and nothing to search for: each answer either fits the one order that the versions give, or it
// does not. The books are believed for nothing but what was moved; every state is added up anew from that.
import { isDeepStrictEqual } from 'node:util'
import type { Operations, OutputOf } from '@holdfast/contract'

type Hold = OutputOf<Operations['holds']['get']>
export type Entry = OutputOf<Operations['ledger_entries']['list']>['data'][number]
export type Event = OutputOf<Operations['events']['get']>
type Shortage = Hold['shortages'][number]

export type Verb =
  | 'place'
  | 'execute'
  | 'release'
  | 'extend'
  | 'cancel'
  | 'ship'
  | 'return'
  | 'receive'
  | 'adjust'
  | 'readLevel'
  | 'readAvailability'
  | 'readHold'

/** One request and its answer. Times are of one clock that only grows. */
export type Done = {
  readonly verb: Verb
  readonly requestId: string
  readonly key: string | undefined
  /** The hold that it is about. */
  readonly hold: string | undefined
  readonly body: AskedBody
  readonly invokedAt: number
  readonly completedAt: number
  readonly status: number
  readonly text: string
  readonly answer: unknown
  readonly replayed: boolean
  /** Stock-Sequence. */
  readonly sequence: number | undefined
}
export type AskedBody = {
  readonly lines?: readonly { readonly sku: string; readonly quantity?: number; readonly delta?: number; readonly from?: string; readonly to?: string }[]
  readonly if_version?: number
  readonly [field: string]: unknown
}

export type Books = {
  /** All there are, in their order. */
  readonly entries: readonly Entry[]
  readonly events: readonly Event[]
  readonly safetyStock: Readonly<Record<string, number>>
}

type Counts = { readonly [state: string]: number }
type Version<State> = { readonly state: State; readonly sequence: number; readonly event: Event }
/** By version; the first one is what was before anything happened. */
type Past<State> = readonly Version<State>[]
type HoldState = { readonly status: string; readonly expiresAt: string; readonly bySku: { readonly [sku: string]: Counts } }

/** What an answer says of one thing: that it made a version of it, or saw one. */
type Claim = { readonly of: string; readonly version: number; readonly made: boolean; readonly by: Party }
/** Whoever makes or sees versions: a request, or the system when a hold's time is up. */
type Party = { readonly name: string; readonly invokedAt: number; readonly completedAt: number }

/** Everything that is wrong, each as a sentence. */
export const faultsOf = (history: readonly Done[], books: Books): string[] => {
  const faults: string[] = []
  const wrong = (what: string) => void faults.push(what)
  const levels = levelsOf(books, wrong)
  const holds = holdsOf(books, wrong)
  checkEvents(books, holds, wrong)
  checkAccounts(history, books, wrong)
  const claims = claimsOf(history, { books, levels, holds, wrong })
  checkHoldRefusals(history, { claims, holds, wrong })
  checkRealTime(claims, wrong)
  checkOneOrder(claims, wrong)
  return faults
}

type Wrong = (what: string) => void

const levelName = ({ sku, location }: { readonly sku: string; readonly location: string | null }) => `${sku} at ${location}`
const moved = (counts: Counts, { from, to, quantity }: Entry): Counts => ({
  ...counts,
  [from]: (counts[from] ?? 0) - quantity,
  [to]: (counts[to] ?? 0) + quantity,
})
const states = ['available', 'held', 'committed', 'damaged', 'quality_control', 'incoming']
const nothing: Counts = Object.fromEntries(states.map((state) => [state, 0]))
const before: Event = {
  object: 'event',
  id: '',
  type: 'stock.received',
  occurred_at: '',
  sequence: 0,
  subject: { object: '', id: '', version: 0 },
  actor: '',
  request_id: '',
  data: null,
}

/** Every level through all its versions, from nothing. */
const levelsOf = ({ entries, events }: Books, wrong: Wrong): Map<string, Past<Counts>> => {
  const eventAt = new Map(events.map((event) => [event.sequence, event]))
  const levels = new Map<string, Version<Counts>[]>()
  for (const [name, own] of Map.groupBy(entries, levelName)) {
    const past: Version<Counts>[] = [{ state: nothing, sequence: 0, event: before }]
    levels.set(name, past)
    for (const [version, movements] of [...Map.groupBy(own, (entry) => entry.level_version)].toSorted(([a], [b]) => a - b)) {
      const last = past.at(-1)
      const [first] = movements
      const event = first && eventAt.get(first.sequence)
      if (last === undefined || first === undefined || event === undefined) return (wrong(`${name}: version ${version} belongs to no event`), levels)
      if (version !== past.length) wrong(`${name}: version ${version} comes after ${past.length - 1}`)
      if (movements.some((entry) => entry.sequence !== first.sequence)) wrong(`${name}: version ${version} was made by more than one command`)
      if (first.sequence <= last.sequence) wrong(`${name}: version ${version} is of sequence ${first.sequence}, the one before it of ${last.sequence}`)
      const state = movements.reduce(moved, last.state)
      if (states.some((one) => (state[one] ?? 0) < 0)) wrong(`${name}: version ${version} is below zero: ${JSON.stringify(state)}`)
      past.push({ state, sequence: first.sequence, event })
    }
  }
  return levels
}

/** Every hold through all its versions: its status as it was told, its counts as they were moved. */
const holdsOf = ({ entries, events }: Books, wrong: Wrong): Map<string, Past<HoldState>> => {
  const entriesAt = Map.groupBy(entries, (entry) => entry.sequence)
  const holds = new Map<string, Version<HoldState>[]>()
  for (const event of events) {
    if (event.subject.object !== 'hold') continue
    const past = holds.get(event.subject.id) ?? [{ state: { status: 'none', expiresAt: '', bySku: {} }, sequence: 0, event: before }]
    holds.set(event.subject.id, past)
    const last = past.at(-1)
    if (last === undefined) continue
    if (event.subject.version !== past.length) wrong(`${event.subject.id}: version ${event.subject.version} comes after ${past.length - 1}`)
    const bySku = new Map(Object.entries(last.state.bySku))
    for (const entry of entriesAt.get(event.sequence) ?? []) bySku.set(entry.sku, moved(bySku.get(entry.sku) ?? {}, entry))
    const told = event.type.startsWith('hold.') ? (event.data as Hold) : undefined // the whole object after the fact
    const state = { status: told?.status ?? last.state.status, expiresAt: told?.expires_at ?? last.state.expiresAt, bySku: Object.fromEntries(bySku) }
    if (!(allowed[last.state.status] ?? []).includes(state.status)) wrong(`${event.subject.id}: became ${state.status} after ${last.state.status}`)
    const committed = Object.values(heldOf(last.state)).reduce((sum, counts) => sum + counts.committed, 0)
    if (state.status === 'canceled' && !['active', 'canceled'].includes(last.state.status) && committed === 0)
      wrong(`${event.subject.id}: was canceled when there was nothing left to cancel`)
    if (told && !isDeepStrictEqual(countsOf(told), heldOf(state)))
      wrong(`${event.subject.id}: told ${JSON.stringify(countsOf(told))}, moved ${JSON.stringify(heldOf(state))}`)
    if (event.type === 'hold.expired' && event.occurred_at < last.state.expiresAt)
      wrong(`${event.subject.id}: expired at ${event.occurred_at}, before its time`)
    if (['hold.executed', 'hold.extended', 'hold.released'].includes(event.type) && event.occurred_at >= last.state.expiresAt)
      wrong(`${event.subject.id}: ${event.type} at ${event.occurred_at}, after its time`)
    past.push({ state, sequence: event.sequence, event })
  }
  return holds
}

/** What may become of a hold. What has been executed may be shipped when it has ended, and canceled for as long as it is not. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  none: ['active'],
  active: ['active', 'executed', 'released', 'expired', 'canceled'],
  executed: ['executed', 'canceled'],
  expired: ['expired', 'canceled'],
  released: ['released', 'canceled'],
  canceled: ['canceled'],
}
const countsOf = (hold: Hold) => Object.fromEntries(hold.lines.map(({ sku, held, committed }) => [sku, { held, committed }]))
const heldOf = ({ bySku }: HoldState) =>
  Object.fromEntries(Object.entries(bySku).map(([sku, counts]) => [sku, { held: counts['held'] ?? 0, committed: counts['committed'] ?? 0 }]))

const checkEvents = ({ entries, events }: Books, holds: ReadonlyMap<string, Past<HoldState>>, wrong: Wrong): void => {
  for (const [index, event] of events.entries()) if (event.sequence !== index + 1) wrong(`event ${event.sequence} is in place ${index + 1}`)
  const madeAt = new Map(entries.map((entry) => [`${entry.sequence} ${levelName(entry)}`, entry.level_version]))
  for (const [id, past] of holds)
    for (const { event } of past) {
      if (!event.type.startsWith('hold.')) continue
      for (const line of (event.data as Hold).lines)
        // the whole object after the fact
        for (const { location, level_version: told } of line.allocations) {
          const made = madeAt.get(`${event.sequence} ${levelName({ sku: line.sku, location })}`)
          if (made !== undefined && made !== told) wrong(`${id}: ${event.type} says version ${told} of ${line.sku}, and made ${made}`)
        }
    }
}

const isWrite = ({ verb }: Done) => !verb.startsWith('read')
const isOk = ({ status }: Done) => status < 300
const codeOf = ({ answer }: Done) => (answer as { code?: string }).code // a problem
const nameOf = ({ verb, requestId }: Done) => `${verb} ${requestId}`

/** Each request that was done has one effect, and each effect was asked for; what was refused has none; a key has one answer. */
const checkAccounts = (history: readonly Done[], { events }: Books, wrong: Wrong): void => {
  const effects = Map.groupBy(
    events.filter((event) => event.actor !== 'system'),
    (event) => event.request_id,
  )
  for (const done of history) {
    const own = effects.get(done.requestId) ?? []
    effects.delete(done.requestId)
    if (done.replayed && codeOf(done) === 'insufficient_stock') wrong(`${nameOf(done)} was refused again because there was not enough before`)
    if (!isOk(done) || done.replayed || !isWrite(done)) {
      if (own.length > 0) wrong(`${nameOf(done)} answered ${done.status}${done.replayed ? ' again' : ''}, and has done ${own[0]?.type}`)
      continue
    }
    const [effect] = own
    if (own.length > 1) wrong(`${nameOf(done)} was done ${own.length} times`)
    if (effect === undefined) {
      if (!isSoAlready(done)) wrong(`${nameOf(done)} answered ${done.status}, and nothing was done`)
    } else {
      if (!isDeepStrictEqual(effect.data, done.answer)) wrong(`${nameOf(done)} was told otherwise than it was done`)
      if (effect.sequence !== done.sequence) wrong(`${nameOf(done)} was told sequence ${done.sequence}, and is ${effect.sequence}`)
    }
  }
  for (const [requestId, [effect]] of effects) if (requestId.startsWith(OURS)) wrong(`${effect?.type} was done for ${requestId}, which nobody was told`)

  const byKey = Map.groupBy(
    history.filter((done) => done.key !== undefined && codeOf(done) !== 'idempotency_key_reused' && codeOf(done) !== 'insufficient_stock'),
    ({ key }) => key,
  )
  for (const [key, answers] of byKey) {
    if (new Set(answers.map(({ text, status }) => (status < 300 ? text : `${status}`))).size > 1) wrong(`key ${key} got different answers`)
    if (answers.filter(({ replayed }) => !replayed).length !== 1)
      wrong(`key ${key} was answered for the first time ${answers.filter(({ replayed }) => !replayed).length} times`)
  }
}

/** What the ids of a history's requests begin with. */
export const OURS = 'history-'

/** Asked for what is so: the answer is the hold as it is. */
const isSoAlready = ({ verb, answer }: Done): boolean => {
  const { status } = answer as Hold // only holds are answered without being changed
  return { execute: 'executed', release: 'released', cancel: 'canceled', extend: 'active' }[verb as string] === status
}

type Checked = {
  readonly books: Books
  readonly levels: ReadonlyMap<string, Past<Counts>>
  readonly holds: ReadonlyMap<string, Past<HoldState>>
  readonly wrong: Wrong
}

/** What everybody has said about versions; on the way, each state that was seen is compared with what it must have been. */
const claimsOf = (history: readonly Done[], { books, levels, holds, wrong }: Checked): Claim[] => {
  const claims: Claim[] = []
  const parties = new Map<string, Party>()
  const partyOf = (done: Done): Party => {
    const party = parties.get(done.requestId) ?? { name: nameOf(done), invokedAt: done.invokedAt, completedAt: done.completedAt }
    parties.set(done.requestId, party)
    return party
  }
  for (const done of history) partyOf(done)
  const partyOfEvent = (event: Event): Party => {
    const name = event.actor === 'system' ? `${event.type} ${event.sequence}` : event.request_id
    const party = parties.get(name) ?? { name, invokedAt: -Infinity, completedAt: Infinity }
    parties.set(name, party)
    return party
  }
  for (const [of, past] of [...levels, ...holds])
    for (const [version, { event }] of past.entries()) if (version > 0) claims.push({ of, version, made: true, by: partyOfEvent(event) })

  const seen = (done: Done, of: string, version: number | null) => {
    if (version === null) return wrong(`${nameOf(done)} does not say which version of ${of} it saw`)
    claims.push({ of, version, made: false, by: partyOf(done) })
  }
  const levelAt = (done: Done, name: string, version: number | null): Counts => {
    seen(done, name, version)
    const state = version === 0 ? nothing : levels.get(name)?.[version ?? -1]?.state
    if (state === undefined) wrong(`${nameOf(done)} saw version ${version} of ${name}, which never was`)
    return state ?? nothing
  }
  /** A read is of one instant: of all that is up to its sequence, and nothing later. */
  const isOfItsSequence = (done: Done, of: string, past: Past<unknown> | undefined, version: number) => {
    const latest = (past ?? []).findLastIndex(({ sequence }) => sequence <= (done.sequence ?? -1))
    if (latest !== version && !(latest === -1 && version === 0))
      wrong(`${nameOf(done)} is as new as ${done.sequence} and saw version ${version} of ${of}; then it was ${latest}`)
  }
  const sellable = (sku: string, state: Counts) => Math.max(0, (state['available'] ?? 0) - (books.safetyStock[sku] ?? 0))
  const isShort = (done: Done, shortage: Shortage) => {
    const state = levelAt(done, levelName({ ...shortage, location: shortage.location ?? 'LON' }), shortage.level_version)
    const from = done.verb === 'place' ? undefined : done.body.lines?.find((line) => line.sku === shortage.sku)?.from
    const there = done.verb === 'place' ? sellable(shortage.sku, state) : (state[from ?? 'available'] ?? 0)
    if (shortage.available !== there)
      wrong(`${nameOf(done)} was told that ${shortage.available} of ${shortage.sku} are there at version ${shortage.level_version}; there were ${there}`)
    if (shortage.available >= shortage.requested)
      wrong(`${nameOf(done)} was refused ${shortage.requested} of ${shortage.sku}, and ${shortage.available} were there`)
    if (shortage.held !== state['held']) wrong(`${nameOf(done)} was told that ${shortage.held} of ${shortage.sku} are held; there were ${state['held']}`)
  }

  for (const done of history) {
    if (done.replayed) continue
    const { verb, answer } = done
    if (isOk(done) && verb === 'readLevel') {
      for (const { sku, location, version, ...level } of (answer as OutputOf<Operations['stock_levels']['get']>).locations) {
        const name = levelName({ sku, location })
        const state = levelAt(done, name, version)
        const told = new Map<string, unknown>(Object.entries(level))
        for (const one of states)
          if (told.get(one) !== (state[one] ?? 0)) wrong(`${nameOf(done)} read ${one} ${told.get(one)} of ${name} at version ${version}; it was ${state[one]}`)
        isOfItsSequence(done, name, levels.get(name), version)
      }
    } else if (isOk(done) && verb === 'readAvailability') {
      const { sku, locations } = answer as OutputOf<Operations['availability']['get']>
      for (const { location, available_to_sell: told, level_version: version } of locations) {
        const name = levelName({ sku, location })
        const there = sellable(sku, levelAt(done, name, version))
        if (told !== there) wrong(`${nameOf(done)} read that ${told} of ${name} can be sold at version ${version}; it was ${there}`)
        isOfItsSequence(done, name, levels.get(name), version)
      }
    } else if (isOk(done) && (verb === 'readHold' || (isHoldAction(verb) && isSoAlready(done)))) {
      const hold = answer as Hold // what these answer
      const past = holds.get(hold.id)?.[hold.version]
      if (past === undefined) wrong(`${nameOf(done)} saw version ${hold.version} of ${hold.id}, which never was`)
      else if (past.state.status !== hold.status || !isDeepStrictEqual(countsOf(hold), heldOf(past.state)))
        wrong(`${nameOf(done)} saw ${hold.id} otherwise than it was at version ${hold.version}`)
      seen(done, hold.id, hold.version)
    }
    if (isOk(done) && verb === 'place') for (const shortage of (answer as Hold).shortages) isShort(done, shortage)
    if (codeOf(done) === 'insufficient_stock') {
      const { shortages } = answer as { shortages: Shortage[] } // what this problem tells
      if (shortages.length === 0) wrong(`${nameOf(done)} was refused for want of nothing`)
      for (const shortage of shortages) isShort(done, shortage)
    }
    if (codeOf(done) === 'version_conflict') {
      const { current_version: current } = answer as { current_version: number } // what this problem tells
      if (current === done.body.if_version) wrong(`${nameOf(done)} was refused for the version that there was`)
      levelAt(done, levelName({ sku: done.body.lines?.[0]?.sku ?? '', location: 'LON' }), current)
    }
  }
  return claims
}

const isHoldAction = (verb: Verb) => verb === 'execute' || verb === 'release' || verb === 'cancel' || verb === 'extend'

/** A refusal because of a hold names no version; but there must have been one, between its beginning and its end, that is a reason. */
const checkHoldRefusals = (
  history: readonly Done[],
  { claims, holds, wrong }: { readonly claims: readonly Claim[] } & Pick<Checked, 'holds' | 'wrong'>,
): void => {
  const byHold = Map.groupBy(claims, (claim) => claim.of)
  for (const done of history) {
    const code = codeOf(done)
    if (done.replayed || isOk(done) || done.hold === undefined) continue
    if (code === undefined || !reasons.has(code)) continue
    const own = byHold.get(done.hold) ?? []
    const least = Math.max(0, ...own.filter((claim) => claim.by.completedAt < done.invokedAt).map((claim) => claim.version))
    const most = Math.max(0, ...own.filter((claim) => claim.made && claim.by.invokedAt <= done.completedAt).map((claim) => claim.version))
    const versions = (holds.get(done.hold) ?? []).slice(least, most + 1)
    if (!versions.some(({ state }) => isReason(code, state, done)))
      wrong(`${nameOf(done)} was refused with ${code}: ${done.text}; ${done.hold} was ${versions.map(({ state }) => JSON.stringify(state)).join(', then ')}`)
  }
}

const reasons = new Set(['hold_expired', 'hold_already_executed', 'hold_already_released', 'quantity_exceeds_remaining'])

const isReason = (code: string, { status, bySku }: HoldState, done: Done): boolean => {
  const left = (sku: string) => {
    const counts = bySku[sku] ?? {}
    return done.verb === 'execute' ? (counts['held'] ?? 0) : done.verb === 'return' ? (counts['customer'] ?? 0) : (counts['committed'] ?? 0)
  }
  const all = Object.keys(bySku).reduce((sum, sku) => sum + left(sku), 0)
  switch (code) {
    case 'hold_expired':
      return status === 'expired'
    case 'hold_already_executed':
      return status === 'executed'
    case 'hold_already_released':
      return status === 'released' || status === 'canceled'
    default: {
      const { remaining } = done.answer as { remaining: number } // what this problem tells
      if (done.body.lines === undefined || done.verb === 'cancel') return remaining === 0 && all === 0
      const asked = Map.groupBy(done.body.lines, (line) => line.sku)
      return (
        [...asked].some(([sku, lines]) => lines.reduce((sum, { quantity = 0 }) => sum + quantity, 0) > left(sku) && remaining === left(sku)) ||
        (remaining === 0 && all === 0)
      )
    }
  }
}

/** Who began after another had ended must not have seen less, nor have made an earlier version. */
const checkRealTime = (claims: readonly Claim[], wrong: Wrong): void => {
  for (const [of, own] of Map.groupBy(claims, (claim) => claim.of)) {
    const inOrder = own.toSorted((a, b) => a.version - b.version || Number(b.made) - Number(a.made) || a.by.invokedAt - b.by.invokedAt)
    let ended = Infinity
    let first = ''
    // From the last version to the first: nobody may have begun after one that is later had ended.
    for (const { version, by } of inOrder.toReversed()) {
      if (by.invokedAt > ended) wrong(`${of}: ${by.name} began after ${first} had ended, and has version ${version}, which is earlier`)
      if (by.completedAt < ended) [ended, first] = [by.completedAt, by.name]
    }
  }
}

/** All of it, over all levels and holds at once, fits into one order in which each takes place between its beginning and its end. */
const checkOneOrder = (claims: readonly Claim[], wrong: Wrong): void => {
  const parties = [...new Set(claims.map(({ by }) => by))]
  const numberOf = new Map(parties.map((party, number) => [party, number]))
  const after: number[][] = parties.map(() => [])
  const edge = (from: number, to: number) => void (from !== to && after[from]?.push(to))

  for (const own of Map.groupBy(claims, (claim) => claim.of).values()) {
    const makers = new Map(own.flatMap(({ version, made, by }) => (made ? [[version, numberOf.get(by) ?? 0]] : [])))
    for (const { version, made, by } of own) {
      const me = numberOf.get(by) ?? 0
      const next = makers.get(version + 1)
      const maker = makers.get(version)
      if (next !== undefined) edge(me, next)
      if (!made && maker !== undefined) edge(maker, me)
    }
  }
  // Whoever has ended comes before whoever begins later: through a chain of endings, so that there are not n² pairs.
  const endings = parties
    .flatMap(({ completedAt }, number) => (completedAt === Infinity ? [] : [{ completedAt, number }]))
    .toSorted((a, b) => a.completedAt - b.completedAt)
  const firstEnding = parties.length
  for (const [index, { number }] of endings.entries()) {
    after.push([])
    edge(number, firstEnding + index)
    if (index > 0) edge(firstEnding + index - 1, firstEnding + index)
  }
  for (const [number, { invokedAt }] of parties.entries()) {
    const last = endings.findLastIndex(({ completedAt }) => completedAt < invokedAt)
    if (last >= 0) edge(firstEnding + last, number)
  }

  const waitsFor = after.map(() => 0)
  for (const targets of after) for (const to of targets) waitsFor[to] = (waitsFor[to] ?? 0) + 1
  const free = waitsFor.flatMap((count, number) => (count === 0 ? [number] : []))
  for (let next = free.pop(); next !== undefined; next = free.pop()) {
    for (const to of after[next] ?? []) {
      waitsFor[to] = (waitsFor[to] ?? 0) - 1
      if (waitsFor[to] === 0) free.push(to)
    }
  }
  const inRing = parties.filter((_, number) => (waitsFor[number] ?? 0) > 0)
  if (inRing.length > 0)
    wrong(
      `there is no one order: ${inRing.length} wait for each other in a ring or behind it, among them ${inRing
        .slice(0, 5)
        .map(({ name }) => name)
        .join(', ')}`,
    )
}

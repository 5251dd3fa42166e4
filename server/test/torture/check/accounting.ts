// What was answered against what is there: nothing that was acknowledged is missing, nothing that was refused has happened, and
// nothing has happened twice or without anybody's wish.
import { isKept, type Attempt } from '../history.ts'
import type { Evidence, Violation, Wish } from './evidence.ts'
import type { EventRow } from './snapshot.ts'

const CHECKS = {
  acknowledged: 'what was acknowledged is there, as it was said',
  kept: 'what was kept for later is done, or waits for a person',
  refused: 'what was refused has not happened',
  once: 'what was wanted once has happened once at most',
  same: 'all answers under one key are the same',
  ghosts: 'nothing happens that nobody wished for',
  reused: 'a key belongs to one request',
  keys: 'a key is written with its effect, and in its transaction',
  ends: 'a hold ends once',
  reasons: 'a refusal is one that there is reason for',
  during: 'what happened, happened during its call',
  late: 'nothing is done with a hold after its end',
  errors: 'nothing goes wrong on our side',
} as const

/** Of clocks on one machine: both are read in whole milliseconds, and the wall's clock is now and then set a little. */
const CLOCK_SLACK_MS = 50

/** What each wish may be refused for. */
const reasons: ReadonlySet<string> = new Set([
  'insufficient_stock',
  'hold_expired',
  'hold_already_executed',
  'hold_already_released',
  'quantity_exceeds_remaining',
  'idempotency_key_reused',
])

export const checkAccounts = (evidence: Evidence): Violation[] => [
  ...evidence.wishes.flatMap((wish) => [
    ...checkAcknowledged(evidence, wish),
    ...checkKept(evidence, wish),
    ...checkRefused(wish),
    ...checkSame(wish),
    ...checkReused(wish),
    ...checkDuring(evidence, wish),
    ...checkLate(evidence, wish),
  ]),
  ...checkReasons(evidence),
  ...checkGhosts(evidence),
  ...checkKeys(evidence),
  ...checkEnds(evidence),
]

const said = (wish: Wish) => `operation ${wish.operation.i} (${wish.operation.action}, key ${wish.operation.key})`
const codeOf = (attempt: Attempt | undefined): string | undefined => (attempt?.body as { code?: string } | undefined)?.code // a problem's

const made: Readonly<Partial<Record<Wish['operation']['action'], readonly string[]>>> = {
  hold: ['hold.placed'],
  execute: ['hold.executed'],
  release: ['hold.released'],
  adjust: ['stock.adjusted', 'stock.moved'],
  ship: ['stock.shipped'],
  transfer: ['transfer.created'],
  dispatch: ['transfer.dispatched'],
  arrive: ['transfer.received'],
}

const checkAcknowledged = (evidence: Evidence, wish: Wish): Violation[] => {
  if (wish.events.length > 1)
    return [
      { check: CHECKS.once, what: `${said(wish)} has ${wish.events.length} effects, of sequences ${wish.events.map(({ sequence }) => sequence).join(', ')}` },
    ]
  if (wish.outcome !== 'ok' || wish.answer === undefined) return []
  const [event] = wish.events
  const missing = (what: string): Violation[] => [{ check: CHECKS.acknowledged, what: `${said(wish)}: ${what}` }]
  const { action, subject } = wish.operation
  if (event === undefined) {
    // What was so already is answered, too: then another wish has made it so.
    const types = made[action]
    if (subject !== null && types !== undefined && (action === 'execute' || action === 'release' || action === 'dispatch' || action === 'arrive')) {
      const other = eventsOf(evidence, subject).some(({ type }) => types.includes(type))
      return other ? [] : missing(`${subject} was answered as ${types.join()}, and nobody has made it so`)
    }
    return missing('it was acknowledged, and nothing of it is there')
  }
  if (made[action]?.includes(event.type) === false) return missing(`it made ${event.type}`)
  const wrong = differences(evidence, event, wish)
  return wrong === undefined ? [] : missing(wrong)
}

type WireHold = {
  id: string
  lines: {
    sku: string
    quantity: number
    held: number
    committed: number
    released: number
    allocations: { location: string; quantity: number; level_version: number }[]
  }[]
}

/** What is wrong between an answer and what the ledger has of it. */
const differences = (evidence: Evidence, event: EventRow, { operation, answer }: Wish): string | undefined => {
  const { action, args } = operation
  const entries = evidence.entriesOf.get(event.sequence) ?? []
  const { skus, codes } = evidence.snapshot
  if (action === 'hold' || action === 'execute' || action === 'release') {
    const hold = answer?.body as WireHold
    const stands = event.hold
    if (uuidOf(hold.id) !== event.subject) return `it was answered as ${hold.id}, and its event is about ${event.subject}`
    if (!evidence.snapshot.holds.some(({ id }) => id === event.subject)) return `${hold.id} is not there`
    const answered = hold.lines.flatMap(({ sku, allocations }) => allocations.map(({ location, quantity }) => `${quantity} ${sku}@${location}`))
    const kept = (stands?.allocations ?? []).map((one) => `${one.quantity} ${skus.get(one.item)}@${codes.get(one.location)}`)
    if (answered.toSorted().join() !== kept.toSorted().join()) return `answered ${answered.join(', ')}; kept ${kept.join(', ')}`
    for (const { sku, allocations } of hold.lines)
      for (const { location, level_version: version } of allocations) {
        const entry = entries.find((one) => skus.get(one.item) === sku && codes.get(one.location) === location)
        if (entry !== undefined && entry.version !== version) return `answered version ${version} of ${sku}@${location}, and made ${entry.version}`
      }
    if (action === 'hold') {
      const asked = args.body as { lines: { sku: string; quantity: number }[] }
      const wanted = asked.lines.map(({ sku, quantity }) => `${quantity} ${sku}`).toSorted()
      const got = hold.lines.map(({ sku, quantity }) => `${quantity} ${sku}`).toSorted()
      if (wanted.join() !== got.join()) return `asked ${wanted.join(', ')}; got ${got.join(', ')}`
    }
    return undefined
  }
  if (action === 'receive' && event.type === 'stock.received') {
    const { lines } = args.body as { lines: { sku: string; quantity: number }[] }
    const sums = new Map<string, number>()
    for (const { sku, quantity } of lines) sums.set(sku, (sums.get(sku) ?? 0) + quantity)
    const brought = entries.map((one) => `${one.quantity} ${skus.get(one.item)}`).toSorted()
    const wanted = Array.from(sums, ([sku, quantity]) => `${quantity} ${sku}`).toSorted()
    if (brought.join() !== wanted.join()) return `brought ${wanted.join(', ')}; booked ${brought.join(', ')}`
  }
  return undefined
}

const eventsBySubject = new WeakMap<Evidence, Map<string, EventRow[]>>()
const eventsOf = (evidence: Evidence, id: string): readonly EventRow[] => {
  let found = eventsBySubject.get(evidence)
  if (found === undefined) {
    found = Map.groupBy(evidence.snapshot.events, ({ subject }) => subject)
    eventsBySubject.set(evidence, found)
  }
  return found.get(uuidOf(id) ?? '') ?? []
}

/** 202 is a promise as well. Whoever asks again under the key hears what became of it; whoever does not must not need to. */
const checkKept = ({ snapshot }: Evidence, wish: Wish): Violation[] => {
  const { key } = wish.operation
  if (wish.outcome !== 'unknown' || wish.events.length > 0 || !wish.attempts.some(isKept)) return []
  return key !== null && snapshot.parked.includes(key) ? [] : [{ check: CHECKS.kept, what: `${said(wish)} was, and nothing of it is there` }]
}

const checkRefused = (wish: Wish): Violation[] => {
  if (wish.outcome !== 'refused' || wish.events.length === 0) return []
  // Too little stock is not remembered: a try before it that was never answered may still have been on its way, and have come to
  // more luck. Any other refusal is remembered under the key, and whoever comes later hears it, too.
  const mayHaveComeLater = wish.attempts.some(({ outcome }) => outcome === 'unknown')
  if (mayHaveComeLater && codeOf(wish.answer) === 'insufficient_stock') return []
  return [{ check: CHECKS.refused, what: `${said(wish)} was refused as ${codeOf(wish.answer)}, and made sequence ${wish.events[0]?.sequence}` }]
}

const checkSame = (wish: Wish): Violation[] => {
  const definite = wish.attempts.filter(({ outcome }) => outcome !== 'unknown')
  const answers = definite.flatMap((attempt) => {
    const code = codeOf(attempt)
    return attempt.outcome === 'ok' ? [JSON.stringify(attempt.body)] : code === 'insufficient_stock' ? [] : [`refused: ${code}`]
  })
  const different = new Set(answers)
  return different.size <= 1 ? [] : [{ check: CHECKS.same, what: `${said(wish)}: ${[...different].join(' and ')}` }]
}

const checkReused = (wish: Wish): Violation[] =>
  wish.operation.again?.changed === true && (wish.outcome === 'ok' || wish.events.length > 0)
    ? [{ check: CHECKS.reused, what: `${said(wish)} was another request under a key that was used, and was done` }]
    : []

const checkReasons = ({ history }: Evidence): Violation[] =>
  history.operations.flatMap(({ i, action, attempts }) =>
    attempts.flatMap((attempt): Violation[] => {
      const code = codeOf(attempt)
      if (attempt.outcome === 'fail' && code !== undefined && !reasons.has(code))
        return [{ check: CHECKS.reasons, what: `operation ${i} (${action}) was refused as ${code}: ${JSON.stringify(attempt.body)}` }]
      if (code === 'internal_error')
        return [{ check: CHECKS.errors, what: `operation ${i} (${action}), try ${attempt.try}, at ${attempt.node}: ${JSON.stringify(attempt.body)}` }]
      return []
    }),
  )

const isOfStock = ({ type }: EventRow) => /^(stock|hold|transfer)\./.test(type)

const checkGhosts = ({ snapshot, askedFor }: Evidence): Violation[] =>
  snapshot.events.flatMap((event): Violation[] => {
    if (event.actor === 'system' || !isOfStock(event)) return []
    return askedFor(event) !== undefined ? [] : [{ check: CHECKS.ghosts, what: `${event.type} of sequence ${event.sequence}, by request ${event.requestId}` }]
  })

const checkKeys = ({ snapshot }: Evidence): Violation[] => {
  const bySequence = Map.groupBy(
    snapshot.keys.filter(({ sequence }) => sequence !== null),
    ({ sequence }) => sequence ?? -1,
  )
  const events = new Map(snapshot.events.map((event) => [event.sequence, event]))
  const violations: Violation[] = []
  for (const event of snapshot.events) {
    if (event.actor === 'system' || !isOfStock(event)) continue
    const keys = bySequence.get(event.sequence) ?? []
    if (keys.length !== 1) violations.push({ check: CHECKS.keys, what: `${event.type} of sequence ${event.sequence} has ${keys.length} keys` })
  }
  for (const [sequence, keys] of bySequence) {
    const event = events.get(sequence)
    if (event === undefined) violations.push({ check: CHECKS.keys, what: `key ${keys[0]?.key} says it made sequence ${sequence}, which is not there` })
    // A replay writes the row once more, and then its transaction is another one.
    for (const { key, replays, xmin } of keys)
      if (event !== undefined && replays === 0 && xmin !== event.xmin)
        violations.push({ check: CHECKS.keys, what: `key ${key} was written by transaction ${xmin}, its event ${sequence} by ${event.xmin}` })
  }
  return violations
}

const ENDS: ReadonlySet<string> = new Set(['executed', 'released', 'expired', 'canceled'])

/** Ended is what its state says: an event after that, other than a shipment, is one too many. */
const checkEnds = ({ snapshot }: Evidence): Violation[] =>
  [
    ...Map.groupBy(
      snapshot.events.filter(({ subjectKind, type }) => subjectKind === 'hold' && type.startsWith('hold.')),
      ({ subject }) => subject,
    ),
  ].flatMap(([hold, events]): Violation[] => {
    const ends = events.filter((event) => event.hold !== null && ENDS.has(event.hold.status))
    return ends.length <= 1
      ? []
      : [{ check: CHECKS.ends, what: `hold ${hold}: ${ends.map(({ type, sequence }) => `${type} of sequence ${sequence}`).join(', ')}` }]
  })

const wallMs = ({ history }: Evidence, ns: number) => history.startedAtMs + ns / 1e6

const checkDuring = (evidence: Evidence, wish: Wish): Violation[] => {
  if (evidence.clockWasSet) return []
  return wish.events.flatMap(({ atMs, sequence }): Violation[] => {
    const [from, to] = [wallMs(evidence, wish.invNs) - CLOCK_SLACK_MS, wallMs(evidence, wish.compNs) + CLOCK_SLACK_MS]
    return from <= atMs && atMs <= to
      ? []
      : [
          {
            check: CHECKS.during,
            what: `${said(wish)}: sequence ${sequence} is of ${(atMs - from).toFixed(0)} ms after it began, and it was known ${(to - from).toFixed(0)} ms after`,
          },
        ]
  })
}

/** By the clock on the wall, whatever the ledger says of its own. */
const checkLate = (evidence: Evidence, wish: Wish): Violation[] => {
  const { action } = wish.operation
  if (evidence.clockWasSet || (action !== 'execute' && action !== 'release')) return []
  return wish.events.flatMap((event): Violation[] => {
    const lateMs = wallMs(evidence, wish.invNs) - (event.hold?.expiresAtMs ?? Infinity)
    return lateMs <= CLOCK_SLACK_MS ? [] : [{ check: CHECKS.late, what: `${said(wish)} began ${lateMs.toFixed(0)} ms after the hold's end, and was done` }]
  })
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** The uuid behind an id as callers see it: a prefix, and 26 letters of base 32. */
const uuidOf = (id: string): string | undefined => {
  const letters = id.slice(id.indexOf('_') + 1)
  if (letters.length !== 26) return undefined
  let bits = 0n
  for (const letter of letters) bits = (bits << 5n) | BigInt(alphabet.indexOf(letter))
  const hex = bits.toString(16).padStart(32, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

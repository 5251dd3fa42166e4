// What must be so in every snapshot of the books, added up here from rows, without anything of what it judges.
import type { Evidence, Violation } from './evidence.ts'
import { states, type AllocationRow, type EventRow, type HoldRow } from './snapshot.ts'

const CHECKS = {
  versions: 'versions of a level are 1 to n, each made by one command',
  negative: 'no state of a level was ever below zero',
  level: 'a level is the sum of its entries',
  held: 'what is held and committed is what holds say',
  transit: 'nothing rests in transit',
  time: 'time runs forward along the versions of a level',
  lines: 'the lines of a hold add up',
  whole: 'a hold is placed whole, and given back whole',
  life: 'a hold lives once: placed, and then ended',
  due: 'nothing is done with a hold from its end on, and none ends before',
  swept: 'who is due is soon gone',
  sequences: 'sequences have no gap',
  subjects: 'versions of a subject are 1 to n',
} as const

/** A sweep comes every quarter of a second; this is for a machine that is busy. */
const SWEPT_MS = 5_000
const TRANSIT = 23

export const checkLaws = (evidence: Evidence): Violation[] => [
  ...checkLevels(evidence),
  ...checkTransit(evidence),
  ...checkHolds(evidence),
  ...checkLives(evidence),
  ...checkSequences(evidence),
]

const checkLevels = ({ levels, snapshot, levelName }: Evidence): Violation[] => {
  const violations: Violation[] = []
  const rows = new Map(snapshot.levels.map((row) => [levelName(row), row]))
  for (const name of new Set([...rows.keys(), ...levels.keys()])) {
    const history = levels.get(name)
    const row = rows.get(name)
    const made = history?.made ?? []
    let latestMs = 0
    for (let version = 1; version < made.length; version += 1) {
      const entries = made[version]
      if (entries === undefined) {
        violations.push({ check: CHECKS.versions, what: `${name} has no version ${version}, and has ${made.length - 1}` })
        continue
      }
      const sequences = new Set(entries.map(({ sequence }) => sequence))
      if (sequences.size > 1) violations.push({ check: CHECKS.versions, what: `${name}: version ${version} was made by ${[...sequences].join(' and ')}` })
      const negative = states.filter((state) => (history?.counts[version]?.[state] ?? 0) < 0)
      if (negative.length > 0) violations.push({ check: CHECKS.negative, what: `${name} at version ${version}: ${JSON.stringify(history?.counts[version])}` })
      const atMs = entries[0]?.atMs ?? 0
      if (atMs < latestMs) violations.push({ check: CHECKS.time, what: `${name}: version ${version} is ${latestMs - atMs} ms older than the one before` })
      latestMs = Math.max(latestMs, atMs)
    }
    const last = history?.counts.at(-1)
    const stands = row === undefined ? undefined : { ...row.counts, version: row.version }
    const sum = last === undefined ? undefined : { ...last, version: made.length - 1 }
    if (JSON.stringify(stands) !== JSON.stringify(sum))
      violations.push({ check: CHECKS.level, what: `${name} stands at ${JSON.stringify(stands)}, its entries add up to ${JSON.stringify(sum)}` })
  }
  const held = new Map<string, { held: number; committed: number }>()
  for (const { allocations } of snapshot.holds)
    for (const one of allocations) {
      const sum = held.get(levelName(one)) ?? { held: 0, committed: 0 }
      held.set(levelName(one), { held: sum.held + one.held, committed: sum.committed + one.committed })
    }
  for (const [name, { counts }] of rows) {
    const holds = held.get(name) ?? { held: 0, committed: 0 }
    if (holds.held !== counts.held || holds.committed !== counts.committed)
      violations.push({
        check: CHECKS.held,
        what: `${name} has ${counts.held} held and ${counts.committed} committed; holds say ${holds.held} and ${holds.committed}`,
      })
  }
  return violations
}

const checkTransit = ({ entriesOf }: Evidence): Violation[] =>
  [...entriesOf].flatMap(([sequence, entries]): Violation[] => {
    const rests = entries.reduce((sum, { from, to, quantity }) => sum + (to === TRANSIT ? quantity : 0) - (from === TRANSIT ? quantity : 0), 0)
    return rests === 0 ? [] : [{ check: CHECKS.transit, what: `sequence ${sequence} leaves ${rests} there` }]
  })

const addsUp = ({ quantity, held, committed, shipped, released }: AllocationRow) =>
  quantity === held + committed + shipped + released && Math.min(held, committed, shipped, released) >= 0

const checkHolds = ({ snapshot }: Evidence): Violation[] =>
  snapshot.holds.flatMap((hold): Violation[] => {
    const violations: Violation[] = []
    if (!hold.allocations.every(addsUp) || (hold.status !== 'active' && hold.allocations.some(({ held }) => held > 0)))
      violations.push({ check: CHECKS.lines, what: `hold ${hold.id}, ${hold.status}: ${JSON.stringify(hold.allocations)}` })
    if (hold.status === 'active' && hold.expiresAtMs + SWEPT_MS < snapshot.nowMs)
      violations.push({ check: CHECKS.swept, what: `hold ${hold.id} ended ${snapshot.nowMs - hold.expiresAtMs} ms ago, and is still active` })
    return violations
  })

/** What the events of each hold tell, one after the other, and what moved with each of them. */
const checkLives = (evidence: Evidence): Violation[] => {
  const holds = new Map(evidence.snapshot.holds.map((hold) => [hold.id, hold]))
  const lives = Map.groupBy(
    evidence.snapshot.events.filter(({ subjectKind }) => subjectKind === 'hold'),
    ({ subject }) => subject,
  )
  for (const id of holds.keys()) if (!lives.has(id)) return [{ check: CHECKS.life, what: `hold ${id} is there, and nothing tells of it` }]
  return [...lives].flatMap(([id, events]) => checkLife(evidence, id, holds.get(id), events))
}

const checkLife = (evidence: Evidence, id: string, hold: HoldRow | undefined, events: readonly EventRow[]): Violation[] => {
  const violations: Violation[] = []
  const wrong = (check: string, what: string) => violations.push({ check, what: `hold ${id}: ${what}` })
  if (hold === undefined) wrong(CHECKS.life, 'events tell of it, and it is not there')
  if (events[0]?.type !== 'hold.placed') wrong(CHECKS.life, `it began with ${events[0]?.type}`)
  let before: EventRow['hold'] = null
  for (const event of events) {
    const after = event.hold
    const moved = new Map<string, number>()
    for (const { item, location, quantity, from, to } of evidence.entriesOf.get(event.sequence) ?? []) {
      const name = `${from}>${to} ${item}@${location}`
      moved.set(name, (moved.get(name) ?? 0) + quantity)
    }
    if (event.type === 'stock.shipped' || after === null) continue
    for (const allocation of after.allocations) {
      const at = `${allocation.item}@${allocation.location}`
      const was = before?.allocations.find((one) => `${one.item}@${one.location}` === at)
      const expected = [
        [`1>2 ${at}`, event.type === 'hold.placed' ? allocation.quantity : 0],
        [`2>3 ${at}`, event.type === 'hold.executed' ? allocation.committed - (was?.committed ?? 0) : 0],
        [`2>1 ${at}`, event.type === 'hold.placed' ? 0 : allocation.released - (was?.released ?? 0)],
      ] as const
      for (const [movement, quantity] of expected)
        if ((moved.get(movement) ?? 0) !== quantity)
          wrong(CHECKS.whole, `${event.type} of sequence ${event.sequence} should have moved ${quantity} ${movement}, and moved ${moved.get(movement) ?? 0}`)
    }
    if (
      event.type === 'hold.executed' &&
      after.allocations.every(({ item, location, committed }) => {
        const was = before?.allocations.find((one) => one.item === item && one.location === location)
        return committed === (was?.committed ?? 0)
      })
    )
      wrong(CHECKS.life, `${event.type} of sequence ${event.sequence} executed nothing`)
    if (before !== null) {
      const isDue = event.atMs >= before.expiresAtMs
      if (event.type === 'hold.expired' ? !isDue : isDue)
        wrong(CHECKS.due, `${event.type} of sequence ${event.sequence} is of ${event.atMs - before.expiresAtMs} ms after its end`)
      if (before.status !== 'active') wrong(CHECKS.life, `it was ${before.status}, and then ${event.type} of sequence ${event.sequence}`)
    }
    before = after
  }
  if (hold !== undefined && before !== null && before.status !== hold.status) wrong(CHECKS.life, `it is ${hold.status}, and its events say ${before.status}`)
  return violations
}

const checkSequences = ({ snapshot }: Evidence): Violation[] => {
  const violations: Violation[] = []
  for (const [index, { sequence }] of snapshot.events.entries())
    if (sequence !== index + 1) {
      violations.push({ check: CHECKS.sequences, what: `the event at place ${index + 1} has sequence ${sequence}` })
      break
    }
  if (snapshot.head !== (snapshot.events.at(-1)?.sequence ?? 0))
    violations.push({ check: CHECKS.sequences, what: `the head is ${snapshot.head}, the last event ${snapshot.events.at(-1)?.sequence}` })
  for (const [subject, events] of Map.groupBy(snapshot.events, (event) => `${event.subjectKind} ${event.subject}`)) {
    const wrong = events.findIndex(({ subjectVersion }, index) => subjectVersion !== index + 1)
    if (wrong >= 0) violations.push({ check: CHECKS.subjects, what: `${subject}: version ${events[wrong]?.subjectVersion} in place ${wrong + 1}` })
  }
  return violations
}

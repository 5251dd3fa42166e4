// Whoever subscribed was told: every event, at least once, signed, and under a name that stays the same.
import type { Delivery } from '../receiver.ts'
import type { Violation } from './evidence.ts'
import type { Snapshot } from './snapshot.ts'

const CHECKS = {
  told: 'every event arrives where somebody subscribed to it',
  true: 'nothing arrives that did not happen',
  signed: 'what arrives is signed',
  name: 'an event keeps its name',
  queued: 'every event has its delivery',
} as const

export type Told = {
  /** Whether events of a type were asked for. */
  readonly isSubscribed: (type: string) => boolean
  /** Up to which sequence everything had left the outbox, and up to which it should have arrived. */
  readonly queuedUpTo: number
  readonly toldUpTo: number
}

export const checkWebhooks = (snapshot: Snapshot, log: readonly Delivery[], { isSubscribed, queuedUpTo, toldUpTo }: Told): Violation[] => {
  const violations: Violation[] = []
  const events = new Map(snapshot.events.map((event) => [event.sequence, event]))
  const names = new Map<number, string>()
  const taken = new Set<number>()
  for (const { id, verified, event, answered } of log) {
    if (!verified || event === undefined) {
      violations.push({ check: CHECKS.signed, what: `${id} was not` })
      continue
    }
    const { sequence, type } = event
    if (event.id !== id) violations.push({ check: CHECKS.name, what: `${event.id} was sent as ${id}` })
    const known = names.get(sequence)
    if (known !== undefined && known !== id) violations.push({ check: CHECKS.name, what: `sequence ${sequence} was ${known}, and is ${id}` })
    names.set(sequence, id)
    if (events.get(sequence)?.type !== type)
      violations.push({ check: CHECKS.true, what: `${type} of sequence ${sequence} was told, and the ledger has ${events.get(sequence)?.type}` })
    if (!isSubscribed(type)) violations.push({ check: CHECKS.true, what: `${type} of sequence ${sequence} was told, and nobody had asked for it` })
    if (typeof answered === 'number' && answered < 300) taken.add(sequence)
  }
  const queued = new Map(snapshot.deliveries.map((delivery) => [sequenceOf(delivery.event), delivery]))
  for (const { sequence, type } of snapshot.events) {
    if (!isSubscribed(type) || sequence > queuedUpTo) continue
    const delivery = queued.get(sequence)
    if (delivery === undefined) violations.push({ check: CHECKS.queued, what: `${type} of sequence ${sequence} has none` })
    // What failed twice, for whatever reason, is tried again in minutes: it waits, and that is seen.
    else if (sequence <= toldUpTo && !taken.has(sequence) && !(delivery.status === 'pending' && delivery.inFuture && delivery.failures >= 2))
      violations.push({ check: CHECKS.told, what: `${type} of sequence ${sequence} did not; its delivery is ${JSON.stringify(delivery)}` })
  }
  return violations
}

/** An event's uuid ends with its sequence. */
const sequenceOf = (uuid: string): number => Number(BigInt(`0x${uuid.replaceAll('-', '').slice(16)}`) & 0x3fff_ffff_ffff_ffffn)

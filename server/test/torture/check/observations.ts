// Who saw or made which version of which level, and when: what steps 2 and 3 of the checker go by.
import type { Attempt, Operation } from '../history.ts'
import type { Evidence, Counts } from './evidence.ts'
import { states } from './snapshot.ts'

export type Observation = {
  readonly level: string
  readonly version: number
  /** It made this version; all others have only seen it. */
  readonly isWrite: boolean
  /** It may have been read a moment before it was asked for. */
  readonly isCached: boolean
  readonly invNs: number
  readonly compNs: number
  /** What it says that stood there: some of the counts, or what was too little. */
  readonly said: Partial<Counts> | undefined
  readonly requested: number | undefined
  /** The ledger's sequence that the whole answer is of. */
  readonly sequence: number | null
  readonly who: string
}

/** One that did, or saw, several things at once. */
export type Observer = {
  readonly who: string
  /** Which process said so; nothing for what was not heard from one. */
  readonly node: string | undefined
  readonly invNs: number
  readonly compNs: number
  readonly seen: readonly Observation[]
}

export const observersOf = (evidence: Evidence): Observer[] => [...writersOf(evidence), ...readersOf(evidence)]

const writersOf = (evidence: Evidence): Observer[] =>
  evidence.snapshot.events.flatMap((event): Observer[] => {
    const entries = evidence.entriesOf.get(event.sequence)
    if (entries === undefined) return []
    const wish = evidence.wishOf.get(event.sequence)
    const [invNs, compNs] = [wish?.invNs ?? -Infinity, wish?.compNs ?? Infinity]
    const who = `${event.type} of sequence ${event.sequence}${wish === undefined ? '' : ` (operation ${wish.operation.i})`}`
    const versions = new Map(entries.map((entry) => [evidence.levelName(entry), entry.version]))
    const seen = Array.from(versions, ([level, version]): Observation => ({
      level,
      version,
      isWrite: true,
      isCached: false,
      invNs,
      compNs,
      said: undefined,
      requested: undefined,
      sequence: event.sequence,
      who,
    }))
    return [{ who, node: undefined, invNs, compNs, seen }]
  })

const readersOf = (evidence: Evidence): Observer[] =>
  evidence.history.operations.flatMap((operation) =>
    operation.attempts.flatMap((attempt): Observer[] => {
      const { invNs, compNs } = attempt
      if (compNs === null || attempt.replayed) return []
      const seen = seenBy(operation, attempt, evidence)
      if (seen.length === 0) return []
      const who = `${operation.action} (operation ${operation.i}, try ${attempt.try})`
      return [
        {
          who,
          node: attempt.node,
          invNs,
          compNs,
          seen: seen.map((one) => ({ ...one, isWrite: false, isCached: operation.action === 'availability', invNs, compNs, sequence: attempt.sequence, who })),
        },
      ]
    }),
  )

type Seen = Pick<Observation, 'level' | 'version' | 'said' | 'requested'>

const seenBy = (operation: Operation, { outcome, body }: Attempt, evidence: Evidence): Seen[] => {
  if (outcome === 'fail') return shortagesIn(body)
  if (outcome !== 'ok') return []
  switch (operation.action) {
    case 'availability': {
      const { sku, locations, stale } = body as WireAvailability
      if (stale) return []
      const listed = locations.map((one): Seen => ({
        level: `${sku}@${one.location}`,
        version: one.level_version,
        said: { available: one.available_to_sell },
        requested: undefined,
      }))
      return [...listed, ...missing(listed, evidence, (level) => level.startsWith(`${sku}@`))]
    }
    case 'levels': {
      const { sku, locations } = body as { sku: string; locations: WireLevel[] }
      const listed = locations.map(levelSeen)
      return [...listed, ...missing(listed, evidence, (level) => level.startsWith(`${sku}@`))]
    }
    case 'level-list': {
      const { data, has_more: more } = body as { data: WireLevel[]; has_more: boolean }
      const location = /location=([^&]+)/.exec(operation.args.path)?.[1]
      const listed = data.map(levelSeen)
      return more ? listed : [...listed, ...missing(listed, evidence, (level) => level.endsWith(`@${location}`))]
    }
    default:
      return []
  }
}

/** A level that is not in a whole list was not there yet. */
const missing = (listed: readonly Seen[], { levels }: Evidence, isAsked: (level: string) => boolean): Seen[] => {
  const there = new Set(listed.map(({ level }) => level))
  return [...levels.keys()].flatMap((level) => (isAsked(level) && !there.has(level) ? [{ level, version: 0, said: undefined, requested: undefined }] : []))
}

type WireAvailability = { sku: string; stale: boolean; locations: { location: string; available_to_sell: number; level_version: number }[] }
type WireLevel = Counts & { sku: string; location: string; version: number }
type WireShortage = { sku: string; location: string | null; requested: number; available: number; level_version: number | null }

const levelSeen = (level: WireLevel): Seen => ({
  level: `${level.sku}@${level.location}`,
  version: level.version,
  said: Object.fromEntries(states.map((state) => [state, level[state]])),
  requested: undefined,
})

/** A shortage says which version of the level it was judged by. One that was sought everywhere does not. */
const shortagesIn = (body: unknown): Seen[] => {
  const { code, shortages } = body as { code?: string; shortages?: WireShortage[] } // a problem
  if (code !== 'insufficient_stock') return []
  return (shortages ?? []).flatMap(({ sku, location, requested, available, level_version: version }) =>
    location === null || version === null ? [] : [{ level: `${sku}@${location}`, version, said: { available }, requested }],
  )
}

// What of the stock a caller may see and move, where they are restricted to some locations. Every handler of stock asks here.
//
//   naming another location, in a write or in a read     permission_denied
//   a document or a hold that lies wholly elsewhere      not_found, as if there were none
//   acting on a hold that lies partly elsewhere          permission_denied: half of it would be moved without leave
//   the next step of a transfer                          where it is done: it leaves by one end's word, and arrives by the other's
//   reading one that lies partly elsewhere               the whole of it: it is one document, and half of it would be false
//   lists, levels, availability, sourcing                their own locations and no others; lists are filtered where they are read
//
// Where a caller is restricted to nothing of this kind, `reach` is null, and nothing is looked up, read or filtered for them.
import type { DocumentAnswer } from '../../domain/event.ts'
import type { Hold } from '../../domain/hold.ts'
import { encodeId, type LocationNumber, type Uuid } from '../../domain/ids.ts'
import type { Candidate } from '../../domain/sourcing.ts'
import { locationsOfWork } from '../../domain/work.ts'
import { getHold } from '../../storage/holds.ts'
import type { Pool } from '../../storage/pool.ts'
import { Refused } from '../answer.ts'
import type { Caller } from '../service.ts'
import type { Catalog, CatalogLocation } from './catalog.ts'

/** The only locations of a caller, by number. Null: all that there are. */
export type Reach = ReadonlySet<LocationNumber> | null

export const reachOf = (catalog: Pick<Catalog, 'location'>, { locations }: Caller): Reach | Promise<Reach> =>
  locations === null ? null : numbersOf(catalog, locations)

const numbersOf = async (catalog: Pick<Catalog, 'location'>, codes: ReadonlySet<string>): Promise<Reach> => {
  const own = new Set<LocationNumber>()
  for (const code of codes) {
    const location = await catalog.location(code)
    if (location !== undefined) own.add(location.number)
  }
  return own
}

/** For a filter of a list; null: everything. */
export const listed = (reach: Reach): LocationNumber[] | null => reach && [...reach]

/** Throws `permission_denied` for a location that is not the caller's. Otherwise answers it. */
export const within = (reach: Reach, location: CatalogLocation): CatalogLocation => {
  if (reach !== null && !reach.has(location.number)) throw new Refused('permission_denied', `this caller may not work with ${location.code}`)
  return location
}

/** The same, for the place where the next step of a document is done. */
export const checkPlace = (reach: Reach, place: LocationNumber, { code }: Pick<Catalog, 'code'>): void => {
  if (reach !== null && !reach.has(place)) throw new Refused('permission_denied', `this is done at ${code(place)}, where this caller may not work`)
}

/** The candidates that a caller may take from. */
export const candidatesWithin = (reach: Reach, candidates: readonly Candidate[]): readonly Candidate[] =>
  reach === null ? candidates : candidates.filter(({ location }) => reach.has(location))

/** Every location that a document is about. A new kind of document says here where it lies. */
const placesOf = (answer: DocumentAnswer): readonly LocationNumber[] => {
  switch (answer.kind) {
    case 'hold':
      return answer.hold.allocations.map(({ location }) => location)
    case 'receipt':
      return [answer.receipt.location]
    case 'adjustment':
      return [answer.adjustment.location]
    case 'shipment':
      return answer.shipment.lines.flatMap(({ allocations }) => allocations.map(({ location }) => location))
    case 'return':
      return [answer.return.location]
    case 'transfer':
      return locationsOfWork(answer.transfer)
    case 'inbound_shipment':
      return locationsOfWork(answer.inbound)
    case 'count':
      return locationsOfWork(answer.count)
  }
}

/** Whether any of it is the caller's: then they may read it. */
export const isSeen = (reach: Reach, answer: DocumentAnswer): boolean => reach === null || placesOf(answer).some((location) => reach.has(location))

/** Whether all of it is the caller's: then they may act on it. */
const isOwn = (reach: Reach, answer: DocumentAnswer): boolean => reach === null || placesOf(answer).every((location) => reach.has(location))

/** Whether they may hear again what they did. Of a transfer, one end is theirs, and what is done at the other is no secret. */
export const mayHear = (reach: Reach, answer: DocumentAnswer): boolean => (answer.kind === 'transfer' ? isSeen(reach, answer) : isOwn(reach, answer))

/** A hold as the caller sees it: nothing where it lies wholly elsewhere. */
export const seen = (reach: Reach, hold: Hold | undefined): Hold | undefined => (hold && isSeen(reach, { kind: 'hold', hold }) ? hold : undefined)

/**
 * Throws when the caller may not act on a hold. It is read before it is locked, which is soon enough: the places of a hold's
 * allocations never change. Of one that is not there at all, the ledger says so.
 */
export const checkHold = async (reach: Reach, pool: Pool, id: Uuid): Promise<void> => {
  if (reach === null) return
  const hold = await getHold(pool, id)
  if (hold === undefined) return
  const answer = { kind: 'hold', hold } as const
  if (!isSeen(reach, answer)) throw new Refused('not_found', `there is no hold ${encodeId('hold', id)}`)
  if (!isOwn(reach, answer)) throw new Refused('permission_denied', `${encodeId('hold', id)} holds stock at locations that this caller may not work with`)
}

// Documents that have a life of their own: they are made, go on step by step, and end. Holds have one too, and are kept apart
// because there are so many of them.
import type { Count } from './count.ts'
import type { DocumentAnswer } from './event.ts'
import type { InboundShipment } from './inbound-shipment.ts'
import type { ItemNumber, LocationNumber } from './ids.ts'
import type { Transfer } from './transfer.ts'

export type Work = Transfer | InboundShipment | Count
export type WorkKind = Work['kind']

/** A document with a life of its own as the answer of the command that made it so. */
export const answerOf = (work: Work): DocumentAnswer => {
  switch (work.kind) {
    case 'transfer':
      return { kind: 'transfer', transfer: work }
    case 'inbound_shipment':
      return { kind: 'inbound_shipment', inbound: work }
    case 'count':
      return { kind: 'count', count: work }
  }
}

/** The locations it concerns: where it comes from first. */
export const locationsOfWork = (work: Work): LocationNumber[] => (work.kind === 'transfer' ? [work.from, work.to] : [work.location])

/** The levels that its next step may touch. */
export const levelsOfWork = (work: Work): { readonly item: ItemNumber; readonly location: LocationNumber }[] =>
  locationsOfWork(work).flatMap((location) => work.lines.map(({ item }) => ({ item, location })))

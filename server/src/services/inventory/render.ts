// Domain to wire: numbers become skus and codes, uuids become ids, instants become ISO 8601.
import type { OutputOf, Operations } from '@holdfast/contract'
import { outstanding, type ExpectedLine } from '../../domain/arrival.ts'
import type { DocumentAnswer, EventData, WrittenEvent } from '../../domain/event.ts'
import { total, type Hold } from '../../domain/hold.ts'
import { encodeId, eventUuid, type IdKind, type ItemNumber, type LocationNumber, type Uuid } from '../../domain/ids.ts'
import { availableToSell, onHand } from '../../domain/level.ts'
import type { Shortage } from '../../domain/rejection.ts'
import type { Work, WorkKind } from '../../domain/work.ts'
import type { WrittenEntry } from '../../storage/entries.ts'
import type { Import, ImportError } from '../../storage/imports.ts'
import type { Item } from '../../storage/items.ts'
import type { StoodLevel } from '../../storage/levels.ts'
import type { Location } from '../../storage/locations.ts'
import type { Catalog } from './catalog.ts'
import { iso } from '../answer.ts'

export type WireHold = OutputOf<Operations['holds']['get']>
export type WireReceipt = OutputOf<Operations['receipts']['get']>
export type WireAdjustment = OutputOf<Operations['adjustments']['get']>
export type WireShipment = OutputOf<Operations['shipments']['get']>
export type WireReturn = OutputOf<Operations['returns']['get']>
export type WireWork = {
  transfer: OutputOf<Operations['transfers']['get']>
  inbound_shipment: OutputOf<Operations['inbound_shipments']['get']>
  count: OutputOf<Operations['counts']['get']>
}
export type WireLevel = OutputOf<Operations['stock_levels']['list']>['data'][number]
export type WireEntry = OutputOf<Operations['ledger_entries']['list']>['data'][number]
export type WireEvent = OutputOf<Operations['events']['get']>
export type WireItem = OutputOf<Operations['items']['get']>
export type WireLocation = OutputOf<Operations['locations']['get']>
export type WireShortage = WireHold['shortages'][number]

export type WireImport = OutputOf<Operations['imports']['get']>
export type WireImportError = OutputOf<Operations['imports']['errors']>['data'][number]

type Names = Pick<Catalog, 'sku' | 'code'>

/** The items that must be remembered before an answer can be rendered. */
export const itemsOf = (answer: DocumentAnswer): ItemNumber[] => {
  switch (answer.kind) {
    case 'hold':
      return [...answer.hold.allocations.map((allocation) => allocation.item), ...answer.hold.shortages.map((shortage) => shortage.item)]
    case 'receipt':
      return answer.receipt.lines.map((line) => line.item)
    case 'adjustment':
      return answer.adjustment.lines.map((line) => line.item)
    case 'shipment':
      return answer.shipment.lines.map((line) => line.item)
    case 'return':
      return answer.return.lines.map((line) => line.item)
    case 'transfer':
      return answer.transfer.lines.map((line) => line.item)
    case 'inbound_shipment':
      return answer.inbound.lines.map((line) => line.item)
    case 'count':
      return [...answer.count.lines.map((line) => line.item), ...(answer.count.items ?? [])]
  }
}

/** The items that must be remembered before what an event tells can be rendered. */
export const itemsOfEvent = (data: EventData): ItemNumber[] => (data.kind === 'stock_level' ? [data.level.item] : itemsOf(data))

export const renderShortage = (shortage: Shortage, names: Names, nextExpiryAt: number | null): WireShortage => ({
  sku: names.sku(shortage.item),
  location: shortage.location === null ? null : names.code(shortage.location),
  requested: shortage.requested,
  available: shortage.available,
  held: shortage.held,
  next_expiry_at: nextExpiryAt === null ? null : iso(nextExpiryAt),
  incoming: shortage.incoming,
  level_version: shortage.levelVersion,
})

export const renderHold = (hold: Hold, names: Names): WireHold => ({
  object: 'hold',
  id: encodeId('hold', hold.id),
  status: hold.status,
  customer: hold.customer ?? null,
  reference: hold.reference,
  mode: hold.mode,
  lines: holdLines(hold, names),
  shortages: hold.shortages.map((shortage) => renderShortage(shortage, names, null)),
  expires_at: iso(hold.expiresAt),
  created_at: iso(hold.createdAt),
  ended_at: hold.endedAt === null ? null : iso(hold.endedAt),
  version: hold.version,
  metadata: { ...hold.metadata },
})

const holdLines = (hold: Hold, names: Names): WireHold['lines'] => {
  const lines: WireHold['lines'] = []
  for (const [item, allocations] of Map.groupBy(hold.allocations, (allocation) => allocation.item)) {
    lines.push({
      sku: names.sku(item),
      quantity: total(allocations, 'quantity'),
      held: total(allocations, 'held'),
      committed: total(allocations, 'committed'),
      shipped: total(allocations, 'shipped'),
      released: total(allocations, 'released'),
      returned: total(allocations, 'returned'),
      allocations: allocations.map(({ location, quantity, held, committed, shipped, released, levelVersion }) => ({
        location: names.code(location),
        quantity,
        held,
        committed,
        shipped,
        released,
        level_version: levelVersion,
      })),
    })
  }
  return lines
}

type Documents = { receipt: WireReceipt; adjustment: WireAdjustment; shipment: WireShipment; return: WireReturn } & WireWork
type Rendered<Answer extends DocumentAnswer> = Answer extends { kind: infer Kind } ? (Kind extends keyof Documents ? Documents[Kind] : WireHold) : never

/** The document of an answer, with the sequence of the event that made it. */
export const renderAnswer = <Answer extends DocumentAnswer>(answer: Answer, sequence: number, names: Names): Rendered<Answer> =>
  rendered(answer, sequence, names) as Rendered<Answer> // one kind in, its document out

const rendered = (answer: DocumentAnswer, sequence: number, names: Names): WireHold | Documents[keyof Documents] => {
  switch (answer.kind) {
    case 'hold':
      return renderHold(answer.hold, names)
    case 'receipt': {
      const { id, location, lines, ...rest } = answer.receipt
      return {
        object: 'receipt',
        id: encodeId('receipt', id),
        location: names.code(location),
        lines: lines.map(({ item, quantity, levelVersion }) => ({ sku: names.sku(item), quantity, level_version: levelVersion })),
        ...noted(rest, sequence),
      }
    }
    case 'adjustment': {
      const { id, location, reason, lines, ...rest } = answer.adjustment
      return {
        object: 'adjustment',
        id: encodeId('adjustment', id),
        location: names.code(location),
        reason: reason as WireAdjustment['reason'], // was checked at the door
        lines: lines.map(({ item, quantity, from, to, levelVersion }) => ({ sku: names.sku(item), quantity, from, to, level_version: levelVersion })),
        ...noted(rest, sequence),
      }
    }
    case 'shipment': {
      const { id, hold, lines, ...rest } = answer.shipment
      return {
        object: 'shipment',
        id: encodeId('shipment', id),
        hold: encodeId('hold', hold),
        lines: lines.map(({ item, quantity, allocations }) => ({
          sku: names.sku(item),
          quantity,
          allocations: allocations.map((allocation) => ({
            location: names.code(allocation.location),
            quantity: allocation.quantity,
            level_version: allocation.levelVersion,
          })),
        })),
        ...noted(rest, sequence),
      }
    }
    case 'return': {
      const { id, hold, location, lines, ...rest } = answer.return
      return {
        object: 'return',
        id: encodeId('return', id),
        hold: hold === null ? null : encodeId('hold', hold),
        location: names.code(location),
        lines: lines.map(({ item, quantity, to, levelVersion }) => ({ sku: names.sku(item), quantity, to, level_version: levelVersion })),
        ...noted(rest, sequence),
      }
    }
    case 'transfer':
      return renderWork('transfer', answer.transfer, names)
    case 'inbound_shipment':
      return renderWork('inbound_shipment', answer.inbound, names)
    case 'count':
      return renderWork('count', answer.count, names)
  }
}

export const renderWork = <Kind extends WorkKind>(_kind: Kind, work: Extract<Work, { kind: Kind }>, names: Names): WireWork[Kind] =>
  workRendered(work, names) as WireWork[Kind] // one kind in, the same out

const workRendered = (work: Work, names: Names): WireWork[WorkKind] => {
  const { id, kind, reference, metadata, createdAt, version } = work
  const common = {
    id: encodeId(kind, id),
    reference,
    metadata: { ...metadata },
    created_at: iso(createdAt),
    ended_at: isoOrNull(work.endedAt),
    version,
  }
  switch (work.kind) {
    case 'transfer':
      return {
        object: 'transfer',
        ...common,
        status: work.status,
        from: names.code(work.from),
        to: names.code(work.to),
        dispatched_at: isoOrNull(work.dispatchedAt),
        lines: work.lines.map((line) => ({
          ...expectedLine(line, names, work.status === 'dispatched'),
          from_level_version: line.sourceVersion,
          to_level_version: line.levelVersion,
        })),
      }
    case 'inbound_shipment':
      return {
        object: 'inbound_shipment',
        ...common,
        status: work.status,
        supplier: work.supplier,
        location: names.code(work.location),
        expected_at: isoOrNull(work.expectedAt),
        lines: work.lines.map((line) => ({ ...expectedLine(line, names, true), level_version: line.levelVersion })),
      }
    case 'count':
      return {
        object: 'count',
        ...common,
        status: work.status,
        location: names.code(work.location),
        skus: work.items?.map((item) => names.sku(item)) ?? null,
        lines: work.lines.map((line) => ({
          sku: names.sku(line.item),
          counted: line.counted,
          expected: line.expected,
          difference: line.counted - line.expected,
          counted_at: iso(line.countedAt),
          as_of_sequence: line.asOf,
          level_version: line.levelVersion,
        })),
      }
  }
}

const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms))

/** @param onItsWay  before and after, nothing is outstanding */
const expectedLine = (line: ExpectedLine, names: Names, onItsWay: boolean) => ({
  sku: names.sku(line.item),
  quantity: line.quantity,
  outstanding: onItsWay ? outstanding(line) : 0,
  received: line.received,
  missing: line.missing,
  excess: line.excess,
  withdrawn: line.withdrawn,
})

const noted = (
  { reference, metadata, createdAt }: { reference: string | null; metadata: Readonly<Record<string, string>>; createdAt: number },
  sequence: number,
) => ({ reference, metadata: { ...metadata }, created_at: iso(createdAt), sequence })

const counts = (level: StoodLevel) => ({
  on_hand: onHand(level),
  available: level.available,
  held: level.held,
  committed: level.committed,
  damaged: level.damaged,
  quality_control: level.quality_control,
  incoming: level.incoming,
  safety_stock: level.safetyStock,
  available_to_sell: availableToSell(level),
})

export const renderLevel = (level: StoodLevel, names: Names): WireLevel => ({
  object: 'stock_level',
  sku: names.sku(level.item),
  location: names.code(level.location),
  ...counts(level),
  version: level.version,
  updated_at: level.updatedAt === null ? null : iso(level.updatedAt),
})

/** The counts of several levels, added up. */
export const renderTotal = (levels: readonly StoodLevel[]) => {
  const sum = { on_hand: 0, available: 0, held: 0, committed: 0, damaged: 0, quality_control: 0, incoming: 0, safety_stock: 0, available_to_sell: 0 }
  for (const level of levels) for (const [count, value] of Object.entries(counts(level))) sum[count as keyof typeof sum] += value // the same keys
  return sum
}

/** An entry has no number of its own: its sequence and its movement name it. */
export const entryId = ({ sequence, item, location, from, to }: WrittenEntry): string => `ent_${sequence}-${item}-${location}-${from}-${to}`

export const renderEntry = (entry: WrittenEntry, names: Names): WireEntry => ({
  object: 'ledger_entry',
  id: entryId(entry),
  sequence: entry.sequence,
  sku: names.sku(entry.item),
  location: names.code(entry.location),
  from: entry.from,
  to: entry.to,
  quantity: entry.quantity,
  level_version: entry.levelVersion,
  document: encodeId(entry.document.kind, entry.document.id),
  occurred_at: iso(entry.occurredAt),
})

const eventKinds: ReadonlySet<string> = new Set<EventData['kind']>([
  'hold',
  'receipt',
  'adjustment',
  'shipment',
  'return',
  'transfer',
  'inbound_shipment',
  'count',
  'stock_level',
])
/** Stock events tell what the domain knows; those of items and locations stand as they are told. */
export const isOfStock = (data: unknown): data is EventData =>
  typeof data === 'object' && data !== null && 'kind' in data && typeof data.kind === 'string' && eventKinds.has(data.kind)

export const renderEvent = (event: WrittenEvent, names: Names): WireEvent => ({
  object: 'event',
  id: encodeId('event', eventUuid(event.occurredAt, 0, event.sequence)),
  type: event.type as WireEvent['type'], // written from the same list
  occurred_at: iso(event.occurredAt),
  sequence: event.sequence,
  subject: {
    object: event.subject.kind,
    version: event.subject.version,
    id: subjectId(event.subject, names),
  },
  actor: event.actor,
  request_id: event.requestId,
  data: isOfStock(event.data) ? renderEventData(event.data, event, names) : event.data,
})

const renderEventData = (data: EventData, { sequence, occurredAt }: WrittenEvent, names: Names) =>
  data.kind === 'stock_level' ? renderLevel({ ...data.level, updatedAt: occurredAt }, names) : renderAnswer(data, sequence, names)

/** A document by its id, a level as `sku@location`, anything else by its own name. */
const subjectId = ({ kind, id }: WrittenEvent['subject'], names: Names): string => {
  if (kind === 'stock_level') {
    const [item, location] = id.split('@').map(Number)
    return levelName(item as ItemNumber, location as LocationNumber, names) // written by levelSubject
  }
  return eventKinds.has(kind) ? encodeId(kind as IdKind, id as Uuid) : id // of the same kinds, just asked
}

const levelName = (item: ItemNumber, location: LocationNumber, names: Names): string => `${names.sku(item)}@${names.code(location)}`

export const renderItem = (item: Item): WireItem => ({
  object: 'item',
  sku: item.sku,
  name: item.name,
  description: item.description,
  brand: item.brand,
  category: item.category,
  price: item.price === null ? null : { ...item.price },
  barcode: item.barcode,
  attributes: { ...item.attributes },
  metadata: { ...item.metadata },
  safety_stock: item.safetyStock,
  reorder_point: item.reorderPoint,
  purchase_limit: item.purchaseLimit === null ? null : { quantity: item.purchaseLimit.quantity, window_seconds: item.purchaseLimit.windowSeconds },
  status: item.status,
  version: item.version,
  created_at: iso(item.createdAt),
  updated_at: iso(item.updatedAt),
})

export const renderLocation = (location: Location): WireLocation => ({
  object: 'location',
  code: location.code,
  name: location.name,
  kind: location.kind,
  priority: location.priority,
  address: location.address === null ? null : { ...location.address },
  latitude: location.latitude,
  longitude: location.longitude,
  metadata: { ...location.metadata },
  status: location.status,
  version: location.version,
  created_at: iso(location.createdAt),
  updated_at: iso(location.updatedAt),
})

export const renderImport = (made: Import): WireImport => ({
  object: 'import',
  id: encodeId('import', made.id),
  status: made.status,
  dry_run: made.dryRun,
  format: made.format,
  on_existing: made.onExisting,
  location: made.location,
  rows_read: made.rowsRead,
  items_created: made.itemsCreated,
  items_updated: made.itemsUpdated,
  items_unchanged: made.itemsUnchanged,
  units_received: made.unitsReceived,
  rows_skipped: made.rowsSkipped,
  rows_failed: made.rowsFailed,
  bytes: made.bytes,
  failure: made.failure as WireImport['failure'], // only codes of the closed list are written
  created_at: iso(made.createdAt),
  updated_at: iso(made.updatedAt),
  completed_at: made.completedAt === null ? null : iso(made.completedAt),
})

export const renderImportError = ({ row, line, sku, code, message, errors, raw }: ImportError): WireImportError => ({
  object: 'import_error',
  row,
  line,
  sku,
  code: code as WireImportError['code'], // only codes of the closed list are written
  message,
  errors: [...errors],
  raw,
})

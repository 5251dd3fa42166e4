// The inventory role: everything that is asked about stock.
import type { Uuid } from '../../domain/ids.ts'
import type { ImportLimits } from '../../platform/limits.ts'
import { stateOf } from '../../platform/loop.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { Pool } from '../../storage/pool.ts'
import { guarded } from '../answer.ts'
import type { Service } from '../service.ts'
import type { ReadAvailability } from './availability.ts'
import { named, type Catalog } from './catalog.ts'
import { documentHandlers } from './documents.ts'
import { eventHandlers } from './events.ts'
import { holdHandlers } from './holds.ts'
import type { RowReader } from './import-rows.ts'
import { importHandlers } from './imports.ts'
import { itemHandlers } from './items.ts'
import type { LevelReader } from './level-reader.ts'
import { locationHandlers } from './locations.ts'
import { nextExpiry, type NextExpiry } from './next-expiry.ts'
import { mayHear, reachOf } from './reach.ts'
import { stockHandlers } from './stock.ts'
import { submitter } from './submit.ts'
import { workHandlers } from './work.ts'

export type InventoryDeps = {
  readonly ledger: Ledger
  readonly pool: Pool
  readonly catalog: Catalog
  /** As new as the ledger. */
  readonly readLevels: LevelReader
  /** As it was read a moment ago. */
  readonly readAvailability: ReadAvailability
  /** Ids of documents: UUIDv7, growing. */
  readonly newId: () => Uuid
  readonly ttl: { readonly defaultSeconds: number; readonly longestSeconds: number }
  readonly nextExpiryLimits: Parameters<typeof nextExpiry>[0]['limits']
  readonly wait: (ms: number) => Promise<void>
  readonly imports: { readonly limits: ImportLimits; readonly rows: RowReader; readonly onFault: (error: unknown) => void }
}

export const inventory = (deps: InventoryDeps): Service<'inventory'> => {
  const next: NextExpiry = nextExpiry({ pool: deps.pool, limits: deps.nextExpiryLimits })
  const submit = submitter({
    ledger: deps.ledger,
    pool: deps.pool,
    catalog: deps.catalog,
    nextExpiry: next,
    mayHear: async (caller, answer) => mayHear(await reachOf(deps.catalog, caller), answer),
  })
  const imports = importHandlers(deps)
  // What could not be told for want of a location's name is done again: only reading comes to that, for what writes names its
  // answer itself.
  const naming = <Own extends Parameters<typeof guarded>[0]>(handlers: Own): Own => guarded(handlers, (handle) => named(deps.catalog, handle))
  const documents = documentHandlers(deps, submit)
  const stock = stockHandlers(deps)
  const work = workHandlers(deps, submit)
  return {
    name: 'inventory',
    handlers: {
      items: naming({ ...itemHandlers(deps), import: imports.run }),
      imports: naming(imports.read),
      locations: naming(locationHandlers(deps)),
      holds: naming(holdHandlers(deps, submit)),
      events: naming(eventHandlers(deps)),
      receipts: naming(documents.receipts),
      adjustments: naming(documents.adjustments),
      shipments: naming(documents.shipments),
      returns: naming(documents.returns),
      stock_levels: naming(stock.stock_levels),
      availability: naming(stock.availability),
      ledger_entries: naming(stock.ledger_entries),
      transfers: naming(work.transfers),
      inbound_shipments: naming(work.inbound_shipments),
      counts: naming(work.counts),
    },
    start: () => deps.catalog.start(),
    stop: () => deps.catalog.stop(),
    // It asks the database several times a second, whoever else does: so it is the first to know that it is away.
    state: () => stateOf({ 'reading the database': deps.catalog }),
  }
}

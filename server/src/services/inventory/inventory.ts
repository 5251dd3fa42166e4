// The inventory role: everything that is asked about stock.
import type { Uuid } from '../../domain/ids.ts'
import type { ImportLimits } from '../../platform/limits.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { faultOf, type Fault } from '../../storage/fault.ts'
import type { Pool } from '../../storage/pool.ts'
import type { Handlers, Service } from '../service.ts'
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
import { isOwn, reachOf } from './reach.ts'
import { stockHandlers } from './stock.ts'
import { Refused, refused, submitter } from './submit.ts'
import { workHandlers } from './work.ts'

export type InventoryDeps = {
  readonly ledger: Ledger
  readonly pool: Pool
  readonly catalog: Catalog
  readonly readLevels: LevelReader
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
    mayHear: async (caller, answer) => isOwn(await reachOf(deps.catalog, caller), answer),
  })
  const imports = importHandlers(deps)
  return {
    name: 'inventory',
    handlers: guarded(deps.catalog, {
      items: { ...itemHandlers(deps), import: imports.run },
      imports: imports.read,
      locations: locationHandlers(deps),
      holds: holdHandlers(deps, submit),
      events: eventHandlers(deps),
      ...documentHandlers(deps, submit),
      ...stockHandlers(deps),
      ...workHandlers(deps, submit),
    }),
    start: () => deps.catalog.start(),
    stop: () => deps.catalog.stop(),
  }
}

type AnyHandler = (input: never, call: never) => Promise<unknown>

/**
 * A refusal that was thrown becomes an answer, and so does a database that is away. Defects go on. What could not be told for
 * want of a location's name is done again: only reading comes to that, for what writes names its answer itself.
 */
const guarded = <Some extends Partial<Handlers>>(catalog: Catalog, handlers: Some): Some => {
  const guard =
    (handler: AnyHandler): AnyHandler =>
    async (input, call) => {
      try {
        return await named(catalog, () => handler(input, call))
      } catch (error) {
        if (error instanceof Refused) return refused(error.refusal)
        const fault = faultOf(error)
        if (fault) return refused(away(fault))
        throw error
      }
    }
  const resources = Object.entries(handlers).map(([resource, byName]) => [
    resource,
    Object.fromEntries(Object.entries(byName).map(([name, handler]) => [name, guard(handler as AnyHandler)])),
  ]) // each is some operation's handler
  return Object.fromEntries(resources) as Some // the same names, guarded
}

const away = (fault: Fault) =>
  fault.kind === 'busy' || fault.kind === 'refused'
    ? ({ code: 'overloaded', detail: 'the database is busy; nothing was done, try again', retryAfterSeconds: 1 } as const)
    : ({ code: 'unavailable', detail: 'the database cannot be reached; try again', retryAfterSeconds: 1 } as const)

// What keeps stock in a process: the ledger, the catalogue, and what is remembered of availability. They know of each other: what has
// happened is at once what is shown.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from './config.ts'
import { ledger as openLedger, type Ledger } from './ledger/ledger.ts'
import { limits } from './platform/limits.ts'
import type { Metrics } from './platform/metrics.ts'
import type { Redis } from './platform/redis.ts'
import { availability as openAvailability, uncachedAvailability, type Availability } from './services/inventory/availability.ts'
import { catalog as openCatalog, type Catalog } from './services/inventory/catalog.ts'
import { levelReader, type LevelReader } from './services/inventory/level-reader.ts'
import { isAway } from './storage/fault.ts'
import { postgresStore } from './storage/ledger-store.ts'
import type { Pool } from './storage/pool.ts'

export type Stock = {
  readonly ledger: Ledger
  readonly catalog: Catalog
  readonly readLevels: LevelReader
  readonly availability: Availability
}

export type StockDeps = {
  readonly readPool: Pool
  readonly lookUpPool: Pool
  readonly ledgerPool: Pool
  readonly prepare: boolean
  readonly cache: Config['cache']
  /** Whether everything that other processes do to stock is told to this one. */
  readonly isHeard: () => boolean
  readonly redis: Redis | undefined
  /** What tells databases apart that share one Redis; undefined until that is known. */
  readonly databaseName: () => string | undefined
  readonly metrics: Metrics
  /** Tells what failed in a part, and is tried again. */
  readonly onFault: (part: string) => (error: unknown) => void
}

export const keepStock = ({ readPool, lookUpPool, ledgerPool, prepare, cache, isHeard, redis, databaseName, metrics, onFault }: StockDeps): Stock => {
  const readLevels = levelReader({ pool: readPool, limits: limits.reads })
  const fromWhere = {
    memory: metrics.counter('availability_from_memory_total', 'Items whose availability was answered from the memory of the process.'),
    shared: metrics.counter('availability_from_redis_total', 'Items whose availability was answered from Redis.'),
    source: metrics.counter('availability_from_database_total', 'Items whose availability was asked of the database.'),
    stale: metrics.counter('availability_stale_total', 'Items whose availability was answered as it was, because the database was away.'),
  }
  const redisFaults = metrics.counter('availability_redis_faults_total', 'Times that Redis failed the cache, and was left alone.')
  const onCacheFault = onFault('availability in Redis')
  const remembering = () =>
    openAvailability({
      readLevels,
      limits: limits.cache,
      ttlMs: () => (isHeard() ? limits.cache.ttlMs : limits.cache.unheardTtlMs),
      staleMs: cache.staleSeconds * 1_000,
      shared: redis && {
        redis,
        prefix: () => {
          const name = databaseName()
          return name && `holdfast:availability:${name}:`
        },
        onFault: (error) => {
          redisFaults.add(1)
          onCacheFault(error)
        },
      },
      wait: sleep,
      onAway: onFault('availability'),
      onRead: (from, count) => {
        if (count > 0) fromWhere[from].add(count)
      },
    })
  const availability = cache.isOn ? remembering() : uncachedAvailability(readLevels)
  metrics.gauge('availability_remembered', 'Items whose availability the process remembers.', availability.size)

  const onCatalogFault = onFault('catalog')
  let unsureAt = Number.NEGATIVE_INFINITY
  const catalog = openCatalog({
    pool: lookUpPool,
    limits: { ...limits.catalog, reads: limits.reads },
    // It asks several times a second, whoever else does: so it learns of a database that hangs, whose connections do not break.
    onFault: (error) => {
      const now = performance.now()
      if (isAway(error) && now - unsureAt > limits.catalog.unsureMs) {
        unsureAt = now
        availability.unsure()
      }
      onCatalogFault(error)
    },
    onChanged: (item, sequence) => availability.changed([item], sequence),
  })

  const batchSizes = metrics.histogram('ledger_batch_requests', 'Requests in one batch.', [1, 2, 4, 8, 16, 32, 64, 128, 256])
  const reruns = metrics.counter('ledger_batches_run_again_total', 'Attempts at a batch that failed, whatever became of it.')
  const onLedgerFault = onFault('ledger')
  const ledger = openLedger({
    store: postgresStore({ pool: ledgerPool, prepare }),
    thresholdsOf: catalog.thresholdsOf,
    limits: limits.ledger,
    wait: sleep,
    soon: setImmediate,
    onStood: availability.changed,
    onUnsure: availability.unsure,
    onBatch: ({ requests }) => batchSizes.observe(requests),
    onFault: (error) => {
      reruns.add(1)
      onLedgerFault(error)
    },
  })
  metrics.gauge('ledger_queue_requests', 'Requests that wait for a batch.', () => ledger.load().waiting)

  return { ledger, catalog, readLevels, availability }
}

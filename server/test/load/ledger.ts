// Drives the ledger in its own process, without HTTP: callers in a closed loop, each placing holds of one unit of one item
// under a key of its own. Everything a hold writes is written. Answers one line of JSON.
import { hash } from 'node:crypto'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { itemNumber, locationNumber, type Uuid } from '../../src/domain/ids.ts'
import { noThresholds } from '../../src/domain/level.ts'
import { ledger, type Ledger } from '../../src/ledger/ledger.ts'
import { limits } from '../../src/platform/limits.ts'
import { uuidV7 } from '../../src/platform/random.ts'
import { postgresStore } from '../../src/storage/ledger-store.ts'
import { openPool } from '../../src/storage/pool.ts'

const { values: given } = parseArgs({
  options: {
    url: { type: 'string' },
    /** Items are asked for at random, of numbers 1 to this. 1: all callers want the same one. */
    items: { type: 'string' },
    callers: { type: 'string' },
    seconds: { type: 'string' },
    'warm-up': { type: 'string' },
  },
})
const { url } = given
if (url === undefined) throw new Error('usage: ledger.ts --url URL --items N --callers N --seconds S --warm-up S')
const items = Number(given.items ?? 10_000)
const callers = Number(given.callers ?? 512)
const seconds = Number(given.seconds ?? 10)
const warmUpSeconds = Number(given['warm-up'] ?? 2)

/** As the service digests a caller's key and request: 128 bits of SHA-256 as a uuid. */
const digest = (text: string): Uuid => {
  const hex = hash('sha256', text, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}` as Uuid // made of 32 hex digits
}

const run = `${process.pid}-${Date.now()}`
let asked = 0
const placeOne = async (stock: Ledger): Promise<void> => {
  asked += 1
  const key = digest(`key_load\n${run}-${asked}`)
  const item = itemNumber(1 + Math.floor(Math.random() * items))
  const outcome = await stock.submit({
    key: { key, fingerprint: digest(`holds.place\n${item}`) },
    actor: 'key_load',
    requestId: 'req_00000000000000000000',
    command: {
      type: 'PlaceHold',
      id: uuidV7() as Uuid,
      lines: [{ item, location: locationNumber(1), quantity: 1 }],
      mode: 'all_or_nothing',
      ttlMs: 3_600_000,
      candidates: [],
      strategy: 'priority',
      destination: null,
      customer: null,
      purchaseLimits: [],
      reference: null,
      metadata: {},
    },
  })
  if (!outcome.ok) throw new Error(`a hold was refused: ${JSON.stringify(outcome.rejection)}`)
}

/** Every caller asks again as soon as it was answered, until `ms` have passed. */
const drive = async (stock: Ledger, ms: number, latency?: RecordableHistogram): Promise<number> => {
  const end = performance.now() + ms
  let placed = 0
  const caller = async () => {
    for (let before = performance.now(); before < end;) {
      await placeOne(stock)
      const after = performance.now()
      latency?.record(Math.max(1, Math.round((after - before) * 1000)))
      placed += 1
      before = after
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return placed
}

const faults: unknown[] = []
const pool = openPool({
  url,
  size: limits.database.ledgerPool,
  pipeline: true,
  statementTimeoutMs: limits.database.batchStatementMs,
  lockTimeoutMs: limits.database.lockMs,
  applicationName: 'holdfast-load',
  onBroken: (error) => faults.push(error),
})
let batches = 0
let batched = 0
const stock = ledger({
  store: postgresStore({ pool, prepare: true }),
  thresholdsOf: () => noThresholds,
  limits: limits.ledger,
  wait: sleep,
  soon: setImmediate,
  onBatch: ({ requests }) => {
    batches += 1
    batched += requests
  },
  onFault: (fault) => faults.push(fault),
})

const warmUp = await drive(stock, warmUpSeconds * 1000)
batches = 0
batched = 0
const latency = createHistogram()
const cpuBefore = process.cpuUsage()
const before = performance.now()
const placed = await drive(stock, seconds * 1000, latency)
const elapsedMs = performance.now() - before
const cpu = process.cpuUsage(cpuBefore)
await stock.stop()
await pool.end()

console.log(
  JSON.stringify({
    placed,
    warmUp,
    seconds: elapsedMs / 1000,
    perSecond: (placed / elapsedMs) * 1000,
    p50Ms: latency.percentile(50) / 1000,
    p99Ms: latency.percentile(99) / 1000,
    holdsInABatch: batched / batches,
    cpuShare: (cpu.user + cpu.system) / 1000 / elapsedMs,
    rssMiB: process.memoryUsage.rss() / 2 ** 20,
    faults: faults.map(String),
  }),
)

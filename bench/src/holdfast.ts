// Holdfast as anybody would run it: `serve` on a database, with a key, spoken to over HTTP.
import { holdfast, type Holdfast } from '@holdfast/sdk'
import { makeDirectory, removeDirectory } from './directories.ts'
import type { Database } from './postgres.ts'
import { keep, run } from './processes.ts'
import { fromRoot } from './root.ts'

export type Server = {
  readonly url: string
  readonly pid: number
  /** A client of it. */
  readonly stock: Holdfast
  stop(): Promise<void>
}

export const API_KEY = 'hf_bench_0123456789abcdefghijklmnopqrstuvwxyz'
export const LOCATION = 'WH'
export const skuOf = (n: number): string => `SKU-${n}`
/** A receipt takes 2,000 lines at most; several are quicker than one. */
const RECEIPT_LINES = 500
const ITEMS_AT_A_TIME = 32

/**
 * @param settings  what an operator would set besides
 * @param workers  processes that share the port
 */
export const startHoldfast = async (database: Database, settings: Readonly<Record<string, string>> = {}, workers = 1): Promise<Server> => {
  const dataDir = makeDirectory('server')
  const args = [fromRoot('server/src/main.ts'), 'serve', '--workers', String(workers)]
  const server = keep({ program: process.execPath, args, env: { ...environment(database, dataDir), ...settings } })
  const stop = () => server.stop().finally(() => removeDirectory(dataDir))
  try {
    // Each worker says so when it takes requests.
    const url = /https?:\/\/\S+/.exec(await server.line((line) => line.includes('listens on http'), workers))?.[0]
    if (url === undefined) throw new Error('the server did not say where it listens')
    return { url, pid: server.pid, stock: holdfast({ url, apiKey: API_KEY }), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Brings a database to the form that this release needs. */
export const migrate = async (database: Database): Promise<void> => void (await command(database, ['migrate']))

/** Checks the books; answers how many things are wrong with them. */
export const verify = async (database: Database): Promise<{ readonly violations: number; readonly said: string }> => {
  try {
    const verified = JSON.parse(await command(database, ['verify', '--json'])) as { violations: readonly unknown[] } // what verify --json prints
    return { violations: verified.violations.length, said: '' }
  } catch (error) {
    return { violations: 1, said: error instanceof Error ? error.message : String(error) }
  }
}

/** Makes a location, items and their stock, through the front door. */
export const stockUp = async ({ stock }: Server, items: number, units: number): Promise<void> => {
  await stock.locations.create({ code: LOCATION, name: 'Warehouse' })
  let next = 1
  const makeItems = async () => {
    for (let n = next++; n <= items; n = next++) await stock.items.create({ sku: skuOf(n), name: `Item ${n}` })
  }
  await Promise.all(Array.from({ length: ITEMS_AT_A_TIME }, makeItems))
  for (let first = 1; first <= items; first += RECEIPT_LINES) {
    const lines = Array.from({ length: Math.min(RECEIPT_LINES, items - first + 1) }, (_, n) => ({ sku: skuOf(first + n), quantity: units }))
    await stock.receipts.create({ location: LOCATION, lines })
  }
}

const command = async (database: Database, args: readonly string[]): Promise<string> => {
  const dataDir = makeDirectory('command')
  try {
    return await run({ program: process.execPath, args: [fromRoot('server/src/main.ts'), ...args], env: environment(database, dataDir) })
  } finally {
    removeDirectory(dataDir)
  }
}

const environment = (database: Database, dataDir: string): Record<string, string> => ({
  DATABASE_URL: database.url,
  PORT: '0',
  HOST: '127.0.0.1',
  HOLDFAST_API_KEY: API_KEY,
  HOLDFAST_DATA_DIR: dataDir,
  HOLDFAST_LOG_LEVEL: 'warn',
})

// What whoever starts a server sees when its database goes away in the middle of that: nothing but that it takes longer.
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { ownDatabase, startServer, until } from '../support/server.ts'
import { faultProxy } from '../torture/fault-proxy.ts'

const OUTAGE_MS = 1_500

test('a server whose database goes away while it starts takes requests when it is back', { timeout: 90_000 }, async () => {
  const database = await ownDatabase()
  const real = new URL(database.url)
  const proxy = await faultProxy({ target: { host: real.hostname, port: Number(real.port) }, random: Math.random })
  const other = new pg.Client({ connectionString: database.url })
  await other.connect()
  onTestFinished(async () => {
    await other.end()
    await proxy.close()
  })
  // Whoever starts has found the database, and waits for one that makes tables.
  await other.query(`select pg_advisory_lock(hashtextextended('holdfast migrations of public', 0))`)
  const through = new URL(database.url)
  through.hostname = '127.0.0.1'
  through.port = String(proxy.port)
  const starting = startServer({ url: through.href, drop: async () => undefined })
  starting.catch(() => undefined)
  const waiting = `select from pg_stat_activity where datname = current_database() and query like '%pg_try_advisory_lock%' and pid <> pg_backend_pid()`
  await until('it waits', async () => (await other.query(waiting)).rowCount !== 0)

  proxy.fault({ kind: 'refuse' })
  await other.query('select pg_advisory_unlock_all()')
  const from = performance.now()
  await until('it has been away for a while', () => performance.now() - from > OUTAGE_MS)
  proxy.heal()

  const server = await starting
  expect((await server.request('GET', '/v1/items')).status).toBe(200)
})

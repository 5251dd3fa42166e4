import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { adminUrl } from '../../test/support/database.ts'
import { openDatabase } from './database.ts'
import { openLog } from './log.ts'

const log = openLog({ level: 'silent' })
let dataDir: string

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'holdfast-database-'))
  chmodSync(dataDir, 0o711)
})

afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

test('the database that was named is used', async () => {
  const database = await openDatabase({ databaseUrl: adminUrl(), dataDir, log })
  expect(database).toMatchObject({ url: adminUrl(), source: 'configured', postgres: undefined })
  await database.stop()
})

test('without a name, one of our own is started', async () => {
  const database = await openDatabase({ databaseUrl: undefined, dataDir, log })
  try {
    expect(['embedded', 'machine']).toContain(database.source)
    expect(await serverVersion(database.url)).toBeGreaterThanOrEqual(150_000)
  } finally {
    await database.stop()
  }
})

test('a wrong password is said at once, and not repeated', async () => {
  const url = new URL(adminUrl())
  url.password = 'tell-nobody'
  url.username = 'stranger'
  const refusal = await openDatabase({ databaseUrl: url.href, dataDir, log }).then(
    () => 'let in',
    (error: unknown) => String(error),
  )
  expect(refusal).toContain('The database named by DATABASE_URL')
  expect(refusal).not.toContain('tell-nobody')
})

test('a database that comes up later than Holdfast is waited for', async () => {
  // Refuses connections until it is told where to pass them on to.
  const { port } = await unusedPort()
  const target = new URL(adminUrl())
  const url = new URL(adminUrl())
  url.hostname = '127.0.0.1'
  url.port = String(port)
  const opening = openDatabase({ databaseUrl: url.href, dataDir, log })

  const door = createServer((caller) => {
    const server = connect({ host: target.hostname, port: Number(target.port) })
    caller.pipe(server).pipe(caller)
    for (const socket of [caller, server]) socket.on('error', () => {})
  })
  setTimeout(() => door.listen(port, '127.0.0.1'), 700)
  try {
    expect(await opening).toMatchObject({ source: 'configured' })
  } finally {
    door.close()
  }
})

async function serverVersion(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ number: number }>(`select current_setting('server_version_num')::int as number`)
    return rows[0]?.number ?? 0
  } finally {
    await client.end()
  }
}

async function unusedPort(): Promise<{ port: number }> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  return { port: address !== null && typeof address === 'object' ? address.port : 0 }
}

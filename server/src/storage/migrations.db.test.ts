// What becomes of a database that was there before a migration came.
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { emptyDatabase } from '../../test/support/database.ts'
import { openLog } from '../platform/log.ts'
import { migrate } from './migrate.ts'

const files = fileURLToPath(new URL('./migrations', import.meta.url))
const log = openLog({ level: 'silent' })

/** A database as it was just before a migration. */
const before = async (number: string): Promise<{ readonly url: string; readonly sql: pg.Client }> => {
  const { url, drop } = await emptyDatabase()
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-migrations-'))
  const sql = new pg.Client({ connectionString: url })
  onTestFinished(async () => {
    await sql.end()
    rmSync(directory, { recursive: true })
    await drop()
  })
  for (const file of readdirSync(files)) if (file < number) copyFileSync(join(files, file), join(directory, file))
  await migrate({ url, log, directory })
  await sql.connect()
  return { url, sql }
}

test('who was an administrator still is, and a key with every scope of then has every scope of now', async () => {
  const { url, sql } = await before('0005')
  const then = ['items:read', 'items:write', 'stock:read', 'stock:adjust', 'holds:read', 'holds:write', 'audit:read']
  const now = ['items:read', 'items:write', 'availability:read', 'stock:read', 'stock:adjust', 'stock:approve', 'holds:read', 'holds:write']
  now.push('webhooks:manage', 'users:manage', 'keys:manage', 'audit:read', 'messages:manage', 'status:read')
  await sql.query(`
insert into users (id, email, password_hash, role)
values (gen_random_uuid(), 'root@example.com', 'x', 'admin'), (gen_random_uuid(), 'ada@example.com', 'x', 'operator')`)
  const key = (name: string, principal: string, has: readonly string[]) =>
    sql.query('insert into api_keys (id, principal, name, digest, scopes) values (gen_random_uuid(), $1, $2, sha256($2::text::bytea), $3)', [
      principal,
      name,
      has,
    ])
  await key('First key', 'owner', then)
  await key('Another one for everything', 'shop', then.toReversed())
  await key('Some', 'till', ['stock:read', 'holds:write'])
  await migrate({ url, log })

  expect((await sql.query('select u.email, u.role, u.locations from users as u order by u.email')).rows).toEqual([
    { email: 'ada@example.com', role: 'operator', locations: null },
    { email: 'root@example.com', role: 'administrator', locations: null },
  ])
  expect((await sql.query('select k.name, k.scopes, k.locations, k.rate_limit from api_keys as k order by k.name')).rows).toEqual([
    { name: 'Another one for everything', scopes: now, locations: null, rate_limit: null },
    { name: 'First key', scopes: now, locations: null, rate_limit: 'unlimited' },
    { name: 'Some', scopes: ['stock:read', 'holds:write'], locations: null, rate_limit: null },
  ])
  await expect(sql.query("update users set role = 'admin'")).rejects.toThrow('users_role_known')
  await expect(sql.query("update users set locations = '{}'")).rejects.toThrow('users_locations_not_empty')
})

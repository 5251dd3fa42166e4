import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { emptyDatabase, freshDatabase, type FreshDatabase } from '../../test/support/database.ts'
import { openLog } from '../platform/log.ts'
import { migrate } from './migrate.ts'

const log = openLog({ level: 'silent' })
let database: FreshDatabase
let client: pg.Client
let directory: string

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-migrations-'))
  database = await emptyDatabase()
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
})

afterEach(async () => {
  rmSync(directory, { recursive: true, force: true })
  await client.end()
  await database.drop()
})

test('new migrations are applied in order, each once', async () => {
  write('0002-fill.sql', "insert into shelves (name) values ('oak');")
  write('0001-shelves.sql', 'create table shelves (name text);')
  expect(await run()).toEqual({ applied: ['0001-shelves.sql', '0002-fill.sql'] })

  write('0003-more.sql', "insert into shelves (name) values ('ash');")
  expect(await run()).toEqual({ applied: ['0003-more.sql'] })
  expect(await run()).toEqual({ applied: [] })
  expect(await shelves()).toEqual(['oak', 'ash'])
})

test('a url will do as well as a connection', async () => {
  write('0001-shelves.sql', 'create table shelves (name text);')
  expect(await migrate({ url: database.url, directory, log })).toEqual({ applied: ['0001-shelves.sql'] })
})

test('a migration that fails leaves nothing of itself, and those before it stand', async () => {
  write('0001-shelves.sql', 'create table shelves (name text);')
  write('0002-broken.sql', "insert into shelves (name) values ('oak');\n\ninsert into shelfs (name) values ('ash');")
  await expect(run()).rejects.toThrow('The migration 0002-broken.sql failed: relation "shelfs" does not exist (line 3)')
  expect(await shelves()).toEqual([])

  write('0002-broken.sql', "insert into shelves (name) values ('ash');")
  expect(await run()).toEqual({ applied: ['0002-broken.sql'] })
})

test('a migration that was edited after it was applied is refused', async () => {
  write('0001-shelves.sql', 'create table shelves (name text);')
  await run()
  write('0001-shelves.sql', 'create table shelves (name text, width integer);')
  write('0002-fill.sql', "insert into shelves (name) values ('oak');")
  await expect(run()).rejects.toThrow('0001-shelves.sql was changed after it was applied')
  expect(await shelves()).toEqual([])
})

test('other line ends are not a change', async () => {
  write('0001-shelves.sql', 'create table shelves (\n  name text\n);\n')
  await run()
  write('0001-shelves.sql', 'create table shelves (\r\n  name text\r\n);\r\n')
  expect(await run()).toEqual({ applied: [] })
})

test('a database that is newer than the code is refused', async () => {
  write('0001-shelves.sql', 'create table shelves (name text);')
  write('0002-more.sql', 'select 1;')
  await run()
  rmSync(join(directory, '0002-more.sql'))
  await expect(run()).rejects.toThrow('The database is newer than this Holdfast: 0002-more.sql was applied')
})

test('a migration whose file is gone is refused', async () => {
  write('0001-shelves.sql', 'create table shelves (name text);')
  write('0002-more.sql', 'select 1;')
  await run()
  rmSync(join(directory, '0001-shelves.sql'))
  await expect(run()).rejects.toThrow('0001-shelves.sql was applied to the database, and its file is missing')
})

test('a migration that comes before one that is applied is refused', async () => {
  write('0002-shelves.sql', 'create table shelves (name text);')
  await run()
  write('0001-late.sql', 'select 1;')
  await expect(run()).rejects.toThrow('0001-late.sql comes before number 2')
})

test.each([
  [['1-shelves.sql'], 'is not named like'],
  [['0001-a.sql', '0001-b.sql'], 'have the same number'],
])('files named %s are refused', async (names, complaint) => {
  for (const name of names) write(name, 'select 1;')
  await expect(run()).rejects.toThrow(complaint)
})

test('a migration must not end its transaction', async () => {
  write('0001-sly.sql', 'create table shelves (name text); commit; begin;')
  await expect(run()).rejects.toThrow('must not begin or end its transaction')
})

test('many that start at once apply each migration once', async () => {
  write('0001-shelves.sql', 'create table shelves (name text);')
  write('0002-slow.sql', "select pg_sleep(0.2); insert into shelves (name) values ('oak');")
  const runs = await Promise.all(Array.from({ length: 4 }, () => migrate({ url: database.url, directory, log })))
  expect(runs.flatMap(({ applied }) => applied)).toEqual(['0001-shelves.sql', '0002-slow.sql'])
  expect(await shelves()).toEqual(['oak'])
})

test('cells in one database are migrated each for itself', async () => {
  write('0001-shelves.sql', 'create table shelves (name text);')
  await client.query('create schema north; create schema south')
  for (const cell of ['north', 'south']) {
    await client.query(`set search_path = ${cell}`)
    expect(await run()).toEqual({ applied: ['0001-shelves.sql'] })
  }
  const { rows } = await client.query(`select schemaname from pg_tables where tablename = 'shelves' order by schemaname`)
  expect(rows).toEqual([{ schemaname: 'north' }, { schemaname: 'south' }])
})

test('a search_path that leads nowhere is refused before anything is made', async () => {
  await client.query('set search_path = nowhere')
  await expect(run()).rejects.toThrow('no schema in the search_path')
})

test('the time limit of ordinary statements does not end a migration', async () => {
  await client.query("set statement_timeout = '100ms'")
  write('0001-slow.sql', 'select pg_sleep(0.3);')
  expect(await run()).toEqual({ applied: ['0001-slow.sql'] })
})

test('a fresh database has every migration of Holdfast', async () => {
  const fresh = await freshDatabase()
  try {
    expect(await migrate({ url: fresh.url, log })).toEqual({ applied: [] })
    expect(readdirSync(new URL('./migrations', import.meta.url)).length).toBeGreaterThan(0)
  } finally {
    await fresh.drop()
  }
})

function run() {
  return migrate({ client, directory, log })
}

function write(name: string, sql: string): void {
  writeFileSync(join(directory, name), sql)
}

async function shelves(): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>('select name from shelves')
  return rows.map(({ name }) => name)
}

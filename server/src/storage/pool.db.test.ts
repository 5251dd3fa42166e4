// Connections: what is read from them, and what becomes of those that break.
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../../test/support/database.ts'
import { rowsOf, until } from '../../test/support/ledger.ts'
import { Fault } from './fault.ts'
import { commit, connect, openPool, transaction, type Pool, type PoolOptions } from './pool.ts'

test('a transaction that failed half-way is not a success, even when its COMMIT is', async () => {
  const pool = await freshPool()
  await pool.query('create table told (n int)')
  const connection = await connect(pool)
  await connection.query('begin')
  await connection.query('insert into told values (1)')
  await connection.query('select 1 / 0').catch(() => undefined)

  await expect(commit(connection)).rejects.toThrow('COMMIT answered ROLLBACK')
  connection.release()

  await expect(
    transaction(pool, async (connection) => {
      await connection.query('insert into told values (2)')
      await connection.query('select 1 / 0').catch(() => undefined)
    }),
  ).rejects.toThrow('COMMIT answered ROLLBACK')
  expect(await rowsOf(pool, 'select n from told')).toEqual([])
})

test('no statement is compiled, though the database would: that takes longer than any of ours', async () => {
  const database = await freshDatabase()
  onTestFinished(() => database.drop())
  const before = await freshPool({ url: database.url })
  await before.query("do $$ begin execute format('alter database %I set jit = on', current_database()); end $$")

  expect(await rowsOf(await freshPool({ url: database.url }), 'show jit')).toEqual([{ jit: 'off' }])
})

test('a body that throws is rolled back, and its connection serves the next one', async () => {
  const pool = await freshPool({ size: 1 })
  await pool.query('create table told (n int)')

  for (let n = 0; n < 3; n += 1)
    await expect(
      transaction(pool, async (connection) => {
        await connection.query('insert into told values (1)')
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')

  expect(await rowsOf(pool, 'select n from told')).toEqual([])
  expect(pool.totalCount).toBe(1)
})

test('a number beyond what can be counted exactly is refused, not rounded', async () => {
  const pool = await freshPool()

  expect(await rowsOf(pool, 'select 9007199254740991::bigint as n, array[1, -9007199254740991]::bigint[] as ns')).toEqual([
    { n: 9007199254740991, ns: [1, -9007199254740991] },
  ])
  await expect(pool.query('select 9007199254740992::bigint')).rejects.toThrow('bigint 9007199254740992 is beyond what can be counted exactly')
  await expect(pool.query('select array[9007199254740993]::bigint[]')).rejects.toThrow('bigint 9007199254740993')
  expect(await rowsOf(pool, "select array[]::bigint[] as none, null::bigint as nothing, '9007199254740993'::text as word, 1.5::numeric as fraction")).toEqual([
    { none: [], nothing: null, word: '9007199254740993', fraction: '1.5' },
  ])
})

test('a connection that breaks while nobody uses it, or while somebody does, does not end the process', async () => {
  const broken: Error[] = []
  const pool = await freshPool({ onBroken: (error) => broken.push(error) })
  const other = await freshPool({ url: pool.options.connectionString ?? '' })
  const inUse = await connect(pool)
  await pool.query('select 1')
  expect([pool.totalCount, pool.idleCount]).toEqual([2, 1])

  const heard = once(inUse, 'error')
  await kill(other, 'test')
  await heard
  await until(() => pool.idleCount === 0)
  const fault = await inUse.query('select 1').catch((error: unknown) => error)
  inUse.release(fault instanceof Error ? fault : true)

  expect(fault).toBeInstanceOf(Error)
  expect(broken.length).toBeGreaterThanOrEqual(2)
  expect(await rowsOf(pool, 'select 1 as n')).toEqual([{ n: 1 }])
  expect(pool.totalCount).toBe(1)
})

test('a transaction whose connection is lost says so: before its commit nothing happened, during it nobody knows', async () => {
  const pool = await freshPool()
  const other = await freshPool({ url: pool.options.connectionString ?? '' })

  const before = transaction(pool, async (connection) => {
    await kill(other, 'test')
    await connection.query('select 1')
  })
  await expect(before).rejects.toMatchObject({ name: 'Fault', kind: 'unavailable', connectionLost: true })

  // A trigger that waits at the commit, so that the connection can be lost there.
  await other.query(`
create table told (n int);
create function wait_long() returns trigger language plpgsql as $$ begin perform pg_sleep(20); return new; end $$;
create constraint trigger waits after insert on told initially deferred for each row execute function wait_long();`)
  const during = transaction(pool, async (connection) => {
    await connection.query('insert into told values (1)')
  })
  const outcome = expect(during).rejects.toMatchObject({ name: 'Fault', kind: 'unknown', connectionLost: true })
  await until(
    async () => (await rowsOf(other, "select from pg_stat_activity where datname = current_database() and query = 'commit' and state = 'active'")).length === 1,
  )
  await kill(other, 'test')
  await outcome

  expect(await rowsOf(pool, 'select n from told')).toEqual([])
})

test('a constraint, a deadline and a server that is not there are told apart', async () => {
  const pool = await freshPool({ statementTimeoutMs: 50 })
  await pool.query('create table told (n int constraint only_one primary key)')
  const faultOf = (statement: string) => transaction(pool, (connection) => connection.query(statement)).catch((error: unknown) => error)

  expect(await faultOf('insert into told values (1), (1)')).toMatchObject({ kind: 'refused', sqlState: '23505', connectionLost: false })
  expect(await faultOf('select pg_sleep(9)')).toMatchObject({ kind: 'busy', sqlState: '57014', connectionLost: false })
  expect(await faultOf('select no_such_column')).not.toBeInstanceOf(Fault)
  const nowhere = openPool({ ...options, url: 'postgres://nobody@127.0.0.1:1/nothing' })
  await expect(connect(nowhere)).rejects.toMatchObject({ name: 'Fault', kind: 'unavailable' })
  await nowhere.end()
})

test('the server ends a transaction that its process has forgotten', async () => {
  const pool = await freshPool()
  expect(await rowsOf(pool, "select current_setting('idle_in_transaction_session_timeout') as idle, current_setting('lock_timeout') as lock")).toEqual([
    { idle: '5s', lock: '5s' },
  ])
})

const options: Omit<PoolOptions, 'url'> = { size: 4, statementTimeoutMs: 10_000, lockTimeoutMs: 5_000, applicationName: 'test' }

const freshPool = async (rest: Partial<PoolOptions> = {}): Promise<Pool> => {
  const database = rest.url === undefined ? await freshDatabase() : undefined
  const pool = openPool({ ...options, url: database?.url ?? '', ...rest, ...(rest.url === undefined ? {} : { applicationName: 'other' }) })
  onTestFinished(async () => {
    await pool.end()
    await database?.drop()
  })
  return pool
}

const kill = (by: Pool, applicationName: string) =>
  by.query('select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.datname = current_database() and a.application_name = $1', [applicationName])

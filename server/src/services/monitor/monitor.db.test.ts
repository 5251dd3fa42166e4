// What is down is known, said in the words of users, and told once: with processes that are killed and hung, and a real database.
import type { OutputOf, Operations } from '@holdfast/contract'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../../../test/support/database.ts'
import { until } from '../../../test/support/until.ts'
import { leader } from '../../storage/leader.ts'
import { openPool } from '../../storage/pool.ts'
import { anyone, type Call, type PartState, type Service } from '../service.ts'
import { askOverHttp } from './ask-over-http.ts'
import { monitor, type MonitorDeps } from './monitor.ts'
import type { Probe } from './probe.ts'
import { tellState } from './store.ts'
import type { VerificationLimits } from './verification.ts'
import { SERVICE_KEY, stateServer, type StateServer } from '../../../test/support/state-server.ts'

type Status = OutputOf<Operations['status']['get']>
const role = (name: string, state: PartState = { state: 'up', why: null }) => ({ process: 'p1', roles: [{ name, ...state }] })

test('a role whose only process was killed is down, with what that means for users, and up when it is started again', async () => {
  const consumer = await stateServer(role('item-commands'))
  const { status, comes } = await watch({ probes: [of('item-commands', consumer)] })
  expect(await status()).toMatchObject({
    state: 'up',
    functions: expect.arrayContaining([{ name: 'items by message', state: 'up', means: null, because: [] }]),
  })

  await consumer.kill()
  const during = await comes('item-commands', 'down')
  expect(during.state).toBe('down')
  expect(component(during, 'item-commands')).toMatchObject({
    kind: 'role',
    why: expect.stringContaining('ECONNREFUSED'),
    processes: [{ where: consumer.url, state: 'down' }],
  })
  expect(during.functions.find(({ name }) => name === 'items by message')).toEqual({
    name: 'items by message',
    state: 'down',
    means: 'Items that are sent as messages are not created or changed until it is back; they wait in the queue. The HTTP API goes on.',
    because: ['item-commands'],
  })
  expect(during.functions.filter(({ state }) => state !== 'up')).toHaveLength(1)

  await consumer.start()
  expect(await comes('item-commands', 'up')).toMatchObject({ state: 'up' })
})

test('a process that hangs is down as one that is gone; while another one is well, the role is degraded', async () => {
  const [first, second] = [await stateServer(role('relay')), await stateServer(role('relay'))]
  const { comes } = await watch({ probes: [of('relay', first), of('relay', second)] })

  first.hang()
  const during = await comes('relay', 'degraded')
  expect(component(during, 'relay')).toMatchObject({
    why: `1 of 2: ${first.url}: no answer within 1000 ms`,
    processes: [
      { where: first.url, state: 'down' },
      { where: second.url, state: 'up', why: null },
    ],
  })
  second.hang()
  await comes('relay', 'down')
  first.goOn()
  await comes('relay', 'degraded')
  second.goOn()
  await comes('relay', 'up')
})

test('what a process says of itself is believed, and one that answers nonsense, another role, or not to us, is down', async () => {
  const wells: readonly [string, StateServer, string][] = [
    ['timers', await stateServer(role('timers', { state: 'degraded', why: 'expiring holds: no connection' })), SERVICE_KEY],
    ['relay', await stateServer({ roles: [{ name: 'relay', state: 'fine' }] }), SERVICE_KEY],
    ['webhooks', await stateServer(role('gateway')), SERVICE_KEY],
    ['inventory', await stateServer(role('inventory')), 'another key'],
  ]
  const { comes } = await watch({ probes: wells.map(([name, server, key]) => of(name, server, key)) })

  const found = await comes('inventory', 'down')
  expect(wells.map(([name, { url }]) => component(found, name)?.why?.replace(`${url}: `, ''))).toEqual([
    'expiring holds: no connection',
    'what GET /state answered is no state',
    'the process does not run this role',
    'GET /state answered 401',
  ])
  expect(component(found, 'timers')?.state).toBe('degraded')
})

test('of two monitors one tells, each change once, and when it is gone the other one goes on where it was', async () => {
  const consumer = await stateServer(role('relay'))
  const database = await ownDatabase()
  const probes = [of('relay', consumer)]
  const [first, second] = [await watch({ probes, database }), await watch({ probes, database })]
  const told = () => eventsOf(database)

  await consumer.kill()
  await Promise.all([first.comes('relay', 'down'), second.comes('relay', 'down')])
  await until('the outage is told', async () => (await told()).length === 1)
  await first.service.stop()
  await consumer.start()
  await second.comes('relay', 'up')
  await until('the end of the outage is told', async () => (await told()).length === 2)
  await consumer.kill()
  await second.comes('relay', 'down')
  await until('the next outage is told', async () => (await told()).length === 3)

  expect(await told()).toMatchObject([
    { type: 'service.down', kind: 'service', id: 'relay', version: 1, data: { object: 'component', name: 'relay', kind: 'role', state: 'down' } },
    { type: 'service.up', version: 2, data: { state: 'up', why: null } },
    { type: 'service.down', version: 3, data: { why: expect.stringContaining('ECONNREFUSED') } },
  ])
})

test('an outage that ended while nobody watched is ended by whoever watches next', async () => {
  const consumer = await stateServer(role('relay'))
  const database = await ownDatabase()
  const before = await watch({ probes: [of('relay', consumer)], database })
  await consumer.kill()
  await until('the outage is told', async () => (await eventsOf(database)).length === 1)
  await before.service.stop()
  await consumer.start()

  await watch({ probes: [of('relay', consumer)], database })

  await until('its end is told', async () => (await eventsOf(database)).length === 2)
  expect(await eventsOf(database)).toMatchObject([{ type: 'service.down' }, { type: 'service.up', version: 2 }])
})

test('a leader that slept while another one was made tells nothing any more', async () => {
  const database = await ownDatabase()
  const pool = openPool({ url: database, size: 3, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'leaders', onBroken: () => undefined })
  const [first, second] = [leader(pool, 'monitor'), leader(pool, 'monitor')]
  onTestFinished(async () => {
    await second.resign()
    await pool.end()
  })
  const slept = (await first.term()) ?? 0
  await first.resign()
  let term: number | undefined
  await until('another one leads', async () => (term = await second.term()) !== undefined)
  const isDown = (of: number) => tellState(pool, { name: 'relay', isDown: true, since: 0, term: of }, { type: 'service.down', data: {} })

  await isDown(slept)
  expect(await eventsOf(database)).toEqual([])
  await isDown(term ?? 0)
  // And what was told is not told again.
  await isDown(term ?? 0)
  expect(await eventsOf(database)).toHaveLength(1)
})

test('while another process verifies the books, whoever asks is told to come back, and they are not verified twice', async () => {
  const database = await ownDatabase()
  const { service } = await watch({ probes: [], database })
  const pool = openPool({ url: database, size: 1, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'another', onBroken: () => undefined })
  const another = leader(pool, 'verification')
  onTestFinished(() => pool.end())
  const verify = () => service.handlers.integrity?.verify({ params: {}, query: {}, body: {} }, call)

  await another.term()
  expect(await verify()).toMatchObject({ ok: false, refusal: { code: 'overloaded', retryAfterSeconds: 10 } })
  await another.resign()
  await until('it is verified here', async () => (await verify())?.ok === true)
})

test('the books are verified by themselves when it is time, by one of several, and what was found is told', async () => {
  const database = await ownDatabase()
  const often = { everyMs: 100, share: 1, waitMs: 10_000, pollMs: 20 }
  const monitors = await Promise.all([1, 2].map(() => watch({ probes: [], database, verification: often })))
  const sql = await client(database, 'looks')
  const versions = async () =>
    (
      await sql.query(
        "select e.subject_version as version, e.data ->> 'state' as state from events as e where e.type = 'integrity.verified' order by e.sequence",
      )
    ).rows

  await until('there were some', async () => (await versions()).length >= 4)
  await Promise.all(monitors.map(({ service }) => service.stop()))

  const told = await versions()
  expect(told).toEqual(told.map((_, index) => ({ version: index + 1, state: 'verified' })))
})

test('while the database is away nothing is said of the books, of the outbox or of a standby but what was known', async () => {
  const database = await ownDatabase()
  const { status, comes } = await watch({ probes: [], database })
  await status()
  const name = new URL(database).pathname.slice(1)
  const admin = await client(databaseOf(database, 'postgres'), 'admin')
  const letIn = (isLetIn: boolean) => admin.query(`alter database "${name}" allow_connections ${isLetIn}`)

  await letIn(false)
  await admin.query('select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.datname = $1', [name])
  const during = await comes('database', 'down')
  await letIn(true)

  expect(during.components.filter(({ state }) => state !== 'up').map((one) => one.name)).toEqual(['database'])
  expect(during.functions.find((one) => one.name === 'stock')?.because).toEqual(['database'])
  await comes('database', 'up')
})

test('of a standby that was told to be down, and that nobody waits for any more, it is told that it is missed no longer', async () => {
  const database = await ownDatabase()
  const sql = await client(database, 'told before')
  await sql.query("insert into component_states (name, is_down, since, version) values ('standby', true, now(), 1)")

  const { status } = await watch({ probes: [], database })

  await until('it is told', async () => (await eventsOf(database, 'standby')).length > 0)
  expect(await eventsOf(database, 'standby')).toMatchObject([{ type: 'service.up', version: 2, data: { state: 'up', why: null } }])
  expect(component(await status(), 'standby')).toBeUndefined()
})

test('somebody who forgot a transaction, and who waits for its lock, degrade the database', async () => {
  const database = await ownDatabase()
  const { comes } = await watch({ probes: [], database })
  const [forgetful, patient] = [await client(database, 'somebody 1'), await client(database, 'somebody 2')]
  await forgetful.query('begin; select from ledger_head for update')

  expect(component(await comes('database', 'degraded'), 'database')?.why).toMatch(
    /^PostgreSQL: a session has kept a transaction open and done nothing for \d+ s$/,
  )
  await forgetful.query('rollback')
  await comes('database', 'up')

  await forgetful.query('begin; select from ledger_head for update')
  const working = forgetful.query('select pg_sleep(3)').then(() => forgetful.query('commit'))
  const waiting = patient.query('update ledger_head set latest_at = latest_at')
  expect(component(await comes('database', 'degraded'), 'database')?.why).toMatch(/^PostgreSQL: 1 statements wait for locks, the first for \d+ s$/)
  await Promise.all([working, waiting])
})

test('what hangs keeps nobody waiting, and does not make the monitor wait at its end', async () => {
  const never: Probe['ask'] = () => new Promise(() => undefined)
  const { comes, service } = await watch({ probes: [{ role: 'relay', where: 'nowhere', ask: never }], redis: { ping: () => new Promise(() => undefined) } })

  const found = await comes('redis', 'down')
  expect(component(found, 'relay')?.why).toBe('nowhere: no answer within 1000 ms')
  expect(component(found, 'database')?.state).toBe('up')
  await service.stop()
})

const of = (name: string, { url }: StateServer, key = SERVICE_KEY): Probe => ({ role: name, where: url, ask: askOverHttp(url, key) })
const call: Call = { caller: anyone, origin: { address: '', userAgent: null }, requestId: 'test' }
const component = ({ components }: Status, name: string) => components.find((one) => one.name === name)

const ownDatabase = async (): Promise<string> => {
  const { url, drop } = await freshDatabase()
  onTestFinished(drop)
  return url
}

const client = async (url: string, name: string): Promise<pg.Client> => {
  const made = new pg.Client({ connectionString: url, application_name: name })
  await made.connect()
  onTestFinished(() => made.end())
  return made
}

const databaseOf = (url: string, name: string): string => Object.assign(new URL(url), { pathname: `/${name}` }).href

const eventsOf = async (url: string, subject = 'relay') => {
  const sql = new pg.Client({ connectionString: url })
  await sql.connect()
  const { rows } = await sql.query(
    'select e.type, e.subject_kind as kind, e.subject_id as id, e.subject_version as version, e.data from events as e where e.subject_id = $1 order by e.sequence',
    [subject],
  )
  await sql.end()
  return rows
}

/** A monitor that looks as often as a test is patient. */
const watch = async ({
  database,
  verification,
  ...deps
}: Pick<MonitorDeps, 'probes' | 'redis'> & { readonly database?: string; readonly verification?: VerificationLimits }) => {
  const url = database ?? (await ownDatabase())
  const open = (size: number) => openPool({ url, size, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'monitor', onBroken: () => undefined })
  const [pool, verifyPool] = [open(5), open(2)]
  const service: Service<'monitor'> = monitor({
    ...deps,
    pool,
    verifyPool,
    limits: {
      lookMs: 100,
      askMs: 1_000,
      againMs: 20,
      changes: 100,
      looks: { idleSeconds: 1, blockedSeconds: 1, standbyLagSeconds: 30, outboxLateSeconds: 3_600, outboxStuckSeconds: 7_200 },
      rabbit: { depth: 1_000, queues: 100, answerBytes: 1_000_000 },
      verification: verification ?? { everyMs: 3_600_000, share: 0.1, waitMs: 10_000, pollMs: 1_000 },
    },
    onFault: () => undefined,
  })
  let isStopped = false
  const stop = async () => {
    if (!isStopped) await service.stop()
    isStopped = true
  }
  onTestFinished(async () => {
    await stop()
    await Promise.all([pool.end(), verifyPool.end()])
  })
  await service.start()
  const status = async (): Promise<Status> => {
    const answer = await service.handlers.status?.get({ params: {}, query: {}, body: {} }, call)
    if (!answer?.ok) throw new Error('the monitor told nothing')
    return answer.body
  }
  return {
    service: { ...service, stop },
    status,
    /** Waits until a component is in a state, and answers the whole status then. */
    comes: async (name: string, state: PartState['state']): Promise<Status> => {
      await until(`${name} is ${state}`, async () => component(await status(), name)?.state === state)
      return status()
    },
  }
}

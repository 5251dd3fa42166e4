// A primary that is lost loses nothing that was acknowledged: the real program, on a primary and its synchronous standby.
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { decodeId } from '../../src/domain/ids.ts'
import { until } from '../support/until.ts'
import { ask, askUntilTold, LOCATION, SKU, stockUp, type Answer, type Told } from './load.ts'
import { postgresPrograms, startPair, type Pair } from './nodes.ts'
import { serve, verify, type Program } from './program.ts'
import { failOver } from './trial.ts'

/** With a machine that is busy with other tests; and the server takes its time to say that it does not know. */
const LONG = { timeout: 120_000 }
/** What mostly waits, for limits of time to pass: left out unless HOLDFAST_TEST_LONG is set. */
const long = test.skipIf(process.env['HOLDFAST_TEST_LONG'] === undefined)
const FAKETIME = ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`).find((path) => existsSync(path))

const programOn = async (databaseUrl: string): Promise<Program> => {
  const program = await serve(databaseUrl)
  onTestFinished(() => program.stop())
  return program
}
const holding = (quantity = 1) => ({ lines: [{ sku: SKU, location: LOCATION, quantity }] })
const codeOf = (answer: Answer | undefined): unknown => (JSON.parse(answer?.body ?? '{}') as { code?: unknown }).code // a problem
const idOf = (answer: Answer): string => (JSON.parse(answer.body) as { id: string }).id // a hold
/** What stands at the primary, whatever it says to anybody else. */
const holdsOf = async (pair: Pair, ...ids: readonly string[]): Promise<unknown[]> => {
  const wanted = ids.map((id) => `'${decodeId('hold', id)}'`).join(', ')
  const rows = await pair.primary().sql(`select h.id, h.status from holds as h where h.id in (${wanted})`, 'holdfast')
  return ids.map((id) => rows.find((row) => row['id'] === decodeId('hold', id))?.['status'])
}

describe.skipIf(postgresPrograms() === undefined)('with a synchronous standby (left out where there is no PostgreSQL to start)', () => {
  let pair: Pair
  let program: Program
  beforeAll(async () => {
    pair = await startPair()
    program = await serve(pair.url)
    await stockUp(program.url)
  })
  afterAll(async () => {
    await program?.stop()
    await pair?.stop()
  })
  const ever: Told[] = []

  test('a primary that is killed under load loses nothing that was acknowledged, and writes go on without a restart', LONG, async () => {
    const trial = await failOver('failover', {
      url: program.url,
      databaseUrl: pair.url,
      buyers: 8,
      atLeast: 200,
      ever,
      kill: () => pair.primary().kill(),
      recover: async () => {
        await pair.promote()
        await pair.rebuild()
      },
    })

    console.log(`outage: ${trial.outageSeconds.toFixed(1)} s; ${trial.toldBefore} acknowledged before, ${trial.toldAfter} after`)
    expect(trial.lost).toEqual([])
    expect(trial.violations).toEqual([])
    // Who leads the relay has lost that with its session, and somebody leads again.
    await until('all events are told', async () => (await pair.primary().sql('select from outbox', 'holdfast')).length === 0)
  })

  test('while the standby does not answer nobody is told that anything stands, not even who asks again; and then once', LONG, async () => {
    const before = await askUntilTold(program.url, '/v1/holds', 'before', holding())
    const execute = `/v1/holds/${idOf(before)}/execute`

    await pair.cutStandby()
    // A key whose answer has long been safe: to tell it again is a write, and alone in its batch.
    let isTold = false
    const replay = ask(program.url, '/v1/holds', 'before', holding()).finally(() => (isTold = true))
    await until('it is told, or waits', async () => isTold || (await waits(pair)))
    const asked = await Promise.all([replay, ask(program.url, '/v1/holds', 'cart', holding()), ask(program.url, execute, 'execution', {})])
    expect(asked.map((answer) => answer?.status)).toEqual([503, 503, 503])
    const again = await Promise.all([
      ask(program.url, '/v1/holds', 'cart', holding()),
      // Under another key it would be told what is so already, and that is not safe yet.
      ask(program.url, execute, 'execution, by somebody else', {}),
    ])
    expect(again.map((answer) => answer?.status)).toEqual([503, 503])

    pair.restoreStandby()
    const told = await askUntilTold(program.url, '/v1/holds', 'cart', holding())
    expect(told.status).toBe(201)
    expect(await askUntilTold(program.url, execute, 'execution', {})).toMatchObject({ status: 200 })
    expect(await askUntilTold(program.url, '/v1/holds', 'before', holding())).toMatchObject({ status: 201, replayed: true, body: before.body })
    expect(await holdsOf(pair, idOf(before), idOf(told))).toEqual(['executed', 'active'])
  })

  test('a wait for the standby that is cut short by hand is told as unknown, and not as done', LONG, async () => {
    const place = { code: 'PAR', name: 'Paris' }
    await pair.cutStandby()
    let isAnswered = false
    const answers = Promise.all([ask(program.url, '/v1/holds', 'cart 2', holding()), ask(program.url, '/v1/locations', 'place', place)])
    void answers.then(() => (isAnswered = true))
    while (!isAnswered) await pair.primary().sql("select pg_cancel_backend(a.pid) from pg_stat_activity as a where a.wait_event = 'SyncRep'")

    expect((await answers).map((answer) => answer?.status)).toEqual([503, 503])
    pair.restoreStandby()
    expect(await askUntilTold(program.url, '/v1/holds', 'cart 2', holding())).toMatchObject({ status: 201, replayed: true })
    expect(await askUntilTold(program.url, '/v1/locations', 'place', place)).toMatchObject({ status: 201 })
  })

  long('what a crash has let everybody see before the standby had it is not told until it has', LONG, async () => {
    const another = await programOn(pair.url)
    await pair.cutStandby()
    // A buyer takes all: that is written at the primary, and waits. Then the process is killed, and the primary crashes and comes back.
    const lost = ask(another.url, '/v1/holds', 'all', holding(await availableOf(pair)))
    await until('it is written, and waits', () => waits(pair))
    await another.kill()
    await pair.primary().kill()
    await pair.primary().start()
    expect(await lost).toBe(undefined)
    expect(await availableOf(pair)).toBe(0)

    // To say that there is none left nothing need be written.
    expect((await ask(program.url, '/v1/holds', 'one', holding()))?.status).toBe(503)

    // The standby takes over, and it was right not to say so: there, nobody has taken any.
    await pair.primary().kill()
    await pair.promote()
    pair.restoreStandby()
    await pair.rebuild()
    expect(await askUntilTold(program.url, '/v1/holds', 'one', holding())).toMatchObject({ status: 201 })
  })

  long('a primary that is cut off acknowledges nothing, and who asks goes on at the one that took its place', LONG, async () => {
    const pinned = await programOn(pair.urlOf(pair.primary()))

    // It is up, and takes writes, and does not know that it is no longer the one.
    const cutOff = pair.primary()
    await pair.promote()
    expect((await ask(pinned.url, '/v1/holds', 'cart 3', holding()))?.status).toBe(503)

    // What is the primary now waits for a standby, too.
    const told = askUntilTold(program.url, '/v1/holds', 'cart 3', holding())
    await pair.rebuild()
    expect(await told).toMatchObject({ status: 201 })
    expect(pair.standby().name).toBe(cutOff.name)
    // What was the primary follows now, and whoever knows only that one writes nothing.
    expect((await ask(pinned.url, '/v1/holds', 'cart 4', holding()))?.status).toBe(503)
  })

  long('a primary that hangs is given up by everybody in time, and the one that takes its place is found', LONG, async () => {
    const carts = [5, 6, 7, 8].map((n) => `cart ${n}`)
    pair.primary().pause()
    const beganAt = performance.now()
    const answers = await Promise.all(carts.map((cart) => ask(program.url, '/v1/holds', cart, holding())))
    console.log(`a primary that hangs was given up after ${((performance.now() - beganAt) / 1000).toFixed(1)} s`)
    expect(answers.map(codeOf)).toEqual(carts.map(() => 'unavailable'))

    await pair.promote()
    await pair.rebuild()
    const told = await Promise.all(carts.map((cart) => askUntilTold(program.url, '/v1/holds', cart, holding())))
    expect(new Set(told.map(idOf)).size).toBe(carts.length)
    expect(await holdsOf(pair, ...told.map(idOf))).toEqual(carts.map(() => 'active'))
    expect(await verify(pair.url)).toEqual([])
  })
})

describe.skipIf(postgresPrograms() === undefined || FAKETIME === undefined)('with a standby whose clock is an hour behind (left out without faketime)', () => {
  test('a hold that had expired stays so, and time does not run back', LONG, async () => {
    const pair = await startPair({ env: { standby: { LD_PRELOAD: FAKETIME ?? '', FAKETIME: '-1h', FAKETIME_DONT_FAKE_MONOTONIC: '1' } } })
    onTestFinished(() => pair.stop())
    const program = await programOn(pair.url)
    await stockUp(program.url)
    const short = await askUntilTold(program.url, '/v1/holds', 'cart', { ...holding(), ttl_seconds: 1 })
    const long = await askUntilTold(program.url, '/v1/holds', 'another cart', { ...holding(), ttl_seconds: 1_800 })
    await until('the first has expired', async () => (await holdsOf(pair, idOf(short)))[0] === 'expired')

    await pair.primary().kill()
    await pair.promote()
    await pair.rebuild()
    const [row] = await pair.primary().sql("select clock_timestamp() < h.latest_at - interval '50 minutes' as behind from ledger_head as h", 'holdfast')
    expect(row).toEqual({ behind: true })
    const late = await askUntilTold(program.url, `/v1/holds/${idOf(short)}/execute`, 'late execution', {})
    expect([late.status, codeOf(late)]).toEqual([409, 'hold_expired'])
    const executed = await askUntilTold(program.url, `/v1/holds/${idOf(long)}/execute`, 'execution', {})
    const instantOf = (answer: Answer, name: string) => Date.parse((JSON.parse(answer.body) as Record<string, string>)[name] ?? '') // a hold's
    expect(instantOf(executed, 'ended_at')).toBeGreaterThanOrEqual(instantOf(long, 'created_at'))
    expect(await verify(pair.url)).toEqual([])
  })
})

const availableOf = async (pair: Pair): Promise<number> =>
  Number((await pair.primary().sql('select l.available from stock_levels as l', 'holdfast'))[0]?.['available'])

/** Whether a batch has been written at the primary and is not at the standby yet. */
const waits = async (pair: Pair): Promise<boolean> => {
  const found = await pair.primary().sql("select from pg_stat_activity as a where a.application_name = 'holdfast-ledger' and a.wait_event = 'SyncRep'")
  return found.length > 0
}

// A primary that is lost loses nothing that was acknowledged: the real program, on a primary and its synchronous standby.
import { existsSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../support/until.ts'
import { ask, askUntilTold, LOCATION, SKU, stockUp, type Told } from './load.ts'
import { postgresPrograms, startPair, type Pair } from './nodes.ts'
import { serve, verify, type Program } from './program.ts'
import { failOver } from './trial.ts'

const LONG = { timeout: 120_000 }
const FAKETIME = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1'].find((path) =>
  existsSync(path),
)

const pairOf = async (options: Parameters<typeof startPair>[0] = {}): Promise<Pair> => {
  const pair = await startPair(options)
  onTestFinished(() => pair.stop())
  return pair
}
const programOn = async (databaseUrl: string): Promise<Program> => {
  const program = await serve(databaseUrl)
  onTestFinished(() => program.stop())
  return program
}
const holding = { lines: [{ sku: SKU, location: LOCATION, quantity: 1 }] }
const codeOf = (body: string): unknown => (JSON.parse(body) as { code?: unknown }).code // a problem
const idOf = (body: string): string => (JSON.parse(body) as { id: string }).id // a hold

describe.skipIf(postgresPrograms() === undefined)('with a synchronous standby (left out where there is no PostgreSQL to start)', () => {
  test('a primary that is killed under load loses nothing that was acknowledged, and writes go on without a restart', LONG, async () => {
    const pair = await pairOf()
    const program = await programOn(pair.url)
    await stockUp(program.url)
    const ever: Told[] = []

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
    const left = 'select from outbox'
    await until('all events are told', async () => (await pair.primary().sql(left, 'holdfast')).length === 0)
  })

  test('while the standby does not answer nobody is told that anything stands, not even who asks again; and then once', LONG, async () => {
    const pair = await pairOf()
    const program = await programOn(pair.url)
    await stockUp(program.url)
    const { body } = await askUntilTold(program.url, '/v1/holds', 'before', holding)
    const execute = `/v1/holds/${idOf(body)}/execute`

    await pair.cutStandby()
    const beganAt = performance.now()
    const asked = await Promise.all([ask(program.url, '/v1/holds', 'cart', holding), ask(program.url, execute, 'execution', {})])
    expect(performance.now() - beganAt).toBeLessThan(20_000)
    expect(asked.map((answer) => answer?.status)).toEqual([503, 503])
    const again = await Promise.all([
      ask(program.url, '/v1/holds', 'cart', holding),
      // Under another key it would be told what is so already, and that is not safe yet.
      ask(program.url, execute, 'execution, by somebody else', {}),
      // A key whose answer is long since safe: to tell it again is a write of its own.
      ask(program.url, '/v1/holds', 'before', holding),
    ])
    expect(again.map((answer) => answer?.status)).toEqual([503, 503, 503])

    pair.restoreStandby()
    const told = await askUntilTold(program.url, '/v1/holds', 'cart', holding)
    expect(told.status).toBe(201)
    expect(await askUntilTold(program.url, execute, 'execution', {})).toMatchObject({ status: 200 })
    expect(await askUntilTold(program.url, '/v1/holds', 'before', holding)).toMatchObject({ status: 201, replayed: true, body })
    expect(await pair.primary().sql('select h.status from holds as h order by h.status', 'holdfast')).toEqual([{ status: 'active' }, { status: 'executed' }])
    expect(await verify(pair.url)).toEqual([])
  })

  test('what a crash has let everybody see before the standby had it is not told until it has', LONG, async () => {
    const pair = await pairOf()
    const program = await programOn(pair.url)
    await stockUp(program.url)
    const { body } = await askUntilTold(program.url, '/v1/holds', 'cart', holding)
    const execute = `/v1/holds/${idOf(body)}/execute`
    await pair.cutStandby()
    // It is written at the primary, and waits. The primary crashes and comes back, and now it stands there as if all were well.
    const lost = ask(program.url, execute, 'execution', {})
    await until('it is written', async () => (await pair.primary().sql("select from pg_stat_activity where wait_event = 'SyncRep'")).length > 0)
    await pair.primary().kill()
    await pair.primary().start()
    expect((await lost)?.status).not.toBe(200)
    expect(await pair.primary().sql('select h.status from holds as h', 'holdfast')).toEqual([{ status: 'executed' }])

    // Without a key, nothing need be written to say that it is executed already. And a refusal is an answer, too.
    const promised = await Promise.all([ask(program.url, execute, null, {}), ask(program.url, `/v1/holds/${idOf(body)}/release`, null, {})])
    expect(promised.map((answer) => answer?.status)).toEqual([503, 503])

    // The standby takes over, and it was right not to say so: there, nobody has executed it.
    await pair.primary().kill()
    await pair.promote()
    pair.restoreStandby()
    await pair.rebuild()
    expect(await pair.primary().sql('select h.status from holds as h', 'holdfast')).toEqual([{ status: 'active' }])
    expect(await askUntilTold(program.url, execute, 'execution', {})).toMatchObject({ status: 200, replayed: false })
  })

  test('a wait for the standby that is cut short by hand is told as unknown, and not as done', LONG, async () => {
    const pair = await pairOf()
    const program = await programOn(pair.url)
    await stockUp(program.url)
    await pair.cutStandby()

    const answers = Promise.all([ask(program.url, '/v1/holds', 'cart', holding), ask(program.url, '/v1/locations', 'place', { code: 'PAR', name: 'Paris' })])
    let isAnswered = false
    void answers.then(() => (isAnswered = true))
    while (!isAnswered) await pair.primary().sql("select pg_cancel_backend(a.pid) from pg_stat_activity as a where a.wait_event = 'SyncRep'")

    expect((await answers).map((answer) => answer?.status)).toEqual([503, 503])
    pair.restoreStandby()
    expect(await askUntilTold(program.url, '/v1/holds', 'cart', holding)).toMatchObject({ status: 201, replayed: true })
    expect(await askUntilTold(program.url, '/v1/locations', 'place', { code: 'PAR', name: 'Paris' })).toMatchObject({ status: 201 })
    expect(await verify(pair.url)).toEqual([])
  })

  test('a primary that is cut off acknowledges nothing, and who asks goes on at the one that took its place', LONG, async () => {
    const pair = await pairOf()
    const [program, pinned] = await Promise.all([programOn(pair.url), programOn(pair.urlOf(pair.primary()))])
    await stockUp(program.url)

    // It is up, and takes writes, and does not know that it is no longer the one.
    const cutOff = pair.primary()
    await pair.promote()
    const answer = await ask(pinned.url, '/v1/holds', 'cart', holding)
    expect(answer?.status).toBe(503)

    // What is the primary now waits for a standby, too.
    const told = askUntilTold(program.url, '/v1/holds', 'cart', holding)
    await pair.rebuild()
    expect(await told).toMatchObject({ status: 201 })
    expect(pair.standby().name).toBe(cutOff.name)
    // And there it stays: what was the primary follows now, and whoever knows only that one writes nothing.
    expect((await ask(pinned.url, '/v1/holds', 'another cart', holding))?.status).toBe(503)
    expect(await verify(pair.url)).toEqual([])
  })

  test('a primary that hangs is given up by everybody in time, and the one that takes its place is found', LONG, async () => {
    const pair = await pairOf()
    const program = await programOn(pair.url)
    await stockUp(program.url)

    pair.primary().pause()
    const beganAt = performance.now()
    const answers = await Promise.all([1, 2, 3, 4].map((n) => ask(program.url, '/v1/holds', `cart ${n}`, holding)))
    const tookMs = performance.now() - beganAt
    expect(answers.map((answer) => answer?.status)).toEqual([503, 503, 503, 503])
    console.log(`a primary that hangs was given up after ${(tookMs / 1000).toFixed(1)} s`)
    expect(answers.map((answer) => codeOf(answer?.body ?? '{}'))).toEqual(answers.map(() => 'unavailable'))

    await pair.promote()
    await pair.rebuild()
    for (const n of [1, 2, 3, 4]) expect(await askUntilTold(program.url, '/v1/holds', `cart ${n}`, holding)).toMatchObject({ status: 201 })
    expect(await pair.primary().sql('select from holds', 'holdfast')).toHaveLength(4)
  })

  test.skipIf(FAKETIME === undefined)(
    'a hold that had expired stays so, though the clock of the new primary is an hour behind (left out without faketime)',
    LONG,
    async () => {
      const pair = await pairOf({ env: { standby: { LD_PRELOAD: FAKETIME ?? '', FAKETIME: '-1h', FAKETIME_DONT_FAKE_MONOTONIC: '1' } } })
      const program = await programOn(pair.url)
      await stockUp(program.url)
      const { body } = await askUntilTold(program.url, '/v1/holds', 'cart', { ...holding, ttl_seconds: 1 })
      const { body: kept } = await askUntilTold(program.url, '/v1/holds', 'another cart', { ...holding, ttl_seconds: 1_800 })
      await until('the first has expired', async () => (await pair.primary().sql("select from holds as h where h.status = 'expired'", 'holdfast')).length === 1)

      await pair.primary().kill()
      await pair.promote()
      await pair.rebuild()
      const [row] = await pair.primary().sql("select clock_timestamp() < h.latest_at - interval '50 minutes' as behind from ledger_head as h", 'holdfast')
      expect(row).toEqual({ behind: true })
      const late = await askUntilTold(program.url, `/v1/holds/${idOf(body)}/execute`, 'execution', {})
      expect([late.status, codeOf(late.body)]).toEqual([409, 'hold_expired'])
      const { body: executed } = await askUntilTold(program.url, `/v1/holds/${idOf(kept)}/execute`, 'another execution', {})
      // Time stands still until that clock has caught up; it does not run back.
      const times = [kept, executed].map((hold) => JSON.parse(hold) as { created_at: string; ended_at: string | null })
      expect(Date.parse(times[1]?.ended_at ?? '')).toBeGreaterThanOrEqual(Date.parse(times[0]?.created_at ?? ''))
      expect(await verify(pair.url)).toEqual([])
    },
  )
})

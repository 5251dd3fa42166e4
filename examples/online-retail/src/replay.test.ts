import { holdfast, ConnectionError } from '@holdfast/sdk'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Fault, inMemoryServer, type InMemoryServer } from '../test/in-memory-server.ts'
import { type Opening, type Plan, planner } from './plan.ts'
import { replay, type Replay, type Tally } from './replay.ts'
import { isRight, verify } from './verify.ts'

/** A small shop with everything in it: sales, a return, a write-off, two locations, postage. */
const file = [
  ['1', '10002', 'GLOBE', '4', 'EIRE'],
  ['1', '10080', 'PUZZLE', '6', 'EIRE'],
  ['1', 'POST', 'POSTAGE', '1', 'EIRE'],
  ['2', '10002', 'GLOBE', '6', 'EIRE'],
  ['3', '10002', 'GLOBE', '3', 'United Kingdom'],
  ['3', '10002', 'GLOBE', '1', 'United Kingdom'],
  ['C4', '10002', 'GLOBE', '-2', 'EIRE'],
  ['5', '10080', 'PUZZLE', '-5', 'EIRE'],
  ['5', '10002', 'GLOBE', '-1', 'EIRE'],
  ['6', '10080', 'PUZZLE', '2', 'EIRE'],
]

describe('with ample stock', () => {
  test('everything is sold, given back and written off, and the server has what the file says', async () => {
    const server = inMemoryServer()
    const { tally } = await replayed(server, planOf(file))
    expect(tally).toEqual({
      items: { made: 2, replayed: 0, there: 0 },
      locations: { made: 2, there: 0 },
      receipts: { documents: 2, units: 28 },
      purchases: { shipped: 4, rejected: 0, units: 22, unitsRejected: 0 },
      returns: { documents: 1, units: 2 },
      writeOffs: { full: 1, cut: 0, units: 6, unitsLeft: 0 },
      answers: { changed: 2 + 2 + 2 + 4 * 3 + 1 + 1, replayed: 0, there: 0, refused: 0, resent: 0 },
    } satisfies Tally)
    expect(await verified(server, planOf(file))).toMatchObject({ levels: 3, onHand: 2, differences: [] })
  })

  test('a second run changes nothing, and every answer says that it was given before', async () => {
    const server = inMemoryServer()
    const first = await replayed(server, planOf(file))
    const before = server.state()
    const { tally } = await replayed(server, planOf(file))
    expect(server.state()).toEqual(before)
    expect(tally.answers).toMatchObject({ changed: 0, replayed: first.tally.answers.changed - first.tally.locations.made, there: 0 })
    expect(tally.purchases).toEqual(first.tally.purchases)
  })

  test('items and locations that the shop has already are left as they are', async () => {
    const server = inMemoryServer()
    const stock = client(server)
    await stock.items.create({ sku: '10002', name: 'Our globe' })
    await stock.locations.create({ code: 'DUB', name: 'Our Dublin', metadata: { floor: '3' } })
    const { tally } = await replayed(server, planOf(file))
    expect(tally.items).toEqual({ made: 1, replayed: 0, there: 1 })
    expect(tally.locations).toEqual({ made: 1, there: 1 })
    expect(await stock.locations.get('DUB')).toMatchObject({ name: 'Our Dublin', metadata: { floor: '3' } })
    expect(isRight(await verified(server, planOf(file)))).toBe(true)
  })

  test('stock that changed by other hands is found', async () => {
    const server = inMemoryServer()
    await replayed(server, planOf(file))
    await client(server).receipts.create({ location: 'DUB', lines: [{ sku: '10080', quantity: 1 }] })
    expect(await verified(server, planOf(file))).toMatchObject({
      differences: [{ sku: '10080', location: 'DUB', expected: 0, found: { onHand: 1, available: 1 } }],
    })
  })
})

describe('with scarce stock', () => {
  test('what is short is rejected whole, and what is written off goes as far as stock allows', async () => {
    const server = inMemoryServer()
    const plan = planOf(file, 'scarce')
    // One at a time, so that it is known who comes first: 5 globes and 4 puzzles in Dublin, 2 globes in London.
    const { tally } = await replayed(server, plan, { concurrency: 1 })
    expect(tally.purchases).toEqual({ shipped: 0, rejected: 4, units: 0, unitsRejected: 22 })
    expect(tally.writeOffs).toEqual({ full: 0, cut: 1, units: 5, unitsLeft: 1 })
    expect(await verified(server, plan)).toMatchObject({
      onHand: 8,
      differences: [],
      audit: { purchases: { shipped: 0, rejected: 4 }, writtenOff: 5, faults: [] },
    })
  })

  test('a second run does not ask again for what was rejected', async () => {
    const server = inMemoryServer()
    const plan = planOf(file, 'scarce')
    await replayed(server, plan)
    const before = server.state()
    expect(await run(server, plan)).toMatchObject({ status: 'finished_before' })
    expect(server.state()).toEqual(before)
    expect(isRight(await verified(server, plan))).toBe(true)
  })
})

describe('another replay on the same server', () => {
  test.each([
    ['of another file', planOf(file.slice(1))],
    ['with another opening stock', planOf(file, 'scarce')],
  ])('%s is refused before it changes anything', async (_, other) => {
    const server = inMemoryServer()
    await replayed(server, planOf(file))
    const before = server.state()
    await expect(run(server, other)).rejects.toThrow('into a server of its own')
    expect(server.state()).toEqual(before)
  })

  test('stock of its items that came from elsewhere is refused before it is touched', async () => {
    const server = inMemoryServer()
    const stock = client(server)
    await stock.items.create({ sku: '10002', name: 'Our globe' })
    await stock.locations.create({ code: 'DUB', name: 'Our Dublin' })
    await stock.receipts.create({ location: 'DUB', lines: [{ sku: '10002', quantity: 3 }] })
    const before = server.state()
    await expect(run(server, planOf(file))).rejects.toThrow('DUB has 3 of 10002 already')
    expect(server.state()).toEqual(before)
  })
})

describe('a server that does not remember', () => {
  test('a finished replay is not sent again when its keys are forgotten', async () => {
    const server = inMemoryServer()
    await replayed(server, planOf(file))
    server.forgetKeys()
    const before = server.state()
    expect(await run(server, planOf(file))).toMatchObject({ status: 'finished_before' })
    expect(server.state()).toEqual(before)
  })

  test('a finished replay is not sent again a day later, whatever is remembered', async () => {
    const server = inMemoryServer()
    await replayed(server, planOf(file))
    const requests = server.requests()
    expect(await run(server, planOf(file), { now: () => new Date('2026-11-22T05:00:00Z') })).toMatchObject({ status: 'finished_before' })
    expect(server.requests() - requests).toBe(2)
  })

  test('an unfinished one cannot be gone on with, and says so', async () => {
    const server = inMemoryServer()
    server.onRequest = (count) => (count > 20 ? 'lost' : undefined)
    await expect(run(server, planOf(file))).rejects.toThrow(ConnectionError)
    server.onRequest = () => undefined
    server.forgetKeys()
    const before = server.state()
    await expect(run(server, planOf(file))).rejects.toThrow('cannot be gone on with')
    expect(server.state()).toEqual(before)
  })
})

describe('cut off anywhere', () => {
  const cut = fc.record({ at: fc.integer({ min: 1, max: 40 }), fault: fc.constantFrom<Fault>('lost', 'unanswered') })
  const how = fc.record({ cuts: fc.array(cut, { maxLength: 4 }), concurrency: fc.integer({ min: 1, max: 4 }) })

  test('a replay that is stopped and run again, however often, ends as if it had never been stopped', async () => {
    await fc.assert(
      fc.asyncProperty(how, async ({ cuts, concurrency }) => {
        const server = await stoppedAndRunAgain(planOf(file), cuts, concurrency)
        const undisturbed = inMemoryServer()
        await replayed(undisturbed, planOf(file))
        expect(await levelsOf(server)).toEqual(await levelsOf(undisturbed))
        expect(await verified(server, planOf(file))).toMatchObject({ differences: [] })
      }),
    )
  })

  test('with scarce stock the rules hold all the same, and a run after the last one changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(how, async ({ cuts, concurrency }) => {
        const plan = planOf(file, 'scarce')
        const server = await stoppedAndRunAgain(plan, cuts, concurrency)
        expect(await verified(server, plan)).toMatchObject({ differences: [], audit: { faults: [] } })
        const before = server.state()
        await run(server, plan)
        expect(server.state()).toEqual(before)
      }),
    )
  })

  test('a write-off that was cut short is found again, though stock has come in since', async () => {
    const plan = planOf(
      [
        ['1', '10002', 'GLOBE', '4', 'EIRE'],
        ['2', '10002', 'GLOBE', '-3', 'EIRE'],
        ['C3', '10002', 'GLOBE', '-9', 'EIRE'],
      ],
      'scarce',
    )
    const server = inMemoryServer()
    // The last request of all marks the replay as finished; it is the one that is lost.
    const clean = inMemoryServer()
    await replayed(clean, plan, { concurrency: 1 })
    server.onRequest = (count) => (count >= clean.requests() ? 'lost' : undefined)
    await expect(run(server, plan, { concurrency: 1 })).rejects.toThrow(ConnectionError)
    server.onRequest = () => undefined

    const { tally } = await replayed(server, plan)
    expect(tally.writeOffs).toEqual({ full: 0, cut: 1, units: 2, unitsLeft: 1 })
    expect(await verified(server, plan)).toMatchObject({ differences: [], audit: { writtenOff: 2, faults: [] } })
  })
})

type RunOptions = { readonly concurrency?: number; readonly now?: () => Date }

const run = (server: InMemoryServer, plan: Plan, { concurrency = 4, now = () => new Date('2026-11-21T05:00:00Z') }: RunOptions = {}): Promise<Replay> =>
  replay({ stock: client(server), plan, concurrency, now, progress: { phase: () => undefined, advance: () => undefined } })

const replayed = async (server: InMemoryServer, plan: Plan, options?: RunOptions): Promise<Extract<Replay, { status: 'replayed' }>> => {
  const done = await run(server, plan, options)
  if (done.status !== 'replayed') throw new Error(done.because)
  return done
}

/** Without patience: a request that is lost ends the run, as killing it would. */
const client = (server: InMemoryServer) => holdfast({ url: 'http://in.memory', apiKey: 'hf_test', retries: 0, fetch: server.fetch })

const verified = (server: InMemoryServer, plan: Plan) => verify(client(server), plan)

const levelsOf = async (server: InMemoryServer) => {
  const levels = await Promise.all(['DUB', 'LON'].map((location) => Array.fromAsync(client(server).stockLevels.list({ location }))))
  return levels
    .flat()
    .map(({ sku, location, onHand }) => `${onHand} of ${sku} at ${location}`)
    .toSorted()
}

const stoppedAndRunAgain = async (plan: Plan, cuts: readonly { at: number; fault: Fault }[], concurrency: number): Promise<InMemoryServer> => {
  const server = inMemoryServer()
  for (const { at, fault } of cuts) {
    const from = server.requests() + at
    // From the cut on nothing gets through: the server is away, or the replay was killed.
    server.onRequest = (count) => (count < from ? undefined : count === from ? fault : 'lost')
    await run(server, plan, { concurrency }).catch((error: unknown) => {
      if (!(error instanceof ConnectionError)) throw error
    })
  }
  server.onRequest = () => undefined
  await run(server, plan, { concurrency })
  return server
}

function planOf(rows: readonly (readonly string[])[], opening: Opening = 'ample'): Plan {
  const planning = planner(['InvoiceNo', 'StockCode', 'Description', 'Quantity', 'Country'])
  for (const record of rows) planning.add(record)
  return planning.plan(opening)
}

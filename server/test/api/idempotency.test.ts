// A key stands for one wish: however often it is asked, of whichever server, and whatever dies in between, it is done once.
import { HoldfastError, holdfast, isRefusal, responseOf, type Hold, type Holdfast } from '@holdfast/sdk'
import pg from 'pg'
import { expect, test } from 'vitest'
import { API_KEY, createKey, ownDatabase, startServer, until, verifyBooks, type Answered } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const database = await ownDatabase()
const [london, paris] = await Promise.all([startServer(database), startServer(database)])
await stockUp(london.stock, { LON: { 'KEY-1': 1_000 } })

const lines = [{ sku: 'KEY-1', quantity: 2, location: 'LON' }]

/** The same request fifty times at once, every other one to the other server. */
const fiftyTimes = (method: string, path: string, options: { readonly body: unknown; readonly idempotencyKey: string }): Promise<Answered[]> =>
  Promise.all(Array.from({ length: 50 }, (_, time) => (time % 2 === 0 ? london : paris).request(method, path, options)))
const replays = (answers: readonly Answered[]) => answers.filter((answer) => answer.headers.get('idempotent-replayed') === 'true').length

test('fifty times the same key at once, on two servers, is one hold and fifty equal answers', async () => {
  const before = await levelAt(london.stock, 'KEY-1', 'LON')
  const answers = await fiftyTimes('POST', '/v1/holds', { body: { lines, reference: 'fifty' }, idempotencyKey: 'fifty' })
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
  expect(replays(answers)).toBe(49)
  expect(new Set(answers.map(({ headers }) => headers.get('stock-sequence'))).size).toBe(1)

  expect((await london.stock.holds.list({ reference: 'fifty' }).page()).data).toHaveLength(1)
  expect(await levelAt(paris.stock, 'KEY-1', 'LON')).toMatchObject({ available: before.available - 2, held: before.held + 2, version: before.version + 1 })
})

test('fifty times the same key at once executes, ships and receives once', async () => {
  const hold = await london.stock.holds.place({ lines })
  const before = await levelAt(london.stock, 'KEY-1', 'LON')
  for (const [path, body, status] of [
    [`/v1/holds/${hold.id}/execute`, {}, 200],
    ['/v1/shipments', { hold: hold.id }, 201],
    ['/v1/receipts', { location: 'LON', lines: [{ sku: 'KEY-1', quantity: 5 }] }, 201],
  ] as const) {
    const answers = await fiftyTimes('POST', path, { body, idempotencyKey: `fifty ${path}` })
    expect(new Set(answers.map((answer) => answer.status)), path).toEqual(new Set([status]))
    expect(new Set(answers.map(({ text }) => text)).size, path).toBe(1)
    expect(replays(answers), path).toBe(49)
  }
  expect(await levelAt(paris.stock, 'KEY-1', 'LON')).toMatchObject({
    onHand: before.onHand - 2 + 5,
    held: before.held - 2,
    committed: before.committed,
    version: before.version + 3,
  })
})

test.each([
  ['items', { sku: 'KEY-NEW', name: 'Made once' }],
  ['locations', { code: 'KEYS', name: 'Made once' }],
])('fifty times the same key at once makes one of the %s, and nobody hears that it exists already', async (resource, body) => {
  const answers = await fiftyTimes('POST', `/v1/${resource}`, { body, idempotencyKey: `fifty ${resource}` })
  expect(answers.filter(({ status }) => status !== 201).map(({ text }) => text)).toEqual([])
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
  expect(replays(answers)).toBe(49)
})

test('the same key for another request is refused, on either server, and does nothing', async () => {
  const hold = await london.stock.holds.place({ lines }, { idempotencyKey: 'reused' })
  const before = await levelAt(london.stock, 'KEY-1', 'LON')
  const reused = { code: 'idempotency_key_reused', status: 422, retryable: false }
  const more = [{ sku: 'KEY-1', quantity: 3, location: 'LON' }]
  await expect(london.stock.holds.place({ lines: more }, { idempotencyKey: 'reused' })).rejects.toMatchObject(reused)
  await expect(paris.stock.holds.place({ lines, reference: 'another cart' }, { idempotencyKey: 'reused' })).rejects.toMatchObject(reused)
  await expect(paris.stock.holds.execute(hold.id, {}, { idempotencyKey: 'reused' })).rejects.toMatchObject(reused)
  await expect(paris.stock.items.create({ sku: 'KEY-2', name: 'No' }, { idempotencyKey: 'reused' })).rejects.toMatchObject(reused)
  expect(await levelAt(paris.stock, 'KEY-1', 'LON')).toEqual(before)
  expect(await london.stock.holds.get(hold.id)).toEqual(hold)
})

test('the same request written differently is the same request', async () => {
  const first = await london.request('POST', '/v1/holds', {
    text: '{"lines":[{"sku":"KEY-1","quantity":1,"location":"LON"}],"reference":"tidy"}',
    idempotencyKey: 'tidy',
  })
  const again = await paris.request('POST', '/v1/holds', {
    text: '{ "reference": "tidy", "lines": [ { "location": "LON", "quantity": 1, "sku": "KEY-1" } ] }',
    idempotencyKey: 'tidy',
  })
  expect(again.text).toBe(first.text)
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expect(first.headers.get('idempotent-replayed')).toBeNull()
})

test('what moves stock needs a key; trying it out does not', async () => {
  const hold = await london.stock.holds.place({ lines })
  for (const [path, body] of [
    ['/v1/holds', { lines }],
    [`/v1/holds/${hold.id}/extend`, { ttl_seconds: 900 }],
    [`/v1/holds/${hold.id}/execute`, {}],
    [`/v1/holds/${hold.id}/release`, {}],
    [`/v1/holds/${hold.id}/cancel`, {}],
    ['/v1/receipts', { location: 'LON', lines: [{ sku: 'KEY-1', quantity: 1 }] }],
    ['/v1/adjustments', { location: 'LON', lines: [{ sku: 'KEY-1', delta: 1 }], reason: 'found' }],
    ['/v1/returns', { location: 'LON', lines: [{ sku: 'KEY-1', quantity: 1 }] }],
  ] as const) {
    expect(await london.request('POST', path, { body }), path).toMatchObject({ status: 400, body: { code: 'idempotency_key_required' } })
    expect((await london.request('POST', `${path}?dry_run=true`, { body })).status, path).toBeLessThan(300)
  }
  expect(await london.stock.holds.get(hold.id)).toEqual(hold)
  // What moves no stock may be asked without.
  expect(await london.request('POST', '/v1/availability', { body: { skus: ['KEY-1'] } })).toMatchObject({ status: 200 })
  expect(await london.request('POST', '/v1/items', { body: { sku: 'KEYLESS', name: 'Made without a key' } })).toMatchObject({ status: 201 })
})

test('a "no" that time may turn into a "yes" is not remembered; any other is', async () => {
  await stockUp(london.stock, { LON: { 'SOON-1': 0 } })
  const wish = { lines: [{ sku: 'SOON-1', quantity: 1, location: 'LON' }] }
  await expect(london.stock.holds.place(wish, { idempotencyKey: 'soon' })).rejects.toMatchObject({ code: 'insufficient_stock' })
  await stockUp(london.stock, { LON: { 'SOON-1': 1 } })
  const hold = await paris.stock.holds.place(wish, { idempotencyKey: 'soon' })
  expect(responseOf(hold).replayed).toBe(false)

  const body = { lines: [{ sku: 'SOON-1', quantity: 2 }] }
  const first = await london.request('POST', `/v1/holds/${hold.id}/execute`, { body, idempotencyKey: 'too much' })
  expect(first).toMatchObject({ status: 409, body: { code: 'quantity_exceeds_remaining', remaining: 1 } })
  await london.stock.holds.release(hold.id)
  const again = await paris.request('POST', `/v1/holds/${hold.id}/execute`, { body, idempotencyKey: 'too much' })
  expect(again).toMatchObject({ status: 409, body: { code: 'quantity_exceeds_remaining', remaining: 1 } })
  expect(again.headers.get('idempotent-replayed')).toBe('true')
})

test('a key answers as before, even when what it named has gone meanwhile', async () => {
  await stockUp(london.stock, { LON: { 'GONE-1': 3 } })
  const wish = { lines: [{ sku: 'GONE-1', quantity: 1, location: 'LON' }] }
  const hold = await london.stock.holds.place(wish, { idempotencyKey: 'gone' })
  await london.stock.items.archive('GONE-1')
  const refused = async () => isRefusal(await paris.stock.holds.place(wish).catch((error: unknown) => error), 'item_archived')
  await until('the other server has heard of it', refused)
  const again = await paris.stock.holds.place(wish, { idempotencyKey: 'gone' })
  expect(again).toEqual(hold)
  expect(responseOf(again).replayed).toBe(true)
})

test('a key that the release before this one has remembered answers as before', async () => {
  const wish = { body: { sku: 'OLD-1', name: 'From before items had limits' }, idempotencyKey: 'old' }
  const first = await london.request('POST', '/v1/items', wish)
  const sql = new pg.Client({ connectionString: database.url })
  await sql.connect()
  await sql.query("update idempotency_keys as k set answer = (k.answer::jsonb - 'purchase_limit')::json where k.answer ->> 'sku' = 'OLD-1'")
  await sql.end()
  const again = await london.request('POST', '/v1/items', wish)
  expect([again.status, again.text, again.headers.get('idempotent-replayed')]).toEqual([201, first.text, 'true'])
})

test('two callers may use the same words for their keys', async () => {
  const { key } = await createKey(database, 'Another shop', { scopes: ['holds:write'] })
  const other = holdfast({ url: london.url, apiKey: key, retries: 0 })
  const mine = await london.stock.holds.place({ lines }, { idempotencyKey: 'cart' })
  const theirs = await other.holds.place({ lines }, { idempotencyKey: 'cart' })
  expect(theirs.id).not.toBe(mine.id)
  expect(responseOf(theirs).replayed).toBe(false)
})

test('buyers whose server is killed again and again, and who ask again with the same keys, are each served once', { timeout: 90_000 }, async () => {
  const buyers = 32
  const wishesEach = 16
  const mostKills = 12
  const scarceUnits = 40
  await stockUp(london.stock, { LON: { 'KILL-1': 100_000, 'KILL-2': scarceUnits } })

  let server = await startServer(database)
  let killed = 0
  let finished = false
  let replayed = 0
  // Where to go is looked up for each try: the next server listens elsewhere.
  const goingThere: typeof fetch = (input, init) => (typeof input === 'string' ? fetch(input.replace('http://shop', server.url), init) : fetch(input, init))
  const stock: Holdfast = holdfast(
    // As often as it takes until the next one listens, which takes long on a machine that is busy with other tests.
    { url: 'http://shop', apiKey: API_KEY, retries: 1_000, totalTimeoutMs: 60_000, fetch: goingThere },
    {
      nowMs: () => performance.now(),
      random: Math.random,
      wait: (ms, signal) =>
        new Promise((resolve) => {
          const timer = setTimeout(resolve, Math.min(ms, 100))
          signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()))
        }),
    },
  )
  const held: Hold[] = []
  const executed: Hold[] = []
  const refused: string[] = []

  const buy = async (buyer: number) => {
    for (let wish = 0; wish < wishesEach || (replayed === 0 && killed < mostKills); wish += 1) {
      const name = `kill-${buyer}-${wish}`
      // One in eight wants what is scarce, and most of them do not get it.
      const sku = wish % 8 === 0 ? 'KILL-2' : 'KILL-1'
      try {
        const hold = await stock.holds.place({ lines: [{ sku, quantity: 1, location: 'LON' }], reference: name }, { idempotencyKey: name })
        if (responseOf(hold).replayed) replayed += 1
        held.push(hold)
        if (wish % 2 === 0) continue
        const done = await stock.holds.execute(hold.id, {}, { idempotencyKey: `execute ${name}` })
        if (responseOf(done).replayed) replayed += 1
        executed.push(done)
      } catch (error) {
        if (!(error instanceof HoldfastError) || error.code !== 'insufficient_stock') throw error
        refused.push(name)
      }
    }
  }
  const nemesis = async () => {
    while (!finished && killed < mostKills) {
      const enough = held.length + 120
      await until('more holds are placed', () => held.length >= enough || finished)
      if (finished) return
      await server.kill()
      killed += 1
      server = await startServer(database)
    }
  }
  await Promise.all([Promise.all(Array.from({ length: buyers }, (_, buyer) => buy(buyer))).finally(() => (finished = true)), nemesis()])

  // Without these it would not have been a test of anything.
  expect(killed).toBeGreaterThanOrEqual(2)
  expect(replayed).toBeGreaterThan(0)
  expect(refused.length).toBeGreaterThan(0)

  const inTheBooks = new Map<string, Hold[]>()
  for await (const hold of london.stock.holds.list()) {
    if (hold.reference?.startsWith('kill-')) inTheBooks.set(hold.reference, [...(inTheBooks.get(hold.reference) ?? []), hold])
  }
  // Every key has one effect, each effect was told to somebody, and what was told stands.
  expect([...inTheBooks.values()].filter((holds) => holds.length > 1)).toEqual([])
  expect(new Set(inTheBooks.keys())).toEqual(new Set(held.map((hold) => hold.reference)))
  for (const hold of held)
    expect(inTheBooks.get(hold.reference ?? '')?.[0]).toMatchObject({ id: hold.id, createdAt: hold.createdAt, expiresAt: hold.expiresAt })
  for (const hold of executed) expect(inTheBooks.get(hold.reference ?? '')?.[0]).toEqual(hold)
  for (const name of refused) expect(inTheBooks.has(name)).toBe(false)
  const scarce = held.filter((hold) => hold.lines[0]?.sku === 'KILL-2')
  expect(scarce).toHaveLength(scarceUnits)
  expect((await verifyBooks(database)).violations).toEqual([])
})

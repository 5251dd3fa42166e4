// Every operation that the document names is driven by what the document says of it: right requests and wrong ones. Nothing here names an
// operation, so one that is added tomorrow is driven, too. Never a 500; every answer as described; every refusal of the operation's own list.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { scopes } from '@holdfast/contract'
import { holdfast, toWire } from '@holdfast/sdk'
import { readContract, type DescribedOperation } from '../support/contract-check.ts'
import { draftOf, openPool, type Draft } from '../support/requests.ts'
import { API_KEY, createKey, ownDatabase, startServer, verifyBooks, type Answered } from '../support/server.ts'
import { stockUp } from '../support/shop.ts'

// Fixed, so that what is found once is found again; others, and more of them, for whoever wants to look longer.
const SEED = Number(process.env['HOLDFAST_TEST_SEED'] ?? 20_261_121)
const REQUESTS = Number(process.env['HOLDFAST_TEST_REQUESTS'] ?? 2_500)

const administrator = { email: 'fuzz@shop.example', password: 'seven kettles sing at noon' }
const database = await ownDatabase()
const server = await startServer(database, { HOLDFAST_ADMIN_EMAIL: administrator.email, HOLDFAST_ADMIN_PASSWORD: administrator.password })
const contract = await readContract(server)

/** What there is, and may be named. */
const pool = openPool()
pool.add('email', administrator.email)
pool.add('password', administrator.password)
pool.add('url', 'https://hooks.example.invalid/holdfast')
pool.add('currency', 'GBP', 'EUR')

const session = new Map<string, string>()
let apiKey = API_KEY
let keys = 0

/** Sends what a draft says. A stream that is let in does not end by itself: its beginning is enough. */
const send = async (operation: DescribedOperation, draft: Draft): Promise<Answered & { readonly request: string }> => {
  const { method, path, scope } = operation
  const params = pool.fill(draft.params) as Readonly<Record<string, unknown>> // as the draft's
  const address = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(inAddress(params[name])))
  const query = new URLSearchParams(
    draft.query.flatMap(([name, value]) => listOf(pool.fill(value)).map((each): [string, string] => [name, asText(each)])),
  ).toString()
  const body = draft.text ?? (draft.body === undefined ? undefined : JSON.stringify(pool.fill(draft.body)))
  const key = { fresh: `property-${(keys += 1)}`, again: 'property-again', none: undefined, odd: 'tab\there' }[draft.key]
  const request = `${draft.kind}: ${method} ${address}${query === '' ? '' : `?${query}`} ${typeof body === 'string' ? body.slice(0, 500) : ''}`
  const asPerson = scope === 'person' && session.size > 0
  const gone = new AbortController()
  const response = await fetch(`${server.url}${address}${query === '' ? '' : `?${query}`}`, {
    method,
    headers: {
      ...(draft.who === 'known' && !asPerson ? { authorization: `Bearer ${apiKey}` } : {}),
      ...(draft.who === 'wrong' ? { authorization: 'Bearer hf_nobody-has-this-key-0123456789abcdef' } : {}),
      ...(draft.who === 'known' && asPerson
        ? { cookie: Array.from(session, ([name, value]) => `${name}=${value}`).join('; '), origin: server.url, 'sec-fetch-site': 'same-origin' }
        : {}),
      ...(body === undefined || method === 'GET' ? {} : { 'content-type': draft.contentType ?? 'application/json' }),
      ...(method === 'POST' && key !== undefined ? { 'idempotency-key': key } : {}),
    },
    ...(body === undefined || method === 'GET' ? {} : { body }),
    redirect: 'manual',
    signal: AbortSignal.any([gone.signal, AbortSignal.timeout(20_000)]),
  })
  for (const cookie of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
    if (name !== undefined && value !== undefined && value !== '') session.set(name, value)
    else if (name !== undefined) session.delete(name)
  }
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  const text = isStream ? await beginningOf(response, gone) : await response.text()
  return { status: response.status, headers: response.headers, text, body: isStream ? undefined : jsonOf(text), request }
}

const beginningOf = async (response: Response, gone: AbortController): Promise<string> => {
  const read = await response.body?.getReader().read()
  gone.abort()
  return new TextDecoder().decode(read?.value)
}
const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) && value.length > 0 ? value : [value])
const asText = (value: unknown): string => (typeof value === 'string' ? value.toWellFormed() : (JSON.stringify(value) ?? ''))
/** Half a letter cannot stand in an address; nothing, or dots alone, would lead to another one. */
const inAddress = (value: unknown): string => (/^\.{0,2}$/.test(asText(value)) ? 'dots' : asText(value))

/** What is wrong with an answer; nothing when it is as described. */
const faultOf = (operation: DescribedOperation, answer: Answered): string | undefined => {
  if (answer.status === 500) return `answered 500: ${answer.text}\n${server.said()}`
  if (!operation.streams || answer.status !== 200) return contract.faultOf(operation, answer)
  const data = /^data: (.*)$/m.exec(answer.text)?.[1]
  const event = data === undefined ? undefined : jsonOf(data)
  return event === undefined ? undefined : contract.faultOfEvent(operation, event)
}

/** The requests sell, archive and deactivate what they find; so something comes in now and then. */
const ROUNDS_A_DELIVERY = 6
const newKey = () => createKey(database, `property ${keys}`, { scopes: [...scopes] })
const deliver = async (round: number): Promise<void> => {
  // With a key of its own: the requests may take from any other what it may do.
  const stock = holdfast({ url: server.url, apiKey: (await newKey()).key })
  const [sku, location] = [`FUZZ-${round}`, `LON-${round}`]
  await stockUp(stock, { [location]: { [sku]: 200 }, [`PAR-${round}`]: { [sku]: 5 } })
  for (const then of ['hold', 'execute']) {
    const hold = await stock.holds.place({ lines: [{ sku, quantity: 3, location }], reference: `cart-${round}` })
    pool.gather(toWire(then === 'hold' ? hold : await stock.holds.execute(hold.id)))
    if (then === 'execute') pool.gather(toWire(await stock.shipments.create({ hold: hold.id, lines: [{ sku, quantity: 1 }] })))
  }
  pool.gather(toWire(await stock.adjustments.create({ location, lines: [{ sku, delta: -1 }], reason: 'lost' })))
  pool.gather({ sku, location, code: location })
}

test(`${REQUESTS} requests to all operations, right and wrong, are answered as described, and none with a 500`, async () => {
  const { operations } = contract
  const rounds = Math.ceil(REQUESTS / operations.length)
  const drafts = operations.map((operation, index) => fc.sample(draftOf(operation), { seed: SEED + index, numRuns: rounds }))
  await deliver(-1)
  // What is there already may be named from the beginning.
  for (const operation of operations)
    if (operation.method === 'GET' && !operation.streams && !operation.path.includes('{')) {
      const right: Draft = { kind: 'right', params: {}, query: [], body: undefined, key: 'none', who: 'known' }
      pool.gather((await send(operation, right)).body)
    }

  const answered = new Map<string, Set<number>>(operations.map(({ id }) => [id, new Set()]))
  const counts = new Map<number, number>()
  for (let round = 0; round < rounds; round += 1) {
    if (round % ROUNDS_A_DELIVERY === 0) await deliver(round)
    for (const [index, operation] of operations.entries()) {
      const draft = drafts[index]?.[round]
      if (draft === undefined) throw new Error('there is a draft for each operation and round')
      const answer = await send(operation, draft)
      expect(faultOf(operation, answer), `seed ${SEED}, round ${round}: ${answer.request}`).toBeUndefined()
      answered.get(operation.id)?.add(answer.status)
      counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1)
      if (answer.status < 300) pool.gather(answer.body)
      // One of the requests may have revoked the key that they are made with, or have taken from what it may do.
      else if ((answer.status === 401 || answer.status === 403) && draft.who === 'known') apiKey = (await newKey()).key
    }
  }

  // Both kinds were met, often, and nearly everywhere: requests that are all refused prove little.
  const all = rounds * operations.length
  const successes = Array.from(answered.values()).filter((statuses) => statuses.has(200) || statuses.has(201) || statuses.has(202))
  console.log(
    `${all} requests: ${Array.from(counts, ([status, count]) => `${status} × ${count}`).join(', ')}; never done: ${
      Array.from(answered, ([id, statuses]) => (Math.min(...statuses) < 300 ? '' : id))
        .filter((id) => id !== '')
        .join(', ') || 'none'
    }`,
  )
  expect(successes.length).toBeGreaterThan(operations.length * 0.6)
  expect(counts.get(400)).toBeGreaterThan(all / 10)
  for (const status of [401, 404]) expect(counts.get(status), String(status)).toBeGreaterThan(0)
  expect((await verifyBooks(database)).violations).toEqual([])
}, 300_000)

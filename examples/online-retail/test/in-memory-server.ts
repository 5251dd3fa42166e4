// As much of a Holdfast server as a replay talks to, in memory, behind `fetch`: so that it can be cut off between any two
// requests, or after a request was done and before it was answered. What it must get right is what the contract promises
// about keys: an answer is remembered under its key with its request, a refusal for want of stock is not.

export type Fault =
  /** The request never arrives. */
  | 'lost'
  /** The request is done, and its answer never arrives. */
  | 'unanswered'

export type InMemoryServer = {
  readonly fetch: typeof fetch
  /** Asked before every request; answers what goes wrong with it. */
  onRequest: (count: number) => Fault | undefined
  /** Requests that arrived. */
  readonly requests: () => number
  /** Everything that is kept, to be compared. Keys apart. */
  readonly state: () => unknown
  readonly forgetKeys: () => void
}

type Json = Record<string, unknown>
type Answer = { readonly status: number; readonly body: Json }
type Line = { readonly sku: string; readonly quantity: number; readonly location: string }

export const inMemoryServer = (): InMemoryServer => {
  const items = new Map<string, Json>()
  const locations = new Map<string, Json>()
  const levels = new Map<string, { sku: string; location: string; available: number; held: number; committed: number; version: number }>()
  const holds = new Map<string, { lines: Line[]; status: 'active' | 'executed' | 'shipped' }>()
  const documents: Record<string, Json[]> = { receipts: [], shipments: [], returns: [], adjustments: [] }
  const keys = new Map<string, { readonly request: string; readonly answer: Answer }>()
  let sequence = 0
  let requests = 0

  const level = (sku: string, location: string) => {
    if (!items.has(sku)) throw refusal(404, 'not_found', `there is no item ${sku}`)
    if (!locations.has(location)) throw refusal(404, 'not_found', `there is no location ${location}`)
    const found = levels.get(`${location} ${sku}`) ?? { sku, location, available: 0, held: 0, committed: 0, version: 0 }
    levels.set(`${location} ${sku}`, found)
    return found
  }
  const takeFrom = (lines: readonly Line[]) => {
    const sums = new Map<string, Line>()
    for (const line of lines) {
      const key = `${line.location} ${line.sku}`
      sums.set(key, { ...line, quantity: line.quantity + (sums.get(key)?.quantity ?? 0) })
    }
    const short = [...sums.values()].filter(({ sku, location, quantity }) => level(sku, location).available < quantity)
    if (short.length > 0) {
      throw refusal(409, 'insufficient_stock', 'not enough', {
        retryable: true,
        shortages: short.map(({ sku, location, quantity }) => ({ sku, location, requested: quantity, available: level(sku, location).available })),
      })
    }
    for (const { sku, location, quantity } of sums.values()) level(sku, location).available -= quantity
  }
  const document = (kind: keyof typeof documents, body: Json): Answer => {
    const made = { object: kind, id: `${kind}_${sequence}`, sequence: (sequence += 1), reference: null, metadata: {}, ...body }
    documents[kind]?.push(made)
    return { status: 201, body: made }
  }

  const post = (path: string, body: Json): Answer => {
    const lines = (body['lines'] ?? []) as Line[] // the replay's own lines
    const location = String(body['location'])
    switch (path) {
      case '/v1/items':
      case '/v1/locations': {
        const [kept, name] = path === '/v1/items' ? [items, String(body['sku'])] : [locations, String(body['code'])]
        if (kept.has(name)) throw refusal(409, 'already_exists', `there is ${name} already`)
        kept.set(name, { metadata: {}, ...body })
        return { status: 201, body: kept.get(name) ?? {} }
      }
      case '/v1/receipts':
      case '/v1/returns':
        for (const { sku, quantity } of lines) level(sku, location).available += quantity
        return document(path === '/v1/receipts' ? 'receipts' : 'returns', body)
      case '/v1/adjustments': {
        const losses = (body['lines'] as { sku: string; delta: number }[]).map(({ sku, delta }) => ({ sku, location, quantity: -delta })) // the replay's own lines
        takeFrom(losses)
        return document('adjustments', { ...body, lines: losses.map(({ sku, quantity }) => ({ sku, quantity, from: 'available', to: 'shrinkage' })) })
      }
      case '/v1/holds': {
        takeFrom(lines)
        for (const { sku, location, quantity } of lines) level(sku, location).held += quantity
        const id = `hold_${holds.size}`
        holds.set(id, { lines, status: 'active' })
        return { status: 201, body: { object: 'hold', id, status: 'active' } }
      }
      case '/v1/shipments': {
        const hold = holds.get(String(body['hold']))
        if (hold?.status !== 'executed') throw refusal(409, 'quantity_exceeds_remaining', 'nothing to ship')
        for (const { sku, location, quantity } of hold.lines) level(sku, location).committed -= quantity
        hold.status = 'shipped'
        return document('shipments', {
          ...body,
          lines: hold.lines.map(({ sku, location, quantity }) => ({ sku, quantity, allocations: [{ location, quantity }] })),
        })
      }
      default: {
        const id = /^\/v1\/holds\/(\w+)\/execute$/.exec(path)?.[1] ?? ''
        const hold = holds.get(id)
        if (hold?.status !== 'active') throw refusal(409, 'hold_already_executed', `${id} is not active`)
        for (const { sku, location, quantity } of hold.lines) {
          level(sku, location).held -= quantity
          level(sku, location).committed += quantity
        }
        hold.status = 'executed'
        return { status: 200, body: { object: 'hold', id, status: 'executed' } }
      }
    }
  }

  const read = (path: string, query: URLSearchParams): Answer => {
    const [, , resource = '', name = ''] = path.split('/').map(decodeURIComponent)
    if (resource === 'locations') {
      const found = locations.get(name)
      if (found === undefined) throw refusal(404, 'not_found', `there is no location ${name}`)
      return { status: 200, body: found }
    }
    const rows = resource === 'stock_levels' ? levelRows(query.get('location')) : (documents[resource] ?? []).toReversed()
    const wanted = rows.filter((row) => query.get('reference') === null || row['reference'] === query.get('reference'))
    const from = Number(query.get('starting_after') ?? 0)
    // Pages of two: whoever forgets to turn the page is found out.
    const data = wanted.slice(from, from + 2)
    const hasMore = from + 2 < wanted.length
    return { status: 200, body: { object: 'list', data, has_more: hasMore, next_cursor: hasMore ? String(from + 2) : null } }
  }
  const levelRows = (location: string | null): Json[] =>
    [...levels.values()]
      .filter((row) => row.location === location)
      .map((row) => ({ ...row, on_hand: row.available + row.held + row.committed, damaged: 0, quality_control: 0, incoming: 0 }))

  const answer = (method: string, url: URL, text: string, key: string | null): Answer & { replayed?: boolean } => {
    if (method === 'GET') return read(url.pathname, url.searchParams)
    const body = JSON.parse(text) as Json // what the SDK has written
    if (method === 'PATCH') {
      const code = url.pathname.split('/')[3] ?? ''
      locations.set(code, { ...locations.get(code), ...body })
      return { status: 200, body: locations.get(code) ?? {} }
    }
    const request = `${url.pathname} ${text}`
    const before = key === null ? undefined : keys.get(key)
    if (before !== undefined) {
      if (before.request !== request) throw refusal(422, 'idempotency_key_reused', 'this key belongs to another request')
      return { ...before.answer, replayed: true }
    }
    const done = structuredClone(post(url.pathname, body))
    if (key !== null) keys.set(key, { request, answer: done })
    return done
  }

  const server = {
    onRequest: (() => undefined) as InMemoryServer['onRequest'],
    requests: () => requests,
    state: () => structuredClone({ items, locations, levels, holds, documents }),
    forgetKeys: () => keys.clear(),
    fetch: async (input: Parameters<typeof fetch>[0], init: RequestInit = {}) => {
      // A moment for the others: requests of several workers come in turns.
      await Promise.resolve()
      requests += 1
      const fault = server.onRequest(requests)
      if (fault === 'lost') throw new TypeError('fetch failed')
      const request = new Request(input, init)
      const response = (status: number, body: Json, more: Record<string, string> = {}) =>
        new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...more } })
      const text = await request.text()
      let told: Response
      try {
        const { status, body, replayed } = answer(request.method, new URL(request.url), text, request.headers.get('idempotency-key'))
        told = response(status, body, replayed ? { 'idempotent-replayed': 'true' } : {})
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        told = response(error.status, error.body)
      }
      if (fault === 'unanswered') throw new TypeError('fetch failed')
      return told
    },
  }
  return server
}

class Refusal extends Error {
  readonly status: number
  readonly body: Json
  constructor(status: number, body: Json) {
    super(String(body['detail']))
    this.status = status
    this.body = body
  }
}

const refusal = (status: number, code: string, detail: string, more: Json = {}) => new Refusal(status, { code, status, detail, retryable: false, ...more })

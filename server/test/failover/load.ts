// Buyers who hold, execute and release, and ask again with the same key until they are told for certain. All they were told is
// written down, so that it can be held against what the database has in the end.
import { setTimeout as sleep } from 'node:timers/promises'
import { API_KEY } from './program.ts'

export type Answer = { readonly status: number; readonly body: string; readonly replayed: boolean }

export type Told = Answer & {
  readonly path: string
  readonly key: string
  readonly sent: unknown
  /** When it was first asked, and when it was answered for certain. By performance.now(). */
  readonly askedAt: number
  readonly toldAt: number
}

export type Load = {
  /** What was answered for certain, in the order of the answers. */
  readonly told: readonly Told[]
  /** Answers that settled nothing: 503, a connection that broke, no answer in time. And how long the longest of them took. */
  readonly unsettled: { times: number; longestMs: number }
  /** Buyers finish what they are at. */
  stop(): Promise<void>
}

export const SKU = 'TEA-1'
export const LOCATION = 'LON'
/** Nobody is refused: what is looked for is what is lost. */
const UNITS = 1_000_000
/** Longer than the server takes to say that it does not know. */
const ANSWER_MS = 20_000
const AGAIN_MS = 50

/** One request, once. Nothing when there was no answer. */
export const ask = async (url: string, path: string, key: string | null, sent: unknown): Promise<Answer | undefined> => {
  try {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...(key === null ? {} : { 'idempotency-key': key }) },
      body: JSON.stringify(sent),
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    return { status: response.status, body: await response.text(), replayed: response.headers.get('idempotent-replayed') === 'true' }
  } catch {
    return undefined
  }
}

/** Asks until it is told for certain. */
export const askUntilTold = async (url: string, path: string, key: string, sent: unknown, unsettled?: (tookMs: number) => void): Promise<Answer> => {
  for (;;) {
    const askedAt = performance.now()
    const answer = await ask(url, path, key, sent)
    if (answer !== undefined && answer.status < 500 && answer.status !== 429) return answer
    unsettled?.(performance.now() - askedAt)
    await sleep(AGAIN_MS)
  }
}

export const stockUp = async (url: string): Promise<void> => {
  for (const [path, sent] of [
    ['/v1/locations', { code: LOCATION, name: 'London' }],
    ['/v1/items', { sku: SKU, name: 'Tea' }],
    ['/v1/receipts', { location: LOCATION, lines: [{ sku: SKU, quantity: UNITS }] }],
  ] as const) {
    const { status, body } = await askUntilTold(url, path, `stock up ${path}`, sent)
    if (status !== 201) throw new Error(`${path} was answered ${status}: ${body}`)
  }
}

export const startLoad = (url: string, { buyers, name }: { readonly buyers: number; readonly name: string }): Load => {
  const told: Told[] = []
  const unsettled = { times: 0, longestMs: 0 }
  let isOver = false

  const tell = async (path: string, key: string, sent: unknown): Promise<Told> => {
    const askedAt = performance.now()
    const answer = await askUntilTold(url, path, key, sent, (tookMs) => {
      unsettled.times += 1
      unsettled.longestMs = Math.max(unsettled.longestMs, tookMs)
    })
    const one = { ...answer, path, key, sent, askedAt, toldAt: performance.now() }
    told.push(one)
    if (answer.status >= 400) throw new Error(`${path} was refused with ${answer.status}: ${answer.body}`)
    return one
  }
  const buy = async (buyer: number) => {
    for (let n = 0; !isOver; n += 1) {
      const key = `${name} ${buyer} ${n}`
      const { body } = await tell('/v1/holds', `hold ${key}`, { lines: [{ sku: SKU, location: LOCATION, quantity: 1 }], ttl_seconds: 3_600 })
      const { id } = JSON.parse(body) as { id: string } // a hold
      // One of three is left as it is.
      if (n % 3 === 0) await tell(`/v1/holds/${id}/execute`, `execute ${key}`, {})
      else if (n % 3 === 1) await tell(`/v1/holds/${id}/release`, `release ${key}`, {})
    }
  }
  const all = Promise.all(Array.from({ length: buyers }, (_, buyer) => buy(buyer)))
  all.catch(() => undefined)
  return {
    told,
    unsettled,
    stop: async () => {
      isOver = true
      await all
    },
  }
}

/** Everything that was told is asked for again: what differs is lost, or was told twice in two ways. */
export const lostOf = async (url: string, told: readonly Told[]): Promise<string[]> => {
  const lost: string[] = []
  const left = [...told]
  const replay = async () => {
    for (let one = left.pop(); one !== undefined; one = left.pop()) {
      const again = await askUntilTold(url, one.path, one.key, one.sent)
      if (!again.replayed) lost.push(`${one.key}: was done anew`)
      else if (again.status !== one.status || again.body !== one.body) lost.push(`${one.key}: was told ${one.body}, and then ${again.body}`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, replay))
  return lost
}

/** Counts that follow from what was told, held against the level as it stands. */
export const miscountOf = async (url: string, told: readonly Told[]): Promise<string[]> => {
  const times = (path: RegExp) => told.filter((one) => path.test(one.path) && one.status < 300).length
  const [executed, released] = [times(/execute$/), times(/release$/)]
  const held = times(/holds$/) - executed - released
  const response = await fetch(`${url}/v1/stock_levels/${SKU}`, { headers: { authorization: `Bearer ${API_KEY}` } })
  const { locations } = (await response.json()) as { locations: { held: number; committed: number; available: number }[] } // a level
  const [level] = locations
  const expected = { held, committed: executed, available: UNITS - held - executed }
  return Object.entries(expected).flatMap(([name, units]) => {
    const found = level?.[name as keyof typeof expected] // one of its names
    return found === units ? [] : [`${name}: ${units} follow from what was told, and ${found} stand`]
  })
}

// A shop that never rests: what is asked, how often, and of what. Callers arrive at their own pace, whether or not those before them
// have been answered.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../simulation/random.ts'
import type { Caller, Wish } from './caller.ts'
import type { Operation } from './history.ts'

export type Workload = {
  /** Makes the catalogue and its first stock. */
  prepare(): Promise<void>
  /** Asks and asks until `stop`; resolves when the last caller has been answered. */
  run(): Promise<void>
  stop(): void
}

export type WorkloadOptions = {
  readonly caller: Caller
  readonly random: Random
  /** Operations a second. */
  readonly rate: number
  readonly nowMs: () => number
}

/** A fifth of all traffic is for this one, of which there is never enough. */
const SCARCE = 'SCARCE'
const SKUS = 40
const LOCATIONS = ['A', 'B', 'C'] as const
/** Callers that wait for an answer at a time. Beyond, those who come turn round at the door. */
const UNDER_WAY = 250

/** A hold of ours that may still be active, as it was answered. */
type Known = { readonly id: string; readonly lines: readonly { readonly sku: string; readonly quantity: number }[] }

export const workload = ({ caller, random, rate, nowMs }: WorkloadOptions): Workload => {
  const skus = Array.from({ length: SKUS }, (_, index) => `SKU-${String(index + 1).padStart(2, '0')}`)
  const weights = skus.map((_, index) => 1 / (index + 1))
  const weightOfAll = weights.reduce((sum, weight) => sum + weight, 0)
  const active: Known[] = []
  const executed: string[] = []
  const finished: { readonly operation: Operation; readonly remembered: boolean }[] = []
  let keys = 0
  let races = 0
  let stopped = false
  let latestSequence = 0
  /** How much is brought at a time, so that some are refused, but not most. */
  let generosity = 1
  let refusedShare = 0.25
  const run = random.below(2 ** 30).toString(36)

  const zipf = (): string => {
    let place = random.fraction() * weightOfAll
    for (const [index, weight] of weights.entries()) {
      place -= weight
      if (place < 0) return skus[index] ?? SCARCE
    }
    return SCARCE
  }
  const place = (sku: string): (typeof LOCATIONS)[number] => (sku === SCARCE ? 'A' : random.pick(LOCATIONS))
  const anySku = () => (random.chance(0.2) ? SCARCE : zipf())
  const newKey = () => `${run}-${(keys += 1)}`

  const write = async (wish: Pick<Wish, 'action' | 'args'> & Partial<Pick<Wish, 'subject' | 'race' | 'key' | 'again'>>) => {
    const answered = await caller.ask({ method: 'POST', key: newKey(), subject: null, race: null, again: null, ...wish })
    const { operation, last } = answered
    if (last.sequence !== null) latestSequence = Math.max(latestSequence, last.sequence)
    const code = (last.body as { code?: string } | undefined)?.code // a problem's
    if (last.outcome !== 'unknown' && operation.again === null) {
      const remembered = last.outcome === 'ok' || code !== 'insufficient_stock'
      if (finished.length < 2_000) finished.push({ operation, remembered })
      else finished[random.below(finished.length)] = { operation, remembered }
    }
    return { operation, last, body: last.body as Readonly<Record<string, unknown>>, ok: last.outcome === 'ok' } // an answer of ours is an object
  }

  const linesWanted = () => {
    const lines = new Map<string, { sku: string; quantity: number; location?: string }>()
    const scarce = random.chance(0.2)
    if (scarce) lines.set(SCARCE, { sku: SCARCE, quantity: random.between(1, 2), location: 'A' })
    const more = scarce ? random.between(0, 1) : random.between(1, 4)
    for (let n = 0; n < more; n += 1) {
      const sku = zipf()
      const anywhere = random.chance(0.1)
      lines.set(sku, { sku, quantity: random.between(1, 4), ...(anywhere ? {} : { location: place(sku) }) })
    }
    return [...lines.values()]
  }
  const placeHold = async (ttlSeconds: number, race: number | null = null) => {
    const lines = linesWanted()
    const { body, ok, last } = await write({ action: 'hold', args: { path: '/v1/holds', body: { lines, ttl_seconds: ttlSeconds } }, race })
    if (last.outcome !== 'unknown') {
      refusedShare += ((ok ? 0 : 1) - refusedShare) / 100
      if (refusedShare > 0.35) generosity = Math.min(20, generosity * 1.02)
      if (refusedShare < 0.15) generosity = Math.max(0.1, generosity / 1.02)
    }
    return ok ? { id: String(body['id']), lines } : undefined
  }
  const hold = async () => {
    const placed = await placeHold(random.chance(0.2) ? random.between(1, 3) : random.between(20, 90))
    if (placed !== undefined) active.push(placed)
    if (active.length > 500) active.splice(random.below(active.length), 1)
  }
  /** Somebody's; most often it is still active. One in ten stays, to be asked about again. */
  const anyHold = (): Known | undefined => {
    if (active.length === 0) return undefined
    const index = random.below(active.length)
    return random.chance(0.1) ? active[index] : active.splice(index, 1)[0]
  }
  const execute = async (known = anyHold(), race: number | null = null) => {
    if (known === undefined) return hold()
    const part = random.chance(0.5) ? known.lines.map(({ sku, quantity }) => ({ sku, quantity: random.between(1, quantity) })) : undefined
    const { ok } = await write({
      action: 'execute',
      subject: known.id,
      race,
      args: { path: `/v1/holds/${known.id}/execute`, body: part === undefined ? {} : { lines: part } },
    })
    if (ok && executed.length < 200) executed.push(known.id)
  }
  const release = async (known = anyHold(), race: number | null = null) => {
    if (known === undefined) return hold()
    await write({ action: 'release', subject: known.id, race, args: { path: `/v1/holds/${known.id}/release`, body: {} } })
  }
  /** Buyer, buyer's other tab and the clock meet at the end of a hold. */
  const race = async () => {
    const number = (races += 1)
    const placed = await placeHold(1, number)
    if (placed === undefined) return
    // It was placed somewhere between the sending and the answer.
    const endsAtMs = nowMs() + 1_000 - caller.latencyMs() / 2
    const at = async (act: () => Promise<void>) => {
      await sleep(Math.max(0, endsAtMs + random.between(-20, 20) - caller.latencyMs() / 2 - nowMs()))
      await act()
    }
    await Promise.all([at(() => execute(placed, number)), at(() => release(placed, number)), at(() => execute(placed, number))])
  }
  const receive = async () => {
    const lines = Array.from({ length: random.between(1, 4) }, () => {
      const sku = anySku()
      return { sku, quantity: Math.max(1, Math.round((sku === SCARCE ? 3 : random.between(4, 16)) * generosity)) }
    })
    const location = lines.some(({ sku }) => sku === SCARCE) ? 'A' : random.pick(LOCATIONS)
    await write({ action: 'receive', args: { path: '/v1/receipts', body: { location, lines } } })
  }
  const adjust = async () => {
    const sku = anySku()
    const body = random.chance(0.5)
      ? { location: place(sku), reason: 'correction', lines: [{ sku, delta: random.pick([-3, -2, -1, 2, 3]) }] }
      : { location: place(sku), reason: 'damaged', lines: [{ sku, quantity: 1, from: 'available', to: 'damaged' }] }
    await write({ action: 'adjust', args: { path: '/v1/adjustments', body } })
  }
  const ship = async () => {
    const id = executed.pop()
    if (id === undefined) return receive()
    await write({ action: 'ship', subject: id, args: { path: '/v1/shipments', body: { hold: id } } })
  }
  const transfer = async () => {
    const from = random.pick(LOCATIONS)
    const to = random.pick(LOCATIONS.filter((location) => location !== from))
    const lines = [{ sku: zipf(), quantity: random.between(1, 3) }]
    const planned = await write({ action: 'transfer', args: { path: '/v1/transfers', body: { from, to, lines } } })
    if (!planned.ok) return
    const id = String(planned.body['id'])
    const left = await write({ action: 'dispatch', subject: id, args: { path: `/v1/transfers/${id}/dispatch`, body: {} } })
    if (left.ok) await write({ action: 'arrive', subject: id, args: { path: `/v1/transfers/${id}/receive`, body: {} } })
  }
  const read = async () => {
    const reading = { method: 'GET', key: null, subject: null, again: null, race: null } as const
    const sku = anySku()
    const newest = random.chance(0.3) ? `?min_sequence=${latestSequence}` : ''
    const what = random.fraction()
    if (what < 0.45) await caller.ask({ ...reading, action: 'availability', args: { path: `/v1/availability/${sku}${newest}`, body: undefined } })
    else if (what < 0.75) await caller.ask({ ...reading, action: 'levels', args: { path: `/v1/stock_levels/${sku}${newest}`, body: undefined } })
    else if (what < 0.95)
      await caller.ask({ ...reading, action: 'level-list', args: { path: `/v1/stock_levels?location=${random.pick(LOCATIONS)}&limit=100`, body: undefined } })
    else await caller.ask({ ...reading, action: 'hold-list', args: { path: '/v1/holds?limit=20', body: undefined } })
  }
  /** An old wish once more: as it was, or with another body under the same key. */
  const again = async () => {
    const found = finished.length === 0 ? undefined : random.pick(finished)
    if (found === undefined || !found.remembered) return hold()
    const { operation } = found
    const { action, key, subject, args } = operation
    const changed = random.chance(0.5) ? changedBody(action, args.body) : undefined
    await write({
      action,
      key,
      subject,
      again: { of: operation.i, changed: changed !== undefined },
      args: { path: args.path, body: changed ?? args.body },
    })
  }

  const arrive = (): Promise<void> => {
    const what = random.fraction()
    if (what < 0.35) return hold()
    if (what < 0.5) return execute()
    if (what < 0.6) return release()
    // Four operations each, so that they are a tenth of all.
    if (what < 0.63) return race()
    if (what < 0.69) return receive()
    if (what < 0.72) return adjust()
    if (what < 0.74) return ship()
    if (what < 0.76) return transfer()
    if (what < 0.94) return read()
    return again()
  }

  return {
    prepare: async () => {
      const make = (path: string, key: string, body: object) =>
        caller.ask({ method: 'POST', action: 'receive', key, subject: null, again: null, race: null, args: { path, body } })
      for (const code of LOCATIONS) await make('/v1/locations', `location ${code}`, { code, name: code })
      for (const sku of [SCARCE, ...skus]) await make('/v1/items', `item ${sku}`, { sku, name: sku })
      for (const location of LOCATIONS)
        await write({
          action: 'receive',
          args: { path: '/v1/receipts', body: { location, lines: skus.map((sku) => ({ sku, quantity: 20 })) } },
        })
      await write({ action: 'receive', args: { path: '/v1/receipts', body: { location: 'A', lines: [{ sku: SCARCE, quantity: 20 }] } } })
    },
    run: async () => {
      const underWay = new Set<Promise<void>>()
      let failed: unknown
      const from = nowMs()
      for (let arrived = 0; !stopped && failed === undefined;) {
        // As many as should have come by now, at a pace that is nobody's answer's.
        const due = Math.floor(((nowMs() - from) / 1_000) * rate)
        for (; arrived < due; arrived += 1) {
          if (caller.underWay() >= UNDER_WAY) continue
          const one = arrive().catch((error: unknown) => void (failed = error ?? new Error('no reason')))
          underWay.add(one)
          void one.finally(() => underWay.delete(one))
        }
        await sleep(5)
      }
      await Promise.all(underWay)
      if (failed !== undefined) throw failed
    },
    stop: () => (stopped = true),
  }
}

/** The same kind of request with something else in it; nothing where nothing can be changed. */
const changedBody = (action: Operation['action'], body: unknown): unknown => {
  const { lines } = body as { lines?: readonly { quantity?: number }[] } // what was written above
  if (action === 'hold' || action === 'receive') return { ...(body as object), lines: lines?.map((line) => ({ ...line, quantity: (line.quantity ?? 0) + 1 })) }
  if (action === 'execute') return { ...(body as object), final: false }
  return undefined
}

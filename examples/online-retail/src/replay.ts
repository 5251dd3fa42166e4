// Sends a plan to a server as a customer of the API would: items, opening stock, then invoice after invoice, N at a time.
// Every request goes out under a key made of the invoice number and the step, so that a request that is sent again, by the
// SDK, by this process or by the next one, is answered again and not done again.
import { type Holdfast, isInsufficientStock, isRefusal, responseOf } from '@holdfast/sdk'
import { begin, finish, readStanding, ReplayError, type Standing } from './mark.ts'
import type { Invoice, LocalLines, Plan } from './plan.ts'
import type { Progress } from './progress.ts'

/** Items are small: a few more of them at a time than invoices. */
const ITEMS_AT_A_TIME = 16
/**
 * The server remembers keys for at least 24 hours. A replay that was begun longer ago than this is not gone on with, because
 * it could find its first keys forgotten before it ends.
 */
const KEYS_TRUSTED_MS = 20 * 60 * 60 * 1_000
/** Longer than a replay may be interrupted: the hold of a purchase that was cut in two still stands when it is gone on with. */
const HOLD_TTL_SECONDS = 24 * 60 * 60
/** Each try asks for less than the one before, because someone else took what there was. More than this means something else is wrong. */
const MAX_WRITE_OFF_TRIES = 100

export type Tally = {
  readonly items: { made: number; replayed: number; there: number }
  readonly locations: { made: number; there: number }
  readonly receipts: { documents: number; units: number }
  readonly purchases: { shipped: number; rejected: number; units: number; unitsRejected: number }
  readonly returns: { documents: number; units: number }
  /** `cut`: as far as stock allowed, which was not all of it, or nothing. */
  readonly writeOffs: { full: number; cut: number; units: number; unitsLeft: number }
  readonly answers: { changed: number; replayed: number; there: number; refused: number; resent: number }
}

export type Replay =
  | { readonly status: 'replayed'; readonly tally: Tally; readonly seconds: number; readonly isFirst: boolean }
  /** Nothing was sent, because everything was before. */
  | { readonly status: 'finished_before'; readonly finishedAt: Date; readonly because: string }

export type ReplayOptions = {
  readonly stock: Holdfast
  readonly plan: Plan
  /** Invoices at a time. */
  readonly concurrency: number
  readonly progress: Pick<Progress, 'phase' | 'advance'>
  readonly now: () => Date
}

export const replay = async ({ stock, plan, concurrency, progress, now }: ReplayOptions): Promise<Replay> => {
  const begunMs = performance.now()
  const tally = newTally()
  const ask = asking(tally)
  const standing = await readStanding(stock, plan)
  const untrusted = reasonNotToSend(standing, plan, now())
  if (untrusted !== undefined) return finishedOr(standing, untrusted)

  progress.phase('items', plan.items.length)
  await each(plan.items, ITEMS_AT_A_TIME, async (item) => {
    await makeItem(item)
    progress.advance(1)
  })
  // Items are harmless to ask for. If not one of them is remembered, nothing else of the earlier run is, either.
  if (standing.status !== 'new' && tally.items.replayed === 0) {
    return finishedOr(standing, 'the server does not remember its requests under this API key')
  }

  const made = await begin(stock, plan, { begunAt: now() })
  tally.locations.made += made
  tally.locations.there += plan.locations.length - made
  tally.answers.changed += made

  progress.phase('opening stock', plan.receipts.length)
  await each([...plan.receipts.entries()], concurrency, async ([index, receipt]) => {
    await receive(receipt, openingReference(plan, index))
    progress.advance(1)
  })

  progress.phase('lines', plan.linesRead)
  progress.advance(plan.linesRead - plan.invoices.reduce((sum, { fileLines }) => sum + fileLines, 0))
  await each(plan.invoices, concurrency, async (invoice) => {
    if (invoice.purchase.length > 0) await sell(invoice)
    for (const lines of invoice.returns) await takeBack(invoice, lines)
    for (const lines of invoice.writeOffs) await writeOff(invoice, lines)
    progress.advance(invoice.fileLines)
  })

  if (standing.status !== 'finished') await finish(stock, plan, { finishedAt: now() })
  return { status: 'replayed', tally, seconds: (performance.now() - begunMs) / 1_000, isFirst: standing.status === 'new' }

  async function makeItem({ sku, name }: Plan['items'][number]): Promise<void> {
    try {
      const item = await ask(stock.items.create({ sku, name }, { idempotencyKey: key('item', sku) }))
      tally.items[responseOf(item).replayed ? 'replayed' : 'made'] += 1
    } catch (error) {
      if (!isRefusal(error, 'already_exists')) throw error
      tally.items.there += 1
      tally.answers.there += 1
    }
  }

  async function receive({ location, lines }: LocalLines, reference: string): Promise<void> {
    await ask(stock.receipts.create({ location, lines, reference }, { idempotencyKey: reference }))
    tally.receipts.documents += 1
    tally.receipts.units += unitsOf(lines)
  }

  async function sell({ number, purchase: lines }: Invoice): Promise<void> {
    const units = unitsOf(lines)
    try {
      const hold = await ask(
        stock.holds.place({ lines, mode: 'all_or_nothing', ttlSeconds: HOLD_TTL_SECONDS, reference: number }, { idempotencyKey: key(number, 'hold') }),
      )
      await ask(stock.holds.execute(hold.id, {}, { idempotencyKey: key(number, 'execute') }))
      await ask(stock.shipments.create({ hold: hold.id, reference: number }, { idempotencyKey: key(number, 'ship') }))
      tally.purchases.shipped += 1
      tally.purchases.units += units
    } catch (error) {
      if (!isInsufficientStock(error)) throw error
      tally.answers.refused += 1
      tally.purchases.rejected += 1
      tally.purchases.unitsRejected += units
    }
  }

  async function takeBack({ number }: Invoice, { location, lines }: LocalLines): Promise<void> {
    await ask(
      stock.returns.create(
        { location, lines: lines.map((line) => ({ ...line, to: 'available' as const })), reference: number },
        { idempotencyKey: key(number, 'return', location) },
      ),
    )
    tally.returns.documents += 1
    tally.returns.units += unitsOf(lines)
  }

  /**
   * As far as stock allows: asked for in full first; when that is refused, the refusal says what there is, and that is asked for.
   * All tries have the same key. A refusal for want of stock is not remembered under it, so the key stays free until one
   * amount goes through, and from then on belongs to that amount alone. A later run, which asks for all again, is told
   * that its key belongs to another request: the write-off was done, and in which amount stands in the adjustment.
   */
  async function writeOff({ number }: Invoice, { location, lines: wished }: LocalLines): Promise<void> {
    const idempotencyKey = key(number, 'write-off', location)
    let lines = wished
    for (let tries = 1; lines.length > 0; tries += 1) {
      if (tries > MAX_WRITE_OFF_TRIES) throw new ReplayError(`the write-off of ${number} at ${location} was refused ${MAX_WRITE_OFF_TRIES} times`)
      try {
        await ask(
          stock.adjustments.create(
            { location, reason: 'damaged', reference: number, lines: lines.map(({ sku, quantity }) => ({ sku, delta: -quantity })) },
            { idempotencyKey },
          ),
        )
        break
      } catch (error) {
        if (isRefusal(error, 'idempotency_key_reused')) {
          lines = await writtenOff(number, location)
          tally.answers.replayed += 1
          break
        }
        if (!isInsufficientStock(error)) throw error
        tally.answers.refused += 1
        const available = new Map(error.shortages.map((shortage) => [shortage.sku, shortage.available]))
        lines = lines.map(({ sku, quantity }) => ({ sku, quantity: Math.min(quantity, available.get(sku) ?? quantity) })).filter(({ quantity }) => quantity > 0)
      }
    }
    const units = unitsOf(lines)
    const unitsLeft = unitsOf(wished) - units
    tally.writeOffs[unitsLeft === 0 ? 'full' : 'cut'] += 1
    tally.writeOffs.units += units
    tally.writeOffs.unitsLeft += unitsLeft
  }

  /** What an earlier run has written off of an invoice. */
  async function writtenOff(number: string, location: string) {
    for await (const adjustment of stock.adjustments.list({ reference: number })) {
      if (adjustment.location === location) return adjustment.lines.map(({ sku, quantity }) => ({ sku, quantity }))
    }
    throw new ReplayError(`the key ${key(number, 'write-off', location)} was used, but no adjustment of ${number} is found at ${location}`)
  }
}

/** What the receipt of opening stock is called: its own number, and its key. */
export const openingReference = (plan: Plan, index: number): string => key('opening', plan.opening, plan.receipts[index]?.location ?? '', String(index + 1))

const key = (...parts: readonly string[]): string => ['online-retail', ...parts.map(encodeURIComponent)].join('/')

/** Why nothing may be sent, if so. */
const reasonNotToSend = (standing: Standing, { opening }: Plan, now: Date): string | undefined => {
  if (standing.status === 'new') return undefined
  if (now.getTime() - standing.begunAt.getTime() > KEYS_TRUSTED_MS)
    return `it was begun at ${standing.begunAt.toISOString()}, and the server may have forgotten its keys`
  // A refusal for want of stock is not remembered: what was rejected then could go through now that returns have come in.
  if (standing.status === 'finished' && opening === 'scarce') return 'what was rejected for want of stock must not be asked for again'
  return undefined
}

const finishedOr = (standing: Standing, because: string): Replay => {
  if (standing.status === 'finished') return { status: 'finished_before', finishedAt: standing.finishedAt, because }
  throw new ReplayError(`an earlier replay of this file was not finished, and cannot be gone on with: ${because}; replay it into a new server`)
}

const newTally = (): Tally => ({
  items: { made: 0, replayed: 0, there: 0 },
  locations: { made: 0, there: 0 },
  receipts: { documents: 0, units: 0 },
  purchases: { shipped: 0, rejected: 0, units: 0, unitsRejected: 0 },
  returns: { documents: 0, units: 0 },
  writeOffs: { full: 0, cut: 0, units: 0, unitsLeft: 0 },
  answers: { changed: 0, replayed: 0, there: 0, refused: 0, resent: 0 },
})

/** Counts what was answered: done now, or done before under the same key. Refusals are counted where they are understood. */
const asking =
  ({ answers }: Tally) =>
  async <Answer extends object>(call: Promise<Answer>): Promise<Answer> => {
    const answer = await call
    const { replayed, attempts } = responseOf(answer)
    answers[replayed ? 'replayed' : 'changed'] += 1
    answers.resent += attempts - 1
    return answer
  }

/** Works on all things in their order, so many at a time. After a failure nothing new is begun, and what is under way is awaited. */
const each = async <Thing>(things: readonly Thing[], atATime: number, work: (thing: Thing) => Promise<void>): Promise<void> => {
  let next = 0
  let hasFailed = false
  const worker = async () => {
    while (!hasFailed && next < things.length) {
      const thing = things[next] as Thing // within its bounds, and Thing itself may be undefined
      next += 1
      try {
        await work(thing)
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: atATime }, worker))
  const failure = ends.find((end) => end.status === 'rejected')
  if (failure) throw failure.reason
}

const unitsOf = (lines: readonly { readonly quantity: number }[]): number => lines.reduce((sum, { quantity }) => sum + quantity, 0)

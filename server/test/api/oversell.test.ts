// The promise that everything else is for: however many ask at once, and of however many servers, no unit is promised twice.
import { HoldfastError, isInsufficientStock, type Hold } from '@holdfast/sdk'
import { expect, test } from 'vitest'
import { ownDatabase, startServer, verifyBooks, type TestServer } from '../support/server.ts'
import { levelAt, stockUp } from '../support/shop.ts'

const BUYERS = 64
const WANTED = 5_000
const UNITS = 500
/** Ten times what it takes on two cores that do nothing else. */
const RUSH = { timeout: 60_000 }

const database = await ownDatabase()
const [london, paris] = await Promise.all([startServer(database), startServer(database)])

type Rush = { readonly holds: readonly Hold[]; readonly refusals: readonly HoldfastError[] }

/** Every buyer asks for one unit after the other, of the servers in turn, until all wishes have been made. */
const rush = async (sku: string, servers: readonly TestServer[]): Promise<Rush> => {
  await stockUp(london.stock, { LON: { [sku]: UNITS } })
  const holds: Hold[] = []
  const refusals: HoldfastError[] = []
  let made = 0
  const buy = async (buyer: number) => {
    while (made < WANTED) {
      const wish = (made += 1)
      const server = servers[(buyer + wish) % servers.length] ?? london
      try {
        holds.push(await server.stock.holds.place({ lines: [{ sku, quantity: 1, location: 'LON' }], reference: `wish-${wish}`, ttlSeconds: 3_600 }))
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error
        refusals.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: BUYERS }, (_, buyer) => buy(buyer)))
  return { holds, refusals }
}

const checkRush = async (sku: string, { holds, refusals }: Rush): Promise<void> => {
  expect(holds).toHaveLength(UNITS)
  expect(refusals).toHaveLength(WANTED - UNITS)
  expect(new Set(holds.map((hold) => hold.id)).size).toBe(UNITS)

  // Each made a version of the shelf of its own: the receipt was the first, and there is no gap.
  const versions = holds.flatMap((hold) => hold.lines.flatMap((line) => line.allocations.map((allocation) => allocation.levelVersion)))
  expect(versions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: UNITS }, (_, index) => index + 2))

  // What was available at each version, from nothing but the entries.
  const availableAt = new Map<number, number>([[0, 0]])
  const entries = await Array.fromAsync(london.stock.ledgerEntries.list({ sku }))
  let available = 0
  for (const { from, to, quantity, levelVersion } of entries.toReversed()) {
    available += (to === 'available' ? quantity : 0) - (from === 'available' ? quantity : 0)
    availableAt.set(levelVersion, available)
  }
  expect(Math.min(...availableAt.values())).toBe(0)

  const firstExpiry = holds.map((hold) => hold.expiresAt).toSorted()[0]
  for (const refusal of refusals) {
    if (!isInsufficientStock(refusal)) throw refusal
    expect(refusal.shortages).toEqual([
      { sku, location: 'LON', requested: 1, available: 0, held: UNITS, incoming: 0, nextExpiryAt: firstExpiry, levelVersion: UNITS + 1 },
    ])
    for (const { levelVersion } of refusal.shortages) expect(availableAt.get(levelVersion ?? -1)).toBe(0)
  }

  expect(await levelAt(paris.stock, sku, 'LON')).toMatchObject({ onHand: UNITS, available: 0, held: UNITS, version: UNITS + 1 })
  expect((await verifyBooks(database)).violations).toEqual([])
}

test(`of ${WANTED} wishes for ${UNITS} units exactly ${UNITS} come true, and each of the others is told the truth`, RUSH, async () => {
  await checkRush('RUSH-1', await rush('RUSH-1', [london]))
})

test('the same when the buyers ask two servers that know nothing of each other', RUSH, async () => {
  await checkRush('RUSH-2', await rush('RUSH-2', [london, paris]))
})

test('units that come back during the rush are promised again, and never to two at once', RUSH, async () => {
  const units = 20
  await stockUp(london.stock, { LON: { 'RUSH-3': units, 'RUSH-4': units } })
  let placed = 0
  const buy = async (buyer: number) => {
    for (let round = 0; round < 12; round += 1) {
      const server = (buyer + round) % 2 === 0 ? london : paris
      const other = server === london ? paris : london
      // Half of them name the two items the other way round, which must not make them wait for each other.
      const lines = [
        { sku: 'RUSH-3', quantity: 1, location: 'LON' },
        { sku: 'RUSH-4', quantity: 2, location: 'LON' },
      ]
      const hold = await server.stock.holds.place({ lines: buyer % 2 === 0 ? lines : lines.toReversed() }).catch((error: unknown) => {
        if (!isInsufficientStock(error)) throw error
        return undefined
      })
      if (hold === undefined) continue
      placed += 1
      if (round % 3 === 2) await other.stock.holds.execute(hold.id, { lines: [{ sku: 'RUSH-4', quantity: 1 }] })
      else await other.stock.holds.release(hold.id)
    }
  }
  await Promise.all(Array.from({ length: 32 }, (_, buyer) => buy(buyer)))
  expect(placed).toBeGreaterThan(units)

  const [threes, fours] = await Promise.all(['RUSH-3', 'RUSH-4'].map((sku) => levelAt(paris.stock, sku, 'LON')))
  expect(threes).toMatchObject({ onHand: units, available: units, held: 0, committed: 0 })
  expect(fours).toMatchObject({ onHand: units, held: 0, available: units - (fours?.committed ?? 0) })
  expect(fours?.committed).toBeGreaterThan(0)
  expect((await verifyBooks(database)).violations).toEqual([])
})

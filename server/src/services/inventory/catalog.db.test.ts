// What a process remembers of items and locations is never older, for long, than what stands.
import { expect, onTestFinished, test } from 'vitest'
import { freshCell, rowsOf, until, type Cell } from '../../../test/support/ledger.ts'
import { appendEvent } from '../../storage/events.ts'
import { insertItem, lockItem, setItemSequence, updateItem, type Item, type ItemFields } from '../../storage/items.ts'
import { insertLocation, locationsChangedAfter, setLocationSequence, updateLocation, type LocationFields } from '../../storage/locations.ts'
import { transaction, type Pool } from '../../storage/pool.ts'
import { catalog, type Catalog, type CatalogDeps } from './catalog.ts'

test('an item that another process archives is archived here a moment later', async () => {
  const cell = await freshCell()
  await created(cell, 'TEA-1')
  const { items } = await catalogOn(cell)
  expect((await items.bySku(['TEA-1', 'CUP-1'])).get('TEA-1')).toMatchObject({ status: 'active' })

  await changed(cell, 'TEA-1', { status: 'archived' })

  await until(async () => (await items.bySku(['TEA-1'])).get('TEA-1')?.status === 'archived')
  expect((await items.bySku(['CUP-1'])).size).toBe(0)
})

test('an item that is changed while it is looked up is not remembered as it was', async () => {
  const cell = await freshCell()
  await created(cell, 'TEA-1')
  const slow = answersOf('items-by-sku')
  const { items } = await catalogOn(cell, { pool: slow.pool(cell.pool), limits: { ...limits, refreshMs: 5 } })
  slow.hold()
  const asked = items.bySku(['TEA-1'])
  await until(() => slow.held() === 1)
  // It was read as it stood, and the answer is still under way while the change is made and heard of.
  const { sequence } = await changed(cell, 'TEA-1', { safetyStock: 5 })
  await until(() => slow.refreshes() > 0)
  const before = slow.refreshes()
  await until(() => slow.refreshes() > before + 1)
  slow.letGo()
  await asked
  expect(sequence).toBe(2)

  expect((await items.bySku(['TEA-1'])).get('TEA-1')).toMatchObject({ safetyStock: 5 })
})

test('locations stand in their own order, and only those that are active are candidates', async () => {
  const cell = await freshCell()
  await located(cell, { code: 'ROME', priority: 20 })
  await located(cell, { code: 'LON', priority: 10, latitude: 51.5, longitude: -0.1 })
  await located(cell, { code: 'OLD', priority: 1, status: 'inactive' })
  await located(cell, { code: 'PARIS', priority: 20 })
  const { items } = await catalogOn(cell)

  expect(items.candidates().map(({ location }) => items.code(location))).toEqual(['LON', 'ROME', 'PARIS'])
  expect(items.candidates()[0]).toMatchObject({ point: { latitude: 51.5, longitude: -0.1 } })
  expect(await items.location('OLD')).toMatchObject({ status: 'inactive' })
  expect(await items.location('NOWHERE')).toBeUndefined()

  // Made by another process a moment ago: who names it is understood.
  await located(cell, { code: 'OSLO', priority: 5 })
  expect(await items.location('OSLO')).toMatchObject({ code: 'OSLO' })
  expect(items.candidates().map(({ location }) => items.code(location))).toEqual(['OSLO', 'LON', 'ROME', 'PARIS'])
})

test('a location that another process closes just after this one has changed it is closed here, too', async () => {
  const cell = await freshCell()
  await located(cell, { code: 'LON', priority: 1 })
  const { items } = await catalogOn(cell)
  const [asThisOneLeftIt] = await locationsChangedAfter(cell.pool, 0)
  if (asThisOneLeftIt === undefined) throw new Error('LON was made')
  await transaction(cell.pool, async (connection) => {
    await updateLocation(connection, asThisOneLeftIt.number, { ...asThisOneLeftIt, status: 'inactive' })
    await setLocationSequence(connection, asThisOneLeftIt.number, await appendEvent(connection, told('location.deactivated', 'location', 'LON')))
  })
  await until(() => items.candidates().length === 0)

  items.locationChanged(asThisOneLeftIt)

  expect(items.candidates()).toEqual([])
  expect(await items.location('LON')).toMatchObject({ status: 'inactive' })
})

test('names are found for numbers that nobody asked for before', async () => {
  const cell = await freshCell()
  const tea = await created(cell, 'TEA-1')
  const { items } = await catalogOn(cell)
  expect(() => items.sku(tea.number)).toThrow('is not in the catalog')

  await items.remember([tea.number, tea.number])

  expect(items.sku(tea.number)).toBe('TEA-1')
  expect(items.remember([tea.number])).toBeUndefined()
})

const limits: CatalogDeps['limits'] = { items: 100, refreshMs: 20, changes: 2, reads: { keys: 100, inFlight: 2 } }

const catalogOn = async (cell: Cell, rest: Partial<CatalogDeps> = {}): Promise<{ items: Catalog }> => {
  const faults: unknown[] = []
  const items = catalog({ pool: cell.pool, limits, onFault: (fault) => faults.push(fault), ...rest })
  await items.start()
  onTestFinished(async () => {
    await items.stop()
    expect(faults).toEqual([])
  })
  return { items }
}

/** A connection on which the answers to one statement can be kept back. */
const answersOf = (name: string) => {
  let letGo: (() => void) | undefined
  let isHeld: Promise<void> | undefined
  let held = 0
  let refreshes = 0
  return {
    hold: () => {
      isHeld = new Promise((resolve) => (letGo = resolve))
    },
    letGo: () => letGo?.(),
    held: () => held,
    refreshes: () => refreshes,
    pool: (pool: Pool): Pool =>
      ({
        query: async (statement: { name: string; text: string; values: unknown[] }) => {
          const answer = await pool.query(statement)
          if (statement.name === 'items-changed') refreshes += 1
          if (statement.name === name && isHeld !== undefined) {
            held += 1
            await isHeld
          }
          return answer
        },
      }) as unknown as Pool, // the catalog asks for nothing else
  }
}

const fields = (sku: string): ItemFields => ({
  sku,
  name: 'An item',
  description: null,
  brand: null,
  category: null,
  price: null,
  barcode: null,
  attributes: {},
  metadata: {},
  safetyStock: 0,
  reorderPoint: null,
  purchaseLimit: null,
  status: 'active',
})

const told = (type: string, kind: string, id: string) => ({ type, subject: { kind, id, version: 1 }, actor: 'key_shop', requestId: 'req_test', data: {} })

const created = ({ pool }: Cell, sku: string): Promise<Item> =>
  transaction(pool, async (connection) => {
    const item = await insertItem(connection, fields(sku))
    const sequence = await appendEvent(connection, told('item.created', 'item', sku))
    await setItemSequence(connection, item.number, sequence)
    return { ...item, sequence }
  })

const changed = ({ pool }: Cell, sku: string, changes: Partial<ItemFields>): Promise<Item> =>
  transaction(pool, async (connection) => {
    const before = await lockItem(connection, sku)
    if (before === undefined) throw new Error(`there is no ${sku}`)
    const item = await updateItem(connection, before.number, { ...before, ...changes })
    const sequence = await appendEvent(connection, told('item.updated', 'item', sku))
    await setItemSequence(connection, item.number, sequence)
    expect(item.version).toBe(before.version + 1)
    return { ...item, sequence }
  })

const located = async ({ pool }: Cell, rest: Pick<LocationFields, 'code' | 'priority'> & Partial<LocationFields>): Promise<void> => {
  await transaction(pool, async (connection) => {
    const location = await insertLocation(connection, {
      name: rest.code,
      kind: 'warehouse',
      address: null,
      latitude: null,
      longitude: null,
      metadata: {},
      status: 'active',
      ...rest,
    })
    await setLocationSequence(connection, location.number, await appendEvent(connection, told('location.created', 'location', rest.code)))
  })
  expect(await rowsOf(pool, 'select from locations as l where l.code = $1 and l.sequence > 0', [rest.code])).toHaveLength(1)
}

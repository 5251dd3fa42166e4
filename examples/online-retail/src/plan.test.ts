import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readCsv } from './csv.ts'
import { finalOnHand, type Invoice, levelKey, locationCodes, type LocationCode, MAX_DOCUMENT_LINES, type Opening, type Plan, planner } from './plan.ts'
import { totalsOf } from './verify.ts'

const header = ['InvoiceNo', 'StockCode', 'Description', 'Quantity', 'InvoiceDate', 'UnitPrice', 'CustomerID', 'Country']

describe('items', () => {
  test('a stock code that starts with five digits is an item, trimmed and in capitals', () => {
    expect(skus([row({ code: ' 85123a ' }), row({ code: '22423' }), row({ code: '15056BL' })])).toEqual(['85123A', '22423', '15056BL'])
  })

  test('postage, fees and samples are not stock, and are counted as skipped', () => {
    const plan = planOf([row({ code: 'POST' }), row({ code: 'BANK CHARGES' }), row({ code: 'gift_0001_20' }), row({ code: 'DCGS0076' }), row({ code: '1234' })])
    expect(plan.items).toEqual([])
    expect(plan.invoices).toEqual([])
    expect(plan.linesSkipped).toEqual({ 'not stock': 5, 'quantity 0': 0, unreadable: 0 })
  })

  test('an item is called what it was called last, and by its code when it never was called anything', () => {
    const plan = planOf([
      row({ code: '22423', name: 'CAKESTAND' }),
      row({ code: '22423', name: ' REGENCY CAKESTAND ' }),
      row({ code: '22423', name: '  ' }),
      row({ code: '10002', name: '' }),
    ])
    expect(plan.items).toEqual([
      { sku: '22423', name: 'REGENCY CAKESTAND' },
      { sku: '10002', name: '10002' },
    ])
  })
})

describe('invoices', () => {
  test('what is sold is a purchase, and an item that stands on several lines is one line of it', () => {
    const plan = planOf([row({ code: '10002', quantity: 2 }), row({ code: '10080', quantity: 1 }), row({ code: '10002', quantity: 3 })])
    expect(plan.invoices).toEqual([
      {
        number: '1',
        fileLines: 3,
        returns: [],
        writeOffs: [],
        purchase: [
          { sku: '10002', location: 'LON', quantity: 5 },
          { sku: '10080', location: 'LON', quantity: 1 },
        ],
      },
    ])
  })

  test('a credit note gives back, any other negative line is written off', () => {
    const plan = planOf([row({ invoice: 'C7', quantity: -4, country: 'EIRE' }), row({ invoice: '8', quantity: -2 })])
    expect(plan.invoices.map(({ number, returns, writeOffs }) => ({ number, returns, writeOffs }))).toEqual([
      { number: 'C7', returns: [{ location: 'DUB', lines: [{ sku: '10002', quantity: 4 }] }], writeOffs: [] },
      { number: '8', returns: [], writeOffs: [{ location: 'LON', lines: [{ sku: '10002', quantity: 2 }] }] },
    ])
  })

  test('an invoice may sell and write off, and may stand in pieces: it is one invoice, where its first line is', () => {
    const [first, second] = planOf([row({ invoice: '1', quantity: 5 }), row({ invoice: '2', quantity: 1 }), row({ invoice: '1', quantity: -2 })]).invoices
    expect(first).toMatchObject({ number: '1', fileLines: 2, purchase: [{ quantity: 5 }], writeOffs: [{ lines: [{ quantity: 2 }] }] })
    expect(second).toMatchObject({ number: '2', fileLines: 1 })
  })

  test('an invoice with several countries is one purchase from several locations, and a return to each', () => {
    const plan = planOf([
      row({ invoice: '1', country: 'Germany' }),
      row({ invoice: '1', country: 'Spain' }),
      row({ invoice: 'C2', country: 'Japan', quantity: -1 }),
      row({ invoice: 'C2', country: 'EIRE', quantity: -1 }),
    ])
    expect(plan.invoices[0]?.purchase.map(({ location }) => location)).toEqual(['HAM', 'LIL'])
    expect(plan.invoices[1]?.returns.map(({ location }) => location)).toEqual(['RTM', 'DUB'])
    expect(plan.locations).toEqual(['DUB', 'HAM', 'LIL', 'RTM'])
  })

  test.each([
    ['United Kingdom', 'LON'],
    ['EIRE', 'DUB'],
    ['Germany', 'HAM'],
    ['Austria', 'HAM'],
    ['Switzerland', 'HAM'],
    ['France', 'LIL'],
    ['Belgium', 'LIL'],
    ['Spain', 'LIL'],
    ['Portugal', 'LIL'],
    ['Italy', 'LIL'],
    ['Netherlands', 'RTM'],
    ['Unspecified', 'RTM'],
    ['', 'RTM'],
  ])('what goes to %s leaves from %s', (country, location) => {
    expect(planOf([row({ country })]).locations).toEqual([location])
  })

  test('an invoice with more items than a document takes is said, not split', () => {
    const rows = Array.from({ length: MAX_DOCUMENT_LINES + 1 }, (_, index) => row({ code: String(10_000 + index) }))
    expect(() => planOf(rows)).toThrow('invoice 1 has 2001 different items')
    expect(planOf(rows.slice(1)).invoices).toHaveLength(1)
  })
})

describe('dirt', () => {
  test('a line of nothing, and a line that cannot be read, move no stock and are counted', () => {
    const cut = row({ code: '10002' }).slice(0, 5)
    const plan = planOf([
      row({ quantity: 0 }),
      row({ quantity: 'six' }),
      row({ quantity: '1.5' }),
      row({ quantity: '9999999999' }),
      row({ invoice: ' ' }),
      cut,
      [...cut, ...cut],
    ])
    expect(plan.invoices).toEqual([])
    expect(plan.linesSkipped).toEqual({ 'not stock': 0, 'quantity 0': 1, unreadable: 6 })
    expect(plan.linesRead).toBe(7)
  })

  test('6.0 is six', () => {
    expect(planOf([row({ quantity: '6.0' })]).invoices[0]?.purchase[0]?.quantity).toBe(6)
  })

  test('columns are found by their names, and a file without them is refused', () => {
    const planning = planner(['Country', 'Quantity', 'StockCode', 'InvoiceNo', 'Description'])
    planning.add(['EIRE', '2', '10002', '1', 'INFLATABLE GLOBE'])
    expect(planning.plan('ample').invoices[0]?.purchase).toEqual([{ sku: '10002', location: 'DUB', quantity: 2 }])
    expect(() => planner(['Invoice', 'StockCode', 'Description', 'Quantity', 'Country'])).toThrow('the file has no column InvoiceNo')
  })
})

describe('opening stock', () => {
  test('ample is all that is sold or written off; scarce is half of what is sold, rounded down', () => {
    const rows = [row({ quantity: 7 }), row({ invoice: '2', quantity: -4 }), row({ invoice: 'C3', quantity: -100 })]
    expect(movement(planOf(rows, 'ample'))).toEqual({ sku: '10002', location: 'LON', opening: 11, sold: 7, returned: 100, writtenOff: 4 })
    expect(movement(planOf(rows, 'scarce'))?.opening).toBe(3)
    expect(planOf([row({ quantity: 1 })], 'scarce').receipts).toEqual([])
  })

  test('comes in documents that the server takes', () => {
    const rows = Array.from({ length: 2 * MAX_DOCUMENT_LINES + 1 }, (_, index) => row({ invoice: String(index), code: String(10_000 + index) }))
    const { receipts } = planOf([...rows, row({ invoice: 'x', country: 'EIRE' })])
    expect(receipts.map(({ location, lines }) => [location, lines.length])).toEqual([
      ['LON', MAX_DOCUMENT_LINES],
      ['LON', MAX_DOCUMENT_LINES],
      ['LON', 1],
      ['DUB', 1],
    ])
  })
})

describe('fingerprint', () => {
  test('is of what the file means, not of how it is written', () => {
    const { fingerprint } = planOf([row({ code: '10002', quantity: 2 })])
    expect(planOf([row({ code: ' 10002', quantity: '2.0' }), row({ code: 'POST' })]).fingerprint).toBe(fingerprint)
    expect(planOf([row({ quantity: 2 })], 'scarce').fingerprint).toBe(fingerprint)
    expect(planOf([row({ quantity: 3 })]).fingerprint).not.toBe(fingerprint)
    expect(planOf([row({ quantity: 2, country: 'EIRE' })]).fingerprint).not.toBe(fingerprint)
  })
})

describe('any file', () => {
  const anyRow = fc.record({
    invoice: fc.constantFrom('1', '2', '3', 'C4', 'C5', 'A6'),
    code: fc.constantFrom('10002', '10080', '22423', '85123a', 'POST'),
    quantity: fc.integer({ min: -50, max: 50 }),
    country: fc.constantFrom('United Kingdom', 'EIRE', 'Italy', 'Japan'),
  })
  const anyRows = fc.array(anyRow, { maxLength: 60 }).map((rows) => rows.map(row))

  test('with ample stock no level goes below zero, in whatever order the invoices come, and the end is as foretold', () => {
    fc.assert(
      fc.property(anyRows, fc.infiniteStream(fc.nat()), (rows, chance) => {
        const plan = planOf(rows)
        const onHand = opened(plan)
        for (const step of shuffled(stepsOf(plan.invoices), chance)) {
          for (const [level, change] of step) onHand.set(level, (onHand.get(level) ?? 0) + change)
          expect(Math.min(0, ...onHand.values())).toBe(0)
        }
        for (const [level, movement] of plan.movements) expect(onHand.get(level) ?? 0).toBe(finalOnHand(movement))
      }),
    )
  })

  test('every unit of every line that is stock is in the plan exactly once', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const stock = rows.filter((record) => record[1] !== 'POST')
        const sum = (isCounted: (record: string[]) => boolean) => stock.filter(isCounted).reduce((units, record) => units + Math.abs(Number(record[3])), 0)
        const { sold, returned, writtenOff, opening } = totalsOf(planOf(rows))
        expect(sold).toBe(sum((record) => Number(record[3]) > 0))
        expect(returned).toBe(sum((record) => Number(record[3]) < 0 && record[0]?.startsWith('C') === true))
        expect(writtenOff).toBe(sum((record) => Number(record[3]) < 0 && record[0]?.startsWith('C') === false))
        expect(opening).toBe(sold + writtenOff)
      }),
    )
  })

  test('every line is read, and is in an invoice or skipped', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const plan = planOf(rows)
        expect(plan.linesRead).toBe(rows.length)
        expect(plan.linesSkipped['not stock']).toBe(rows.filter((record) => record[1] === 'POST').length)
        expect(plan.linesSkipped['quantity 0']).toBe(rows.filter((record) => record[1] !== 'POST' && Number(record[3]) === 0).length)
      }),
    )
  })
})

describe('the sample', () => {
  test('is the first week, and comes out as it was counted by other means', async () => {
    let planning: ReturnType<typeof planner> | undefined
    for await (const record of readCsv(fileURLToPath(new URL('../sample/first-week.csv', import.meta.url)))) {
      if (planning === undefined) planning = planner(record)
      else planning.add(record)
    }
    const plan = planning?.plan('ample')
    if (plan === undefined) throw new Error('the sample is empty')

    expect(plan).toMatchObject({
      linesRead: 16_985,
      linesSkipped: { 'not stock': 74, 'quantity 0': 0, unreadable: 0 },
      invoicesRead: 757,
      locations: locationCodes,
    })
    expect(plan.items).toHaveLength(2_287)
    expect(plan.movements.size).toBe(2_897)
    expect(['purchase', 'returns', 'writeOffs'].map((part) => plan.invoices.filter((invoice) => invoice[part as 'purchase'].length > 0).length)).toEqual([
      631, 66, 45,
    ])
    expect(totalsOf(plan)).toEqual({ opening: 140_330, sold: 138_433, returned: 11_205, writtenOff: 1_897 })
    expect(plan.movements.get(levelKey('22423', 'LON'))).toEqual({ sku: '22423', location: 'LON', opening: 885, sold: 885, returned: 3, writtenOff: 0 })
    expect(plan.items.find(({ sku }) => sku === '22423')?.name).toBe('REGENCY CAKESTAND 3 TIER')
  })
})

type Row = { invoice?: string; code?: string; name?: string; quantity?: number | string; country?: string }

function row({ invoice = '1', code = '10002', name = 'INFLATABLE POLITICAL GLOBE', quantity = 1, country = 'United Kingdom' }: Row): string[] {
  return [invoice, code, name, String(quantity), '2010-12-01 08:26:00', '0.85', '17850.0', country]
}

function planOf(rows: readonly string[][], opening: Opening = 'ample'): Plan {
  const planning = planner(header)
  for (const record of rows) planning.add(record)
  return planning.plan(opening)
}

const skus = (rows: readonly string[][]) => planOf(rows).items.map(({ sku }) => sku)

const movement = (plan: Plan) => plan.movements.get(levelKey('10002', 'LON'))

const opened = (plan: Plan): Map<string, number> =>
  new Map(plan.receipts.flatMap(({ location, lines }) => lines.map(({ sku, quantity }) => [levelKey(sku, location), quantity] as const)))

type Step = (readonly [level: string, change: number])[]

const stepsOf = (invoices: readonly Invoice[]): Step[] =>
  invoices.flatMap(({ purchase, returns, writeOffs }) => [
    purchase.map(({ sku, location, quantity }) => [levelKey(sku, location), -quantity] as const),
    ...returns.map(({ location, lines }) => local(location, lines, 1)),
    ...writeOffs.map(({ location, lines }) => local(location, lines, -1)),
  ])

const local = (location: LocationCode, lines: readonly { sku: string; quantity: number }[], sign: 1 | -1): Step =>
  lines.map(({ sku, quantity }) => [levelKey(sku, location), sign * quantity] as const)

const shuffled = <Thing>(things: readonly Thing[], chance: Iterator<number>): Thing[] =>
  things
    .map((thing) => ({ thing, place: Number(chance.next().value) }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ thing }) => thing)

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { back, cup, line, pot, tea } from '../../test/support/given.ts'
import { arrive, expectedLines, isComplete, outstanding, type Arrival, type Beyond, type ExpectedLine } from './arrival.ts'
import type { ItemNumber } from './ids.ts'
import type { Place } from './level.ts'

type Moved = { readonly item: ItemNumber; readonly from: Place; readonly to: Place; readonly quantity: number }

/** Lets units arrive, and says what moved beside what became of the lines. */
const arrived = (expected: readonly ExpectedLine[], arrival: Partial<Arrival>, beyond: Beyond = 'supplier') => {
  const moved: Moved[] = []
  const result = arrive(expected, { lines: null, close: false, acceptExcess: false, ...arrival }, beyond, (item, from, to, quantity) =>
    moved.push({ item, from, to, quantity }),
  )
  return { result, moved }
}
const linesOf = (expected: readonly ExpectedLine[], arrival: Partial<Arrival>): ExpectedLine[] => {
  const { result } = arrived(expected, arrival)
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result)}`)
  return result.lines
}

const five = expectedLines([line(tea, 5)])

test('lines of one item are expected as one', () => {
  expect(expectedLines([line(tea, 2), line(cup, 1), line(tea, 3)])).toEqual([
    { item: tea, quantity: 5, received: 0, missing: 0, withdrawn: 0, excess: 0, levelVersion: null },
    { item: cup, quantity: 1, received: 0, missing: 0, withdrawn: 0, excess: 0, levelVersion: null },
  ])
})

test('whoever does not say what came says that everything did, as it should be', () => {
  const { result, moved } = arrived(expectedLines([line(tea, 5), line(cup, 2)]), {})
  expect(moved).toEqual([
    { item: tea, from: 'incoming', to: 'available', quantity: 5 },
    { item: cup, from: 'incoming', to: 'available', quantity: 2 },
  ])
  expect(result).toMatchObject({
    ok: true,
    nothing: false,
    lines: [
      { received: 5, levelVersion: 1 },
      { received: 2, levelVersion: 2 },
    ],
  })
})

test('a part comes today, another tomorrow, and the rest is still outstanding', () => {
  const first = linesOf(five, { lines: [back(tea, 2)] })
  const second = linesOf(first, { lines: [back(tea, 1)] })
  expect(second).toMatchObject([{ received: 3, missing: 0, excess: 0 }])
  expect(second.map(outstanding)).toEqual([2])
  expect(isComplete(second)).toBe(false)
  expect(isComplete(linesOf(second, {}))).toBe(true)
})

test('what comes damaged or unchecked is received, and kept from sale', () => {
  const { result, moved } = arrived(five, { lines: [back(tea, 2, 'damaged'), back(tea, 1, 'quality_control'), back(tea, 2)] })
  expect(moved.map(({ to, quantity }) => `${quantity} ${to}`)).toEqual(['2 damaged', '1 quality_control', '2 available'])
  expect(result).toMatchObject({ ok: true, lines: [{ received: 5 }] })
})

test('more than was said is refused, summed over the lines of an item', () => {
  expect(arrived(five, { lines: [back(tea, 3), back(tea, 3, 'damaged')] })).toEqual({
    result: { ok: false, item: tea, requested: 6, remaining: 5 },
    moved: [],
  })
})

test('more than was said is taken by whoever accepts that, and comes from outside', () => {
  const { result, moved } = arrived(five, { lines: [back(tea, 7, 'quality_control')], acceptExcess: true })
  expect(moved).toEqual([
    { item: tea, from: 'incoming', to: 'quality_control', quantity: 5 },
    { item: tea, from: 'supplier', to: 'quality_control', quantity: 2 },
  ])
  expect(result).toMatchObject({ ok: true, lines: [{ received: 5, excess: 2 }] })
})

test('an item that nobody spoke of is refused, also to whoever accepts more', () => {
  expect(arrived(five, { lines: [back(pot, 1)], acceptExcess: true }).result).toEqual({ ok: false, item: pot, requested: 1, remaining: 0 })
})

test('what is closed short is written off to where it never came from', () => {
  for (const beyond of ['supplier', 'shrinkage'] as const) {
    const { result, moved } = arrived(five, { lines: [back(tea, 2)], close: true }, beyond)
    expect(moved).toEqual([
      { item: tea, from: 'incoming', to: 'available', quantity: 2 },
      { item: tea, from: 'incoming', to: beyond, quantity: 3 },
    ])
    expect(result).toMatchObject({ ok: true, lines: [{ received: 2, missing: 3 }] })
  }
})

test('an arrival of nothing says so', () => {
  expect(arrived(five, { lines: [] })).toEqual({ result: { ok: true, lines: five, nothing: true }, moved: [] })
})

test('whatever arrives, every unit that was expected is in one place', () => {
  const item = fc.constantFrom(tea, cup)
  const arrival = fc.record({
    lines: fc.option(
      fc.array(fc.record({ item, quantity: fc.integer({ min: 1, max: 6 }), to: fc.constantFrom('available', 'quality_control', 'damaged') }), { maxLength: 4 }),
    ),
    close: fc.boolean(),
    acceptExcess: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 5 }), (arrivals) => {
      let lines: readonly ExpectedLine[] = expectedLines([line(tea, 7), line(cup, 3)])
      const all: Moved[] = []
      for (const one of arrivals) {
        const { result, moved } = arrived(lines, one)
        if (!result.ok) {
          expect(moved).toEqual([])
          continue
        }
        expect(result.nothing).toBe(moved.length === 0)
        lines = result.lines
        all.push(...moved)
      }
      for (const { item: of, quantity, received, missing, withdrawn, excess } of lines) {
        const sum = (from: Place) => all.reduce((units, move) => units + (move.item === of && move.from === from ? move.quantity : 0), 0)
        expect(sum('incoming')).toBe(received + missing)
        expect(sum('supplier')).toBe(excess)
        expect(received + missing + withdrawn).toBeLessThanOrEqual(quantity)
      }
    }),
  )
})

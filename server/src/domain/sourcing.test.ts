import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cup, london, paris, pot, rome, tea } from '../../test/support/given.ts'
import { locationNumber, type ItemNumber, type LocationNumber } from './ids.ts'
import { source, type Candidate, type Demand, type Plan, type Point, type Strategy, type Supply } from './sourcing.ts'

const oslo = locationNumber(4)
const cities = new Map<LocationNumber, { name: string; point: Point }>([
  [london, { name: 'london', point: { latitude: 51.51, longitude: -0.13 } }],
  [paris, { name: 'paris', point: { latitude: 48.86, longitude: 2.35 } }],
  [rome, { name: 'rome', point: { latitude: 41.9, longitude: 12.5 } }],
  [oslo, { name: 'oslo', point: { latitude: 59.91, longitude: 10.75 } }],
])
const inOrder: readonly Candidate[] = Array.from(cities, ([location, { point }]) => ({ location, point }))
const strategies: readonly Strategy[] = ['priority', 'most_stock', 'nearest', 'fewest_splits']

type Shelf = readonly [LocationNumber, ItemNumber, number]
const supplyOf =
  (shelves: readonly Shelf[]): Supply =>
  (item, location) =>
    shelves.reduce((sum, [where, what, quantity]) => (where === location && what === item ? sum + quantity : sum), 0)

const want = (item: ItemNumber, quantity: number): Demand => ({ item, quantity })
const spoken = ({ allocations, missing }: Plan): string[] => [
  ...allocations.map(({ item, location, quantity }) => `${quantity} of ${item} from ${cities.get(location)?.name}`),
  ...missing.map(({ item, quantity }) => `${quantity} of ${item} missing`),
]
const planned = (strategy: Strategy, shelves: readonly Shelf[], demands: readonly Demand[], candidates = inOrder, destination: Point | null = null): string[] =>
  spoken(source(demands, candidates, supplyOf(shelves), strategy, destination))

describe('whatever the strategy', () => {
  test('what there is is sent, and what there is not is missing', () => {
    for (const strategy of strategies) {
      expect(planned(strategy, [[london, tea, 2]], [want(tea, 5)])).toEqual(['2 of 1 from london', '3 of 1 missing'])
      expect(planned(strategy, [], [want(tea, 5)])).toEqual(['5 of 1 missing'])
      expect(planned(strategy, [[london, tea, 2]], [want(tea, 2)], [])).toEqual(['2 of 1 missing'])
    }
  })

  test('a location that may not be asked sends nothing', () => {
    for (const strategy of strategies)
      expect(
        planned(
          strategy,
          [
            [london, tea, 9],
            [paris, tea, 1],
          ],
          [want(tea, 1)],
          inOrder.filter(({ location }) => location !== london),
        ),
      ).toEqual(['1 of 1 from paris'])
  })

  test('nobody wants nothing: no lines, no allocations', () => {
    for (const strategy of strategies) expect(planned(strategy, [[london, tea, 9]], [])).toEqual([])
  })
})

describe('by priority', () => {
  test('the first location sends what it has, and the next what is left', () => {
    expect(
      planned(
        'priority',
        [
          [london, tea, 2],
          [rome, tea, 9],
        ],
        [want(tea, 5)],
      ),
    ).toEqual(['2 of 1 from london', '3 of 1 from rome'])
  })

  test('the first location is asked even when a later one has everything', () => {
    expect(
      planned(
        'priority',
        [
          [london, tea, 1],
          [paris, tea, 9],
        ],
        [want(tea, 2)],
        inOrder,
      ),
    ).toEqual(['1 of 1 from london', '1 of 1 from paris'])
  })

  test('the order is the one in which the locations are given', () => {
    expect(
      planned(
        'priority',
        [
          [london, tea, 5],
          [rome, tea, 5],
        ],
        [want(tea, 2)],
        inOrder.toReversed(),
      ),
    ).toEqual(['2 of 1 from rome'])
  })
})

describe('by most stock', () => {
  test('the fullest location sends first', () => {
    expect(
      planned(
        'most_stock',
        [
          [london, tea, 2],
          [paris, tea, 4],
          [rome, tea, 3],
        ],
        [want(tea, 8)],
      ),
    ).toEqual(['4 of 1 from paris', '3 of 1 from rome', '1 of 1 from london'])
  })

  test('each item is sent by the location that has most of that item', () => {
    expect(
      planned(
        'most_stock',
        [
          [london, tea, 5],
          [paris, tea, 2],
          [london, cup, 1],
          [paris, cup, 9],
        ],
        [want(tea, 1), want(cup, 1)],
      ),
    ).toEqual(['1 of 1 from london', '1 of 2 from paris'])
  })

  test('of two that are equally full the first in order sends', () => {
    expect(
      planned(
        'most_stock',
        [
          [paris, tea, 4],
          [rome, tea, 4],
        ],
        [want(tea, 1)],
      ),
    ).toEqual(['1 of 1 from paris'])
    expect(
      planned(
        'most_stock',
        [
          [paris, tea, 4],
          [rome, tea, 4],
        ],
        [want(tea, 1)],
        inOrder.toReversed(),
      ),
    ).toEqual(['1 of 1 from rome'])
  })
})

describe('by distance', () => {
  const everywhere: readonly Shelf[] = [
    [london, tea, 1],
    [paris, tea, 1],
    [rome, tea, 1],
    [oslo, tea, 1],
  ]
  const florence: Point = { latitude: 43.77, longitude: 11.26 }

  test('the nearest location sends first', () => {
    expect(planned('nearest', everywhere, [want(tea, 4)], inOrder, florence)).toEqual([
      '1 of 1 from rome',
      '1 of 1 from paris',
      '1 of 1 from london',
      '1 of 1 from oslo',
    ])
    expect(planned('nearest', everywhere, [want(tea, 1)], inOrder, { latitude: 60.4, longitude: 5.3 })).toEqual(['1 of 1 from oslo'])
  })

  test('distance is measured over the globe: across the date line is near, and a degree is shorter up north', () => {
    const candidates = [
      { location: london, point: { latitude: 0, longitude: 170 } },
      { location: paris, point: { latitude: 0, longitude: -179 } },
    ]
    expect(planned('nearest', everywhere, [want(tea, 1)], candidates, { latitude: 0, longitude: 179 })).toEqual(['1 of 1 from paris'])
    const north = [
      { location: london, point: { latitude: 70, longitude: 8 } },
      { location: paris, point: { latitude: 76, longitude: 0 } },
    ]
    expect(planned('nearest', everywhere, [want(tea, 1)], north, { latitude: 70, longitude: 0 })).toEqual(['1 of 1 from london'])
  })

  test('a location that has not said where it is comes last, but is asked', () => {
    const candidates = [
      { location: london, point: null },
      { location: oslo, point: null },
      ...inOrder.filter(({ location }) => location === paris || location === rome),
    ]
    expect(planned('nearest', everywhere, [want(tea, 4)], candidates, florence)).toEqual([
      '1 of 1 from rome',
      '1 of 1 from paris',
      '1 of 1 from london',
      '1 of 1 from oslo',
    ])
  })

  test('of two that are equally near, and of all when nobody said where to, the first in order sends', () => {
    const samePlace = inOrder.map(({ location }) => ({ location, point: florence }))
    expect(planned('nearest', everywhere, [want(tea, 2)], samePlace, florence)).toEqual(['1 of 1 from london', '1 of 1 from paris'])
    expect(planned('nearest', everywhere, [want(tea, 2)], inOrder, null)).toEqual(['1 of 1 from london', '1 of 1 from paris'])
    expect(
      planned(
        'nearest',
        everywhere,
        [want(tea, 2)],
        inOrder.map(({ location }) => ({ location, point: null })),
        florence,
      ),
    ).toEqual(['1 of 1 from london', '1 of 1 from paris'])
  })

  test('the other side of the globe can be reached', () => {
    const candidates = [{ location: london, point: { latitude: 0, longitude: 0 } }]
    expect(planned('nearest', everywhere, [want(tea, 1)], candidates, { latitude: 0, longitude: 180 })).toEqual(['1 of 1 from london'])
  })
})

describe('by fewest splits', () => {
  test('a location that has everything sends everything, even if it is last in order', () => {
    expect(
      planned(
        'fewest_splits',
        [
          [london, tea, 5],
          [paris, cup, 5],
          [rome, tea, 2],
          [rome, cup, 2],
        ],
        [want(tea, 2), want(cup, 2)],
      ),
    ).toEqual(['2 of 1 from rome', '2 of 2 from rome'])
  })

  test('the location that has most of the lines whole sends these, and others the rest', () => {
    expect(
      planned(
        'fewest_splits',
        [
          [london, tea, 5],
          [paris, tea, 1],
          [paris, cup, 1],
          [rome, pot, 1],
        ],
        [want(tea, 1), want(cup, 1), want(pot, 1)],
      ),
    ).toEqual(['1 of 1 from paris', '1 of 2 from paris', '1 of 3 from rome'])
  })

  test('a line that no location has whole is taken from the fullest first', () => {
    expect(
      planned(
        'fewest_splits',
        [
          [london, tea, 1],
          [paris, tea, 3],
          [rome, tea, 4],
        ],
        [want(tea, 6)],
      ),
    ).toEqual(['4 of 1 from rome', '2 of 1 from paris'])
  })

  test('a line that some location has whole is not split because another one must be', () => {
    expect(
      planned(
        'fewest_splits',
        [
          [london, tea, 1],
          [paris, tea, 1],
          [paris, cup, 2],
        ],
        [want(tea, 2), want(cup, 2)],
      ),
    ).toEqual(['2 of 2 from paris', '1 of 1 from london', '1 of 1 from paris'])
  })

  test('of two that would do the first in order sends', () => {
    expect(
      planned(
        'fewest_splits',
        [
          [paris, tea, 2],
          [rome, tea, 9],
        ],
        [want(tea, 2)],
      ),
    ).toEqual(['2 of 1 from paris'])
    expect(
      planned(
        'fewest_splits',
        [
          [paris, tea, 2],
          [rome, tea, 2],
        ],
        [want(tea, 3)],
      ),
    ).toEqual(['2 of 1 from paris', '1 of 1 from rome'])
  })
})

describe('for any stock and any lines', () => {
  const runs = { numRuns: 2000 }
  const items = [tea, cup, pot]
  const locations = [...cities.keys()]
  const shelves = fc.array(fc.tuple(fc.constantFrom(...locations), fc.constantFrom(...items), fc.nat(5)), { maxLength: 12 })
  const demands = fc.uniqueArray(fc.record({ item: fc.constantFrom(...items), quantity: fc.integer({ min: 1, max: 9 }) }), {
    selector: ({ item }) => item,
    maxLength: 3,
  })
  const point = fc.record({ latitude: fc.integer({ min: -90, max: 90 }), longitude: fc.integer({ min: -180, max: 180 }) })
  const candidates = fc.uniqueArray(fc.record({ location: fc.constantFrom(...locations), point: fc.option(point) }), { selector: ({ location }) => location })
  const asked = fc.record({ shelves, demands, candidates, destination: fc.option(point), strategy: fc.constantFrom(...strategies) })

  const sum = (lines: readonly { readonly item: ItemNumber; readonly quantity: number }[], item: ItemNumber) =>
    lines.filter((line) => line.item === item).reduce((all, { quantity }) => all + quantity, 0)
  const locationsOf = (plan: Plan) => new Set(plan.allocations.map(({ location }) => location)).size

  test('what is sent and what is missing is what was wanted, and nothing is missing that there was', () => {
    fc.assert(
      fc.property(asked, ({ shelves: stock, demands: lines, candidates: from, destination, strategy }) => {
        const supply = supplyOf(stock)
        const plan = source(lines, from, supply, strategy, destination)
        for (const { item, quantity } of lines) {
          const there = from.reduce((all, { location }) => all + supply(item, location), 0)
          expect(sum(plan.allocations, item)).toBe(Math.min(quantity, there))
          expect(sum(plan.missing, item)).toBe(Math.max(0, quantity - there))
        }
        expect(plan.missing.every(({ quantity }) => quantity > 0)).toBe(true)
      }),
      runs,
    )
  })

  test('no location sends more than it has, or nothing, or the same item twice, or what nobody wants', () => {
    fc.assert(
      fc.property(asked, ({ shelves: stock, demands: lines, candidates: from, destination, strategy }) => {
        const supply = supplyOf(stock)
        const { allocations } = source(lines, from, supply, strategy, destination)
        for (const { item, location, quantity } of allocations) {
          expect(quantity).toBeGreaterThan(0)
          expect(quantity).toBeLessThanOrEqual(supply(item, location))
          expect(from.some((candidate) => candidate.location === location)).toBe(true)
          expect(lines.some((line) => line.item === item)).toBe(true)
        }
        expect(new Set(allocations.map(({ item, location }) => `${item}@${location}`)).size).toBe(allocations.length)
      }),
      runs,
    )
  })

  test('when one location has everything, fewest splits needs one location, and never more than priority', () => {
    fc.assert(
      fc.property(asked, fc.constantFrom(...locations), ({ shelves: stock, demands: lines, candidates: from }, full) => {
        fc.pre(lines.length > 0 && from.some(({ location }) => location === full))
        const supply = supplyOf([...stock, ...lines.map(({ item, quantity }) => [full, item, quantity] as const)])
        const fewest = source(lines, from, supply, 'fewest_splits', null)
        expect(locationsOf(fewest)).toBe(1)
        expect(locationsOf(fewest)).toBeLessThanOrEqual(locationsOf(source(lines, from, supply, 'priority', null)))
      }),
      runs,
    )
  })

  test('no strategy sends one item from fewer locations than fewest splits', () => {
    fc.assert(
      fc.property(asked, ({ shelves: stock, demands: [first], candidates: from, destination, strategy }) => {
        fc.pre(first !== undefined)
        const supply = supplyOf(stock)
        expect(locationsOf(source([first], from, supply, 'fewest_splits', null))).toBeLessThanOrEqual(
          locationsOf(source([first], from, supply, strategy, destination)),
        )
      }),
      runs,
    )
  })

  test('priority leaves no location out that stands before one that sends', () => {
    fc.assert(
      fc.property(asked, ({ shelves: stock, demands: lines, candidates: from }) => {
        const supply = supplyOf(stock)
        const { allocations } = source(lines, from, supply, 'priority', null)
        for (const { item, location } of allocations)
          for (const before of from.slice(
            0,
            from.findIndex((candidate) => candidate.location === location),
          ))
            expect(
              sum(
                allocations.filter((allocation) => allocation.location === before.location),
                item,
              ),
            ).toBe(supply(item, before.location))
      }),
      runs,
    )
  })

  test('most stock leaves no location out that is fuller than one that sends', () => {
    fc.assert(
      fc.property(asked, ({ shelves: stock, demands: lines, candidates: from }) => {
        const supply = supplyOf(stock)
        const { allocations } = source(lines, from, supply, 'most_stock', null)
        for (const { item, location } of allocations)
          for (const fuller of from.filter((candidate) => supply(item, candidate.location) > supply(item, location)))
            expect(
              sum(
                allocations.filter((allocation) => allocation.location === fuller.location),
                item,
              ),
            ).toBe(supply(item, fuller.location))
      }),
      runs,
    )
  })

  test('the same question has the same answer, and asking changes nothing', () => {
    fc.assert(
      fc.property(asked, ({ shelves: stock, demands: lines, candidates: from, destination, strategy }) => {
        const before = structuredClone({ lines, from })
        const plan = source(lines, from, supplyOf(stock), strategy, destination)
        expect(source(lines, from, supplyOf(stock), strategy, destination)).toEqual(plan)
        expect({ lines, from }).toEqual(before)
      }),
      runs,
    )
  })
})

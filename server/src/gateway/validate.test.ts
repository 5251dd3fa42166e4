import { allOperations, operations, type Operation } from '@holdfast/contract'
import { describe, expect, test } from 'vitest'
import { limits } from '../platform/limits.ts'
import { exampleBody } from './example.ts'
import { validatorOf } from './validate.ts'

const place = validatorOf(operations.holds.place, limits.gateway)
const faultsOf = (body: unknown) => place({ params: {}, query: {}, body })
const line = { sku: 'TEA-1', quantity: 1 }

describe('what a hold may ask for', () => {
  test('whole numbers of units, one or more, up to a thousand million', () => {
    for (const quantity of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1_000_000_001, '1', null, true, [1]])
      expect(faultsOf({ lines: [{ ...line, quantity }] }), String(quantity)).toHaveLength(1)
    for (const quantity of [1, 1_000_000_000]) expect(faultsOf({ lines: [{ ...line, quantity }] })).toBeUndefined()
  })

  test('one line or more, two thousand at most', () => {
    const lines = (n: number) => Array.from({ length: n }, () => line)
    expect(faultsOf({ lines: lines(0) })).toEqual([{ param: 'lines', message: 'must not be empty' }])
    expect(faultsOf({ lines: lines(2_000) })).toBeUndefined()
    expect(faultsOf({ lines: lines(2_001) })).toEqual([{ param: 'lines', message: 'must have 2000 entries or less' }])
  })

  test('each fault is named where it is', () => {
    expect(faultsOf({ lines: [line, { sku: '', location: 7 }], mode: 'all', metadata: { a: 1 }, destination: { latitude: 91 } })).toEqual(
      expect.arrayContaining([
        { param: 'lines[1].quantity', message: 'is required' },
        { param: 'lines[1].sku', message: 'must not be empty' },
        { param: 'lines[1].location', message: 'must be a string' },
        { param: 'mode', message: 'must be one of all_or_nothing, best_effort' },
        { param: 'metadata.a', message: 'must be a string' },
        { param: 'destination.longitude', message: 'is required' },
        { param: 'destination.latitude', message: 'must be 90 or less' },
      ]),
    )
  })

  test('metadata is text, whatever its names look like', () => {
    for (const key of ['a', 'line\nbreak', '', 'constructor', 'ü']) {
      expect(faultsOf({ lines: [line], metadata: { [key]: 'x' } })).toBeUndefined()
      expect(faultsOf({ lines: [line], metadata: { [key]: { nested: true } } })).toHaveLength(1)
    }
    expect(faultsOf({ lines: [line], metadata: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`k${n}`, 'v'])) })).toEqual([
      { param: 'metadata', message: 'must have 50 fields or less' },
    ])
  })

  test('a megabyte of nonsense is refused with the first fault only', () => {
    expect(faultsOf({ lines: Array.from({ length: 500_000 }, () => 1) })).toHaveLength(1)
    expect(faultsOf({ lines: Array.from({ length: 1_500 }, () => ({ sku: 'TEA-1', quantity: 0 })) })).toHaveLength(limits.gateway.faultsTold)
  })

  test('nothing is filled in or turned into something else', () => {
    const body = { name: 'x' }
    expect(validatorOf(operations.locations.update, limits.gateway)({ params: { code: 'LON' }, query: {}, body })).toBeUndefined()
    expect(body).toEqual({ name: 'x' })
  })
})

describe('unions and instants', () => {
  const update = validatorOf(operations.items.update, limits.gateway)
  const change = (body: unknown) => update({ params: { sku: 'TEA-1' }, query: {}, body })

  test('of a field that may be null, only what is wrong with its value is told', () => {
    expect(change({ brand: null, price: null, reorder_point: 3 })).toBeUndefined()
    expect(change({ price: { amount: -1, currency: 'pounds', more: 1 } })).toEqual(
      expect.arrayContaining([
        { param: 'price.more', message: 'is not known' },
        { param: 'price.amount', message: 'must be 0 or more' },
        { param: 'price.currency', message: 'is not well formed' },
      ]),
    )
    expect(change({ brand: 3 })).toEqual([{ param: 'brand', message: 'must be a string or null' }])
  })

  test('an instant is one that exists', () => {
    const levels = validatorOf(operations.stock_levels.list, limits.gateway)
    const asOf = (text: string) => levels({ params: {}, query: { as_of: text }, body: undefined })
    for (const right of ['2026-11-21T10:15:00.000Z', '2026-11-21T10:15:00Z', '2028-02-29T00:00:00+01:00']) expect(asOf(right), right).toBeUndefined()
    for (const wrong of ['2026-02-30T00:00:00Z', '2026-11-21', '2026-13-01T00:00:00Z', 'now', '2026-11-21T25:00:00Z', '2026-11-21T10:15:00'])
      expect(asOf(wrong), wrong).toHaveLength(1)
  })
})

test.each(allOperations.map((operation): [string, Operation] => [operation.name, operation]))(
  'the example body of %s is one that it takes',
  (_name, operation) => {
    expect(
      validatorOf(
        { ...operation, input: operation.input.body === undefined ? {} : { body: operation.input.body } },
        limits.gateway,
      )({ params: {}, query: {}, body: exampleBody(operation) }),
    ).toBeUndefined()
  },
)

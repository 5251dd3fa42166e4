import fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import type { Hold, Item, PlaceHold, StockEvent, UpdateItem } from './words.ts'
import { fromWire, toWire } from './wire.ts'

describe('spelling', () => {
  test('what is said in camelCase goes out in snake_case, and comes back', () => {
    const said = { ttlSeconds: 900, lines: [{ sku: 'TEA-1', ifVersion: 3 }], price: null }
    expect(toWire(said)).toEqual({ ttl_seconds: 900, lines: [{ sku: 'TEA-1', if_version: 3 }], price: null })
    expect(fromWire(toWire(said))).toEqual(said)
  })

  test("the shop's own words in metadata, attributes and addresses are not touched", () => {
    const own = { cart_id: '1', cartId: '2', 'Line 1': 'x', __proto: 'y' }
    const wire = { metadata: own, attributes: own, address: own, lines: [{ metadata: own }] }
    expect(fromWire(wire)).toEqual(wire)
    expect(toWire(wire)).toEqual(wire)
  })

  test('a date is said as an instant, and nothing is lost on the way', () => {
    expect(toWire({ since: new Date(0) })).toEqual({ since: '1970-01-01T00:00:00.000Z' })
  })

  test('a name that looks like a prototype stays a plain name', () => {
    const hostile = JSON.parse('{"__proto__":{"is_admin":true},"metadata":{"__proto__":"x"}}')
    const read = fromWire(hostile)
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
    expect(read).not.toHaveProperty('isAdmin')
    expect(read).not.toHaveProperty('is_admin')
  })

  test('any name the contract could have survives both ways', () => {
    const word = fc.stringMatching(/^[a-z]{1,6}$/)
    const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join('_'))
    fc.assert(
      fc.property(fc.dictionary(name, fc.integer()), (wire) => {
        expect(toWire(fromWire(wire))).toEqual(wire)
      }),
    )
  })
})

describe('types', () => {
  test('are those of the contract, in camelCase', () => {
    expectTypeOf<Hold['status']>().toEqualTypeOf<'active' | 'executed' | 'released' | 'expired' | 'canceled'>()
    expectTypeOf<Hold['lines'][number]['allocations'][number]['levelVersion']>().toEqualTypeOf<number>()
    expectTypeOf<Hold['shortages'][number]['nextExpiryAt']>().toEqualTypeOf<string | null>()
    expectTypeOf<Item['metadata']>().toEqualTypeOf<Record<string, string>>()
    expectTypeOf<StockEvent['data']>().toEqualTypeOf<unknown>()
    expectTypeOf<PlaceHold['ttlSeconds']>().toEqualTypeOf<number | undefined>()
    expectTypeOf<UpdateItem['ifVersion']>().toEqualTypeOf<number | undefined>()
  })

  test('take readonly lists and undefined, and refuse unknown words', () => {
    const lines = [{ sku: 'TEA-1', quantity: 1 }] as const
    expectTypeOf({ lines, reference: undefined }).toExtend<PlaceHold>()
    expectTypeOf({ lines: [{ sku: 'TEA-1' }] }).not.toExtend<PlaceHold>()
    // @ts-expect-error: a hold is placed for seconds, spelled as here.
    const wrong: PlaceHold = { lines, ttl_seconds: 900 }
    expect(wrong).toBeDefined()
  })
})

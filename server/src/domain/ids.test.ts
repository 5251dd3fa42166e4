import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { named } from '../../test/support/given.ts'
import { decodeId, encodeId, eventUuid, itemNumber, locationNumber, prefixes, sequenceOf, type IdKind, type Uuid } from './ids.ts'

const kinds = Object.keys(prefixes) as IdKind[] // the keys of a table are what its type says
const uuid = fc.uuid().map((text) => text as Uuid) // fast-check makes them well formed
const runs = { numRuns: 1000 }

describe('an id', () => {
  test('is its kind and 26 letters that can be read aloud', () => {
    expect(encodeId('hold', '00000000-0000-0000-0000-000000000000' as Uuid)).toBe('hold_00000000000000000000000000')
    expect(encodeId('hold', 'ffffffff-ffff-ffff-ffff-ffffffffffff' as Uuid)).toBe('hold_7zzzzzzzzzzzzzzzzzzzzzzzzz')
    fc.assert(
      fc.property(uuid, (id) => {
        expect(encodeId('shipment', id)).toMatch(/^ship_[0-7][0-9a-hjkmnp-tv-z]{25}$/)
      }),
      runs,
    )
  })

  test('leads back to what it was made of', () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), uuid, (kind, id) => {
        expect(decodeId(kind, encodeId(kind, id))).toBe(id)
      }),
      runs,
    )
  })

  test('has one spelling: whatever is read is written the same', () => {
    const letters = fc.array(fc.constantFrom(...'0123456789abcdefghjkmnpqrstvwxyz'), { minLength: 25, maxLength: 25 }).map((all) => all.join(''))
    fc.assert(
      fc.property(fc.constantFrom(...'01234567'), letters, (first, rest) => {
        const id = decodeId('hold', `hold_${first}${rest}`)
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
        expect(id && encodeId('hold', id)).toBe(`hold_${first}${rest}`)
      }),
      runs,
    )
  })

  test('sorts as the thing sorts: what was made later comes later', () => {
    fc.assert(
      fc.property(uuid, uuid, (a, b) => {
        expect(encodeId('hold', a) < encodeId('hold', b)).toBe(a < b)
      }),
      runs,
    )
  })

  test('of one kind is not an id of another', () => {
    for (const kind of kinds) for (const other of kinds) expect(decodeId(other, encodeId(kind, named('x'))) !== undefined).toBe(kind === other)
  })

  test('that is garbage is nothing, and no error', () => {
    const good = encodeId('hold', named('x'))
    const bad = [
      '',
      'hold',
      'hold_',
      good.slice(0, -1),
      `${good}0`,
      good.slice(5),
      good.toUpperCase(),
      ` ${good}`,
      `${good} `.slice(1),
      good.replace('_', '-'),
      'hold_80000000000000000000000000',
      'hold_zzzzzzzzzzzzzzzzzzzzzzzzzz', // more than 128 bits
      'hold_0000000000000000000000000u',
      'hold_0000000000000000000000000i',
      'hold_0000000000000000000000000l',
      'hold_0000000000000000000000000o',
      'hold_0000000000000000000000000-',
      'hold_0000000000000000000000000é',
      'hold_000000000000000000000000\u{1f375}',
      'hold_0000000000000000000000000\0',
    ]
    for (const id of bad) expect(decodeId('hold', id), id).toBeUndefined()
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (id) => {
        expect(decodeId('hold', id)).toBeUndefined()
      }),
      runs,
    )
  })

  test('with one letter changed is another thing or nothing, never the same', () => {
    fc.assert(
      fc.property(uuid, fc.nat(25), fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 1 }), (id, place, letter) => {
        const good = encodeId('hold', id)
        const changed = good.slice(0, 5 + place) + letter + good.slice(6 + place)
        if (changed !== good) expect(decodeId('hold', changed)).not.toBe(id)
      }),
      runs,
    )
  })
})

describe("an event's uuid", () => {
  const at = fc.integer({ min: 0, max: 2 ** 48 - 1 })
  const cell = fc.nat(0xfff)
  const sequence = fc.maxSafeNat()

  test("is a version 7 uuid of the event's instant, cell and sequence", () => {
    expect(eventUuid(Date.UTC(2026, 0, 5, 9), 3, 42)).toBe('019b8d62-7a80-7003-8000-00000000002a')
    fc.assert(
      fc.property(at, cell, sequence, (ms, inCell, place) => {
        expect(eventUuid(ms, inCell, place)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      }),
      runs,
    )
  })

  test("tells the sequence that it was made of, also through the event's id", () => {
    fc.assert(
      fc.property(at, cell, sequence, (ms, inCell, place) => {
        const made = eventUuid(ms, inCell, place)
        expect(sequenceOf(made)).toBe(place)
        expect(decodeId('event', encodeId('event', made))).toBe(made)
      }),
      runs,
    )
  })

  test('is the same whenever it is asked for, and another for any other event', () => {
    fc.assert(
      fc.property(fc.tuple(at, cell, sequence), fc.tuple(at, cell, sequence), (one, other) => {
        expect(eventUuid(...one)).toBe(eventUuid(...one))
        expect(eventUuid(...one) === eventUuid(...other)).toBe(one.join() === other.join())
      }),
      runs,
    )
  })

  test('sorts by time, and within a millisecond of a cell by sequence', () => {
    fc.assert(
      fc.property(at, at, cell, cell, sequence, sequence, (ms, otherMs, inCell, inOtherCell, place, otherPlace) => {
        if (ms !== otherMs) expect(eventUuid(ms, inCell, place) < eventUuid(otherMs, inOtherCell, otherPlace)).toBe(ms < otherMs)
        expect(eventUuid(ms, inCell, place) < eventUuid(ms, inCell, otherPlace)).toBe(place < otherPlace)
      }),
      runs,
    )
  })
})

test('items and locations are numbered from 1, in whole numbers', () => {
  expect([itemNumber(1), locationNumber(7)]).toEqual([1, 7])
  for (const n of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER + 1]) {
    expect(() => itemNumber(n)).toThrow('is not a positive whole number')
    expect(() => locationNumber(n)).toThrow('is not a positive whole number')
  }
})

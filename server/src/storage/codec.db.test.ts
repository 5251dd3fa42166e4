// Array parameters are written as PostgreSQL keeps them. What it reads must be what was meant.
import { expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../../test/support/database.ts'
import type { Uuid } from '../domain/ids.ts'
import { int2s, int4s, int8s, jsons, texts, uuids, words } from './codec.ts'
import { openPool, type Pool } from './pool.ts'

test('lists of numbers, texts, ids and documents reach the database as they were given', async () => {
  const pool = await freshPool()
  const small = [0, 1, -1, 32_767, -32_768]
  const numbers = [0, 7, -7, 2_147_483_647, -2_147_483_648]
  const large = [null, 0, -1, 4_294_967_296, -4_294_967_297, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]
  const said = ['tea', '', null, 'a "cup", {or} \\two\\', 'null', 'Grüße 茶 🍵', ' \n\t']
  const ids = ['00000000-0000-0000-0000-000000000000', null, '01936b3c-7A4e-7def-8123-ffffffffffff'] as Uuid[]
  const documents = [null, '{"sku": "tea\\u00e9", "quantity": 1}', '[]']

  const { rows } = await pool.query(
    `select $1::smallint[]::int[] as small, $2::int[] as numbers, $3::bigint[]::text[] as large, $4::text[] as said, $5::uuid[]::text[] as ids,
            $6::json[]::text[] as documents, $7::text[] as words, cardinality($8::int[]) as nothing`,
    [int2s(small), int4s(numbers), int8s(large), texts(said), uuids(ids), jsons(documents), words(['active', 'expired']), int4s([])],
  )

  expect(rows[0]).toEqual({
    small,
    numbers,
    large: large.map((value) => (value === null ? null : String(value))),
    said,
    ids: ids.map((id) => id?.toLowerCase() ?? null),
    documents,
    words: ['active', 'expired'],
    nothing: 0,
  })
})

test('a number that its column cannot hold is refused, and never cut off', () => {
  expect(() => int2s([32_768])).toThrow('does not fit')
  expect(() => int4s([2_147_483_648])).toThrow('does not fit')
  expect(() => int4s([1.5])).toThrow('does not fit')
  expect(() => int8s([2 ** 53])).toThrow('does not fit')
  expect(() => int8s([Number.NaN])).toThrow('does not fit')
  expect(() => uuids(['not-a-uuid' as Uuid])).toThrow('no uuid')
  expect(() => uuids(['01936b3c-7a4e-7def-8123-ffffffffff' as Uuid])).toThrow('no uuid')
})

const freshPool = async (): Promise<Pool> => {
  const database = await freshDatabase()
  const pool = openPool({ url: database.url, size: 1, statementTimeoutMs: 10_000, lockTimeoutMs: 1_000, applicationName: 'test' })
  onTestFinished(async () => {
    await pool.end()
    await database.drop()
  })
  return pool
}

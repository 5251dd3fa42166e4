// An item or a location is made once, however often it is asked for, and nobody hears of one that does not stand.
import { expect, test } from 'vitest'
import { byCallers, digest, freshCell, rowsOf, type Cell } from '../../../test/support/ledger.ts'
import { createOnce } from './creation.ts'
import { Refused } from '../answer.ts'

test('an item that is asked for ten times at once with one key is made once, and everybody is told the same', async () => {
  const cell = await shelf()

  const answers = await byCallers(10, 10, () => create(cell, 'TEA-1', { key: 'create tea' }))

  expect(new Set(answers.map((answer) => JSON.stringify(answer.ok && answer.body)))).toEqual(new Set(['{"name":"TEA-1"}']))
  expect(answers.filter((answer) => answer.replayed !== true)).toHaveLength(1)
  expect(await names(cell)).toEqual(['TEA-1'])
  expect(cell.stands).toEqual(['TEA-1'])
})

test('an item that is there already is refused, whoever asks for it with another key or none', async () => {
  const cell = await shelf()
  await create(cell, 'TEA-1', { key: 'create tea' })

  await expect(create(cell, 'TEA-1', { key: 'another key' })).rejects.toMatchObject({ refusal: { code: 'already_exists' } })
  await expect(create(cell, 'TEA-1')).rejects.toMatchObject({ refusal: { code: 'already_exists' } })
  await expect(create(cell, 'CUP-1', { key: 'create tea', request: 'another request' })).rejects.toMatchObject({ refusal: { code: 'idempotency_key_reused' } })

  expect(await names(cell)).toEqual(['TEA-1'])
})

test('nobody hears of an item whose transaction was not committed', async () => {
  const cell = await shelf()
  await cell.pool.query('alter table idempotency_keys add constraint no_more_keys check (false) not valid')

  await expect(create(cell, 'TEA-1', { key: 'create tea' })).rejects.toThrow('no_more_keys')

  expect(cell.stands).toEqual([])
  expect(await names(cell)).toEqual([])
})

type Shelf = Cell & { readonly stands: string[] }

const shelf = async (): Promise<Shelf> => {
  const cell = await freshCell()
  await cell.pool.query('create table shelf (name text primary key)')
  return { ...cell, stands: [] }
}

const create = ({ pool, stands }: Shelf, name: string, { key, request = 'the same request' }: { key?: string; request?: string } = {}) =>
  createOnce({
    pool,
    key: key === undefined ? undefined : { key: digest(key), fingerprint: digest(request) },
    make: async (connection) => {
      await connection.query('insert into shelf values ($1)', [name])
      return { name, sequence: 1 }
    },
    render: (made) => ({ name: made.name }),
    stands: (made) => stands.push(made.name),
    taken: `there is a ${name} already`,
  })

const names = async ({ pool }: Cell) => (await rowsOf<{ name: string }>(pool, 'select s.name from shelf as s order by s.name')).map((row) => row.name)

test('a refusal that is thrown while it is made undoes everything', async () => {
  const cell = await shelf()

  await expect(
    createOnce({
      pool: cell.pool,
      key: { key: digest('create tea'), fingerprint: digest('the same request') },
      make: async (connection) => {
        await connection.query("insert into shelf values ('TEA-1')")
        throw new Refused('invalid_request', 'not like that')
      },
      render: () => null,
      stands: () => cell.stands.push('TEA-1'),
      taken: 'there is one already',
    }),
  ).rejects.toThrow('not like that')

  expect(await names(cell)).toEqual([])
  expect(await rowsOf(cell.pool, 'select from idempotency_keys')).toEqual([])
})

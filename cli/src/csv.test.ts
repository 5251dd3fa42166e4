import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readCsv } from './csv.ts'

async function* inPieces(text: string, length: number) {
  for (let at = 0; at < text.length; at += length) yield text.slice(at, at + length)
}
const read = async (text: string, length = 7) => {
  const records = []
  for await (const { line, fields } of readCsv(inPieces(text, length))) records.push([line, ...fields])
  return records
}

test('fields may be quoted and hold commas, quotes and line breaks; lines are counted as an editor counts them', async () => {
  const text = '\uFEFFsku,name\r\n\r\nTEA-1,"Earl ""Grey"",\r\n100 g"\rCUP-2,5" cup\n,""\nLAST,x'
  const expected = [
    [1, 'sku', 'name'],
    [3, 'TEA-1', 'Earl "Grey",\r\n100 g'],
    [5, 'CUP-2', '5" cup'],
    [6, '', ''],
    [7, 'LAST', 'x'],
  ]
  for (const length of [1, 2, 3, 100]) expect(await read(text, length)).toEqual(expected)
})

test('any table that is written comes back as it was, however it is cut', async () => {
  const field = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', ' ', 'é') })
  const rows = fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(rows, fc.constantFrom('\n', '\r\n'), fc.integer({ min: 1, max: 9 }), async (rows, end, length) => {
      const text = rows.map((fields) => fields.map((each) => `"${each.replaceAll('"', '""')}"`).join(',')).join(end)
      expect((await read(text, length)).map(([, ...fields]) => fields)).toEqual(rows)
    }),
  )
})

test('what is not well formed is refused with its line', async () => {
  await expect(read('sku\n"TEA')).rejects.toThrow('line 2: a quote is not closed')
  await expect(read('sku\n"TEA" x\n')).rejects.toThrow('line 2: there is text after the quote')
  await expect(read(`sku\n"${'x'.repeat(1_000_001)}`, 10_000)).rejects.toThrow('line 2: a record of more than 1000000 characters')
})

// What a spreadsheet writes is what is read, however it comes in pieces.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../../platform/limits.ts'
import { csvReader, Unreadable } from './csv.ts'
import { recordsOf } from './import-records.ts'

const bounds = { ...limits.imports, rowCharacters: 2_000, bytes: 100_000 }
const records = async (bytes: Uint8Array, { sizes = [], mediaType = 'text/csv' }: { readonly sizes?: readonly number[]; readonly mediaType?: string } = {}) => {
  async function* pieces() {
    let at = 0
    for (const size of sizes) yield bytes.subarray(at, (at += size))
    yield bytes.subarray(at)
  }
  const found = []
  for await (const arrived of recordsOf({ mediaType, bytes: pieces() }, bounds)) found.push(...arrived.records)
  return found
}
const cells = async (text: string) => (await records(Buffer.from(text))).map((record) => record.cells)
const unreadable = async (given: string | Uint8Array) => {
  const failure = await records(typeof given === 'string' ? Buffer.from(given) : given).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(Unreadable)
  const { line, message } = failure as Unreadable // as was just seen
  return [line, message]
}

describe('what is written', () => {
  const cell = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.string({ unit: fc.constantFrom('"', ',', ';', '\t', '\n', '\r', 'a', 'é', '☕', '𝒳', '\0'), maxLength: 8 }),
  )
  const written = (delimiter: string, ending: string, rows: readonly (readonly { text: string; isQuoted: boolean }[])[]) =>
    rows
      .map((row) => row.map(({ text, isQuoted }) => (isQuoted || /["\r\n,;\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(delimiter))
      .join(ending)

  test('is what is read, whatever stands in a cell, and wherever the pieces end that it comes in', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc
          .integer({ min: 2, max: 5 })
          .chain((columns) =>
            fc.array(fc.array(fc.record({ text: cell, isQuoted: fc.boolean() }), { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 8 }),
          ),
        fc.constantFrom(',', ';', '\t'),
        fc.constantFrom('\n', '\r\n'),
        fc.tuple(fc.boolean(), fc.boolean()),
        fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 60 }),
        async (rows, delimiter, ending, [isMarked, isEnded], sizes) => {
          // A name that no cell below it can be taken for decides what stands between cells. Surrogate halves cannot be written in UTF-8.
          const header = (rows[0] ?? []).map((_, index) => ({ text: `column${index}`, isQuoted: index % 2 === 1 }))
          const whole = [header, ...rows].map((row) => row.map(({ text, isQuoted }) => ({ text: text.toWellFormed(), isQuoted })))
          const text = `${isMarked ? '\uFEFF' : ''}${written(delimiter, ending, whole)}${isEnded ? ending : ''}`
          const bytes = Buffer.from(text)
          const expected = whole.map((row) => row.map((one) => one.text)).filter((row) => row.some((one) => one !== '') && row.join(delimiter).trim() !== '')
          const read = await records(bytes, { sizes })
          expect(read.map((record) => record.cells).filter((row) => row.join(delimiter).trim() !== '')).toEqual(expected)
          expect(read).toEqual(await records(bytes))
          // Each row stands where it says.
          for (const { line, raw } of read)
            expect(
              text
                .replace('\uFEFF', '')
                .split('\n')
                .slice(line - 1)
                .join('\n')
                .startsWith(raw),
            ).toBe(true)
        },
      ),
      { numRuns: Number(process.env['HOLDFAST_TEST_REQUESTS'] ?? 300), seed: Number(process.env['HOLDFAST_TEST_SEED'] ?? 20_261_121) },
    )
  })

  test('may have quotes, line breaks and empty cells, and lines that are blank', async () => {
    expect(await cells('a,b\r\n"x ""y""\r\nz",\r\n\r\n,\r\n  \n"",1')).toEqual([
      ['a', 'b'],
      ['x "y"\r\nz', ''],
      ['', '1'],
    ])
    expect(await cells('a;b,c;d\n1;2;3')).toEqual([
      ['a', 'b,c', 'd'],
      ['1', '2', '3'],
    ])
    expect(await cells('"a,b;c"\td\n1\t2')).toEqual([
      ['a,b;c', 'd'],
      ['1', '2'],
    ])
    expect(await cells('a\r\n1\r\n2')).toEqual([['a'], ['1'], ['2']])
  })

  test('is given back as it was, with the line at which it begins', async () => {
    const text = 'a,b\r\n"1\n2",x\r\n\r\n3,"y"\n'
    expect(await records(Buffer.from(text))).toEqual([
      { line: 1, raw: 'a,b', cells: ['a', 'b'] },
      { line: 2, raw: '"1\n2",x', cells: ['1\n2', 'x'] },
      { line: 5, raw: '3,"y"', cells: ['3', 'y'] },
    ])
  })
})

describe('what cannot be read', () => {
  test('is told by its line, after what stands before it', async () => {
    expect(await unreadable('a,b\n1,2\n3,4"\n5,6\n')).toEqual([3, expect.stringContaining('a quote inside a cell')])
    expect(await unreadable('a,b\n1,"2"3\n')).toEqual([2, expect.stringContaining('after the quote')])
    expect(await unreadable('a,b\n1,"2\n3,4\n')).toEqual([2, 'a quote is not closed'])
    expect(await unreadable(`a,b\n1,${'x'.repeat(3_000)}\n`)).toEqual([2, expect.stringContaining('2000 characters')])
    expect(await unreadable(`a,b\n1,"${'x\n'.repeat(3_000)}`)).toEqual([2, 'a quote is not closed'])
    const found: string[] = []
    const reader = csvReader({ recordCharacters: 100 })
    expect(() => {
      for (const { raw } of reader.write('a,b\n1,2\n3,"4"5\n6,7\n')) found.push(raw)
    }).toThrow(Unreadable)
    expect(found).toEqual(['a,b', '1,2'])
  })

  test('is what is not UTF-8, and nothing else, wherever a character is cut', async () => {
    const text = 'name\n☕ é 𝒳\n'
    for (let at = 0; at <= Buffer.byteLength(text); at += 1)
      expect((await records(Buffer.from(text), { sizes: [at] })).map(({ raw }) => raw)).toEqual(['name', '☕ é 𝒳'])
    const good = [0x61, 0x0a, 0x62, 0x0a]
    for (const bad of [[0xff], [0xc3, 0x28], [0xe2, 0x98], [0xf0, 0x9d, 0x92], [0x80], [0xed, 0xa0, 0x80], [0xc0, 0xaf]])
      expect(await unreadable(Buffer.from([...good, ...bad]))).toEqual([3, expect.stringContaining('UTF-8')])
  })

  test('is no line of JSON without an end either', async () => {
    const rows = { mediaType: 'application/x-ndjson' }
    expect((await records(Buffer.from('{}\r\n\n[1]'), { ...rows, sizes: [1, 1, 1, 1, 1, 1] })).map(({ line, raw }) => [line, raw])).toEqual([
      [1, '{}'],
      [3, '[1]'],
    ])
    await expect(records(Buffer.from(`{}\n"${'x'.repeat(3_000)}`), rows)).rejects.toMatchObject({ line: 2 })
  })
})

test('a file that is larger than it may be is read no further', async () => {
  await expect(records(Buffer.alloc(100_001, 'a\n'))).rejects.toMatchObject({ refusal: { code: 'payload_too_large' } })
})

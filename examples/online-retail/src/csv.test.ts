import { gzipSync } from 'node:zlib'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { csvParser, readCsv } from './csv.ts'

describe('records', () => {
  test('commas, quotes and line ends inside quotes belong to the field', () => {
    expect(parsed('a,"b, c","12"" RULER","two\r\nlines"\n')).toEqual([['a', 'b, c', '12" RULER', 'two\r\nlines']])
  })

  test('a quote inside a field that is not quoted is a character like any other', () => {
    expect(parsed('a,12" RULER,b\n')).toEqual([['a', '12" RULER', 'b']])
  })

  test('lines end in LF, CRLF or CR, and the last one need not end', () => {
    expect(parsed('a,b\nc,d\r\ne,f\rg,h')).toEqual([
      ['a', 'b'],
      ['c', 'd'],
      ['e', 'f'],
      ['g', 'h'],
    ])
  })

  test('empty fields are kept, empty lines are not', () => {
    expect(parsed('a,,""\n\n\r\n,\n')).toEqual([
      ['a', '', ''],
      ['', ''],
    ])
  })

  test('a byte order mark is no part of the first name', () => {
    expect(parsed('\ufeffInvoiceNo,StockCode\n')).toEqual([['InvoiceNo', 'StockCode']])
  })

  test('a pound sign is read whether it was written in UTF-8 or by an old spreadsheet', () => {
    expect(parsed('£5 OFF\n')).toEqual([['£5 OFF']])
    expect(parsed(Buffer.from('£5 OFF,CAFÉ\n', 'latin1'))).toEqual([['£5 OFF', 'CAFÉ']])
  })
})

describe('what is no CSV', () => {
  test('a quote that is never closed is an error with its line', () => {
    expect(() => parsed('a\nb,"c\nd\n')).toThrow('line 2: a quoted field has no end')
  })

  test('text after a closing quote is an error with its line', () => {
    expect(() => parsed('a\n"b\nc"d,e\n')).toThrow('line 3: "d" after a closing quote')
  })

  test('a record without an end is refused before it fills the memory', () => {
    const parser = csvParser()
    expect(() => {
      for (let piece = 0; piece < 200; piece += 1) parser.push(Buffer.from(`"${'x'.repeat(10_000)}`.slice(piece === 0 ? 0 : 1)))
    }).toThrow('is a quote not closed?')
  })
})

describe('pieces', () => {
  const field = fc.string({ unit: fc.constantFrom('a', 'é', '£', '語', ',', '"', '\n', '\r', ' '), maxLength: 6 })
  const record = fc.array(field, { minLength: 1, maxLength: 4 }).filter((fields) => fields.length > 1 || fields[0] !== '')

  test('whatever was written is read, wherever the bytes are cut', () => {
    const written = fc.record({
      records: fc.array(record, { maxLength: 6 }),
      end: fc.constantFrom('\n', '\r\n', '\r'),
      cuts: fc.array(fc.nat(60)),
      mark: fc.boolean(),
    })
    fc.assert(
      fc.property(written, ({ records, end, cuts, mark }) => {
        const text = records.map((fields) => fields.map(quoted).join(',') + end).join('')
        const bytes = Buffer.from((mark ? '\ufeff' : '') + text)
        expect(pieces(bytes, cuts)).toEqual(records)
      }),
    )
  })
})

describe('files', () => {
  test('plain and gzipped files read the same, whatever they are called', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'online-retail-'))
    try {
      const text = 'a,b\n'.repeat(50_000)
      await writeFile(join(folder, 'plain.csv'), text)
      await writeFile(join(folder, 'packed.csv'), gzipSync(text))
      expect(await count(join(folder, 'plain.csv'))).toBe(50_000)
      expect(await count(join(folder, 'packed.csv'))).toBe(50_000)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('a gzipped file that was cut off is an error, not a shorter file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'online-retail-'))
    try {
      const packed = gzipSync('a,b\n'.repeat(50_000))
      await writeFile(join(folder, 'cut.csv.gz'), packed.subarray(0, packed.length - 20))
      await expect(count(join(folder, 'cut.csv.gz'))).rejects.toThrow('unexpected end of file')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('a file that is not there is said by its name', async () => {
    await expect(count('/nowhere/there.csv')).rejects.toThrow('/nowhere/there.csv')
  })
})

const parsed = (text: string | Buffer) => pieces(Buffer.from(text), [])

const pieces = (bytes: Buffer, cuts: readonly number[]): string[][] => {
  const parser = csvParser()
  const at = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]
  return [...at.slice(1).flatMap((end, index) => parser.push(bytes.subarray(at[index], end))), ...parser.end()]
}

const quoted = (field: string) => (/[",\r\n]/.test(field) || field === '' ? `"${field.replaceAll('"', '""')}"` : field)

const count = async (file: string): Promise<number> => {
  let records = 0
  for await (const _ of readCsv(file)) records += 1
  return records
}

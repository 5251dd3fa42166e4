// From the bytes of a file to its records: UTF-8, checked; CSV or one JSON object a line; bounded in every direction.
import { isUtf8 } from 'node:buffer'
import type { Upload } from '@holdfast/contract'
import type { ImportLimits } from '../../platform/limits.ts'
import { csvReader, Unreadable, type RecordReader, type SourceRecord } from './csv.ts'
import { Refused } from '../answer.ts'

export type ImportFormat = 'csv' | 'ndjson'
export const formatOf = ({ mediaType }: Upload): ImportFormat => (mediaType === 'text/csv' ? 'csv' : 'ndjson')

/** Records that have arrived together, and how many bytes have arrived by then. */
export type Arrived = { readonly records: readonly SourceRecord[]; readonly bytes: number }

/** Throws Unreadable after the last record before the place that cannot be read. Blank lines, and rows of empty cells, are no records. */
export async function* recordsOf(upload: Upload, limits: ImportLimits): AsyncGenerator<Arrived> {
  const reader = formatOf(upload) === 'csv' ? csvReader({ recordCharacters: limits.rowCharacters }) : lineReader({ recordCharacters: limits.rowCharacters })
  let bytes = 0
  /** The beginning of a character whose rest has not come yet. */
  let begun: Uint8Array = new Uint8Array()
  let isFirst = true
  let records: SourceRecord[] = []
  const take = (found: Iterable<SourceRecord>) => {
    for (const record of found) if (!isBlank(record)) records.push(record)
  }
  const read = (chunk: Uint8Array) => {
    const all = begun.byteLength === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.concat([begun, chunk])
    const whole = all.subarray(0, all.byteLength - unfinished(all))
    begun = all.subarray(whole.byteLength)
    const good = isUtf8(whole) ? whole : whole.subarray(0, goodLines(whole))
    const text = good.toString('utf8')
    take(reader.write(isFirst && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text))
    isFirst &&= text === ''
    if (good !== whole) throw notUtf8()
  }
  const notUtf8 = () => new Unreadable(reader.line(), 'this is not text in UTF-8; save the file as "CSV UTF-8" and send it again')
  const arrived = (): Arrived => {
    const all = records
    records = []
    return { records: all, bytes }
  }
  let unreadable: Unreadable | undefined
  try {
    for await (const chunk of upload.bytes) {
      bytes += chunk.byteLength
      if (bytes > limits.bytes) throw new Refused('payload_too_large', `The file is larger than ${limits.bytes} bytes. Send it in parts.`)
      read(chunk)
      yield arrived()
    }
    if (begun.byteLength > 0) throw notUtf8()
    take(reader.end())
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    unreadable = error
  }
  yield arrived()
  if (unreadable) throw unreadable
}

const BYTE_ORDER_MARK = '\uFEFF'

/** How many bytes at the end begin a character that goes on in what comes next. */
const unfinished = (bytes: Uint8Array): number => {
  for (let back = 1; back <= 3 && back <= bytes.byteLength; back += 1) {
    const byte = bytes[bytes.byteLength - back] ?? 0
    if (byte < 0x80) return 0
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    if (byte >= 0xc0) return back < length ? back : 0
  }
  return 0
}

/** How many bytes the lines before the first one that is no UTF-8 have. */
const goodLines = (bytes: Buffer): number => {
  let start = 0
  for (let end = bytes.indexOf(10); end !== -1 && isUtf8(bytes.subarray(start, end)); end = bytes.indexOf(10, start)) start = end + 1
  return start
}

const isBlank = ({ raw, cells }: SourceRecord): boolean => raw.trim() === '' || (cells.length > 0 && cells.every((cell) => cell === ''))

/** One record a line. */
const lineReader = ({ recordCharacters }: { readonly recordCharacters: number }): RecordReader => {
  let rest = ''
  let line = 1
  const recordOf = (raw: string): SourceRecord => {
    if (raw.length > recordCharacters) throw new Unreadable(line, `a row has more than ${recordCharacters} characters`)
    return { line, raw, cells: [] }
  }
  return {
    *write(text) {
      // What was there before has no line break.
      const lines = text.split('\n')
      lines[0] = rest + (lines[0] ?? '')
      rest = lines.pop() ?? ''
      for (const each of lines) {
        yield recordOf(each.endsWith('\r') ? each.slice(0, -1) : each)
        line += 1
      }
      if (rest.length > recordCharacters) recordOf(rest)
    },
    *end() {
      if (rest !== '') yield recordOf(rest)
    },
    line: () => line,
  }
}

// Reads a CSV file record by record, as RFC 4180 describes them, plain or gzipped, without ever holding the whole file.
import { open } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'

/** Characters of one record at most. A quote that is never closed would otherwise swallow the rest of the file. */
const MAX_RECORD_LENGTH = 1_048_576

/** Every record of the file, the header first. */
export async function* readCsv(file: string): AsyncGenerator<string[]> {
  const parser = csvParser()
  for await (const chunk of bytesOf(file)) yield* parser.push(chunk)
  yield* parser.end()
}

/**
 * Takes the file's bytes piece by piece, cut anywhere, and gives back the records that are complete.
 * Lines may end in LF, CRLF or CR; empty ones are left out.
 */
export const csvParser = () => {
  let pending = ''
  let line = 1
  let isFirst = true

  const take = (isLast: boolean): string[][] => {
    const records: string[][] = []
    let start = 0
    for (;;) {
      const found = recordAt(pending, start, isLast, line)
      if (found === undefined) break
      if (found.fields.length > 1 || found.fields[0] !== '') records.push(found.fields.map(decoded))
      start = found.end
      line += found.lines
    }
    pending = pending.slice(start)
    if (pending.length > MAX_RECORD_LENGTH) throw new Error(`line ${line}: a record of more than ${MAX_RECORD_LENGTH} characters; is a quote not closed?`)
    return records
  }

  return {
    push: (bytes: Uint8Array): string[][] => {
      // Every byte becomes one character, so that pieces can be cut anywhere; what is not ASCII is decoded field by field.
      pending += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
      if (isFirst && pending.length < BYTE_ORDER_MARK.length && BYTE_ORDER_MARK.startsWith(pending)) return []
      if (isFirst && pending.startsWith(BYTE_ORDER_MARK)) pending = pending.slice(BYTE_ORDER_MARK.length)
      isFirst = false
      return take(false)
    },
    end: (): string[][] => take(true),
  }
}

/** UTF-8's, read as one character a byte. Excel writes it; it is no part of the first column's name. */
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf'

async function* bytesOf(file: string): AsyncGenerator<Uint8Array> {
  const handle = await open(file)
  const magic = Buffer.alloc(2)
  await handle.read(magic, 0, 2, 0)
  const source = handle.createReadStream({ start: 0 })
  if (magic[0] !== 0x1f || magic[1] !== 0x8b) return yield* source

  // Told by its first two bytes, not by its name. A file that was cut off in the middle is an error here, not an end.
  const gunzip = createGunzip()
  source.on('error', (error) => gunzip.destroy(error))
  gunzip.on('close', () => source.destroy())
  yield* source.pipe(gunzip)
}

type Found = { readonly fields: string[]; readonly end: number; readonly lines: number }

/** The record that begins at `start`, or nothing when it is not complete yet. */
const recordAt = (text: string, start: number, isLast: boolean, line: number): Found | undefined => {
  if (start >= text.length) return undefined
  const fields: string[] = []
  let lines = 0
  let position = start

  for (;;) {
    let end: number
    if (text.charCodeAt(position) === QUOTE) {
      const close = closingQuote(text, position + 1)
      if (close === -1) {
        if (isLast) throw new Error(`line ${line}: a quoted field has no end`)
        return undefined
      }
      const quoted = text.slice(position + 1, close)
      lines += newlines(quoted)
      fields.push(quoted.includes('"') ? quoted.replaceAll('""', '"') : quoted)
      end = close + 1
    } else {
      end = fieldEnd(text, position)
      fields.push(text.slice(position, end))
    }

    if (end === text.length) return isLast ? { fields, end, lines: lines + 1 } : undefined
    const next = text.charCodeAt(end)
    if (next === LF) return { fields, end: end + 1, lines: lines + 1 }
    if (next === CR) {
      // The line feed that belongs to it may be in the next piece.
      if (end + 1 === text.length && !isLast) return undefined
      return { fields, end: text.charCodeAt(end + 1) === LF ? end + 2 : end + 1, lines: lines + 1 }
    }
    if (next !== COMMA) throw new Error(`line ${line + lines}: ${JSON.stringify(text[end])} after a closing quote`)
    position = end + 1
  }
}

const QUOTE = 0x22
const COMMA = 0x2c
const LF = 0x0a
const CR = 0x0d

/** Where a field without quotes ends. A quote inside it is a character like any other: `12" RULER`. */
const fieldEnd = (text: string, start: number): number => {
  let end = start
  for (; end < text.length; end += 1) {
    const code = text.charCodeAt(end)
    if (code === COMMA || code === LF || code === CR) break
  }
  return end
}

/** Two quotes are one that is meant. */
const closingQuote = (text: string, start: number): number => {
  let close = text.indexOf('"', start)
  while (close !== -1 && text.charCodeAt(close + 1) === QUOTE) close = text.indexOf('"', close + 2)
  return close
}

const newlines = (text: string) => text.match(/\r\n?|\n/g)?.length ?? 0

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const windows1252 = new TextDecoder('windows-1252')

/** UTF-8 where it is that; else as old spreadsheets wrote it. A pound sign spoils neither the file nor the line. */
const decoded = (field: string): string => {
  if (!/[\u0080-\u00ff]/.test(field)) return field
  const bytes = Buffer.from(field, 'latin1')
  try {
    return utf8.decode(bytes)
  } catch {
    return windows1252.decode(bytes)
  }
}

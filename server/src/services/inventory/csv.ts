// Reads CSV as RFC 4180 has it, text by text as it arrives. Ours, because a row that fails is given back as it was written, one that
// cannot be read says where it begins, and none may grow without a bound; rows without quotes, nearly all, cost a search and a split.

/** What cannot be read, and with it nothing that follows: where one row ends and the next begins is not known any more. */
export class Unreadable extends Error {
  readonly line: number
  constructor(line: number, message: string) {
    super(message)
    this.name = 'Unreadable'
    this.line = line
  }
}

export type SourceRecord = {
  /** Where it begins. */
  readonly line: number
  /** As it was written, without the line break at its end. */
  readonly raw: string
  readonly cells: readonly string[]
}

export type RecordReader = {
  /** The records that are whole by now. Those before one that cannot be read come out before it is said. */
  write(text: string): Iterable<SourceRecord>
  /** What stood after the last line break. */
  end(): Iterable<SourceRecord>
  /** Where the next record begins. */
  line(): number
}

const delimiters = [',', ';', '\t'] as const

export const csvReader = ({ recordCharacters }: { readonly recordCharacters: number }): RecordReader => {
  let rest = ''
  /** Up to here `rest` has been looked through, and whether that place is inside quotes. */
  let looked = 0
  let isQuoted = false
  let line = 1
  let delimiter: string | undefined

  const recordOf = (raw: string): SourceRecord => {
    if (raw.length > recordCharacters) throw tooLong()
    delimiter ??= delimiterOf(raw)
    return { line, raw, cells: cellsOf(raw, delimiter, line) }
  }
  const tooLong = () => new Unreadable(line, `a row has more than ${recordCharacters} characters; perhaps a quote is not closed`)

  return {
    *write(text) {
      rest += text
      let start = 0
      let quote = rest.indexOf('"', looked)
      for (;;) {
        if (isQuoted) {
          if (quote === -1) break
          looked = quote + 1
          isQuoted = false
          quote = rest.indexOf('"', looked)
          continue
        }
        const end = rest.indexOf('\n', looked)
        if (quote !== -1 && (end === -1 || quote < end)) {
          looked = quote + 1
          isQuoted = true
          quote = rest.indexOf('"', looked)
          continue
        }
        if (end === -1) break
        const raw = rest.slice(start, rest[end - 1] === '\r' && end > start ? end - 1 : end)
        yield recordOf(raw)
        line += lineBreaks(raw) + 1
        start = looked = end + 1
      }
      rest = rest.slice(start)
      looked = rest.length
      if (rest.length > recordCharacters) {
        // A quote where none may be is told as such, and not as a row without end.
        recordOf(rest.slice(0, recordCharacters))
        throw tooLong()
      }
    },
    *end() {
      const raw = rest.endsWith('\r') ? rest.slice(0, -1) : rest
      if (raw !== '') yield recordOf(raw)
    },
    line: () => line,
  }
}

/** The one that stands most often in the header outside of quotes. */
const delimiterOf = (header: string): string => {
  const bare = header.replaceAll(/"[^"]*"/g, '')
  let best: string = delimiters[0]
  for (const delimiter of delimiters) if (bare.split(delimiter).length > bare.split(best).length) best = delimiter
  return best
}

const cellsOf = (raw: string, delimiter: string, line: number): string[] => {
  if (!raw.includes('"')) return raw.split(delimiter)
  const cells: string[] = []
  for (let at = 0; ; at += 1) {
    if (raw[at] === '"') {
      const { cell, next } = quotedCell(raw, at, line)
      cells.push(cell)
      if (next === raw.length) return cells
      if (raw[next] !== delimiter) throw new Unreadable(line, 'there is something after the quote that closes a cell; a quote inside a cell is written twice')
      at = next
    } else {
      const found = raw.indexOf(delimiter, at)
      const end = found === -1 ? raw.length : found
      const cell = raw.slice(at, end)
      if (cell.includes('"'))
        throw new Unreadable(line, 'there is a quote inside a cell that is not in quotes; put the cell in quotes and write the quote twice')
      cells.push(cell)
      if (found === -1) return cells
      at = end
    }
  }
}

const quotedCell = (raw: string, from: number, line: number): { readonly cell: string; readonly next: number } => {
  let cell = ''
  for (let at = from + 1; ;) {
    const quote = raw.indexOf('"', at)
    if (quote === -1) throw new Unreadable(line, 'a quote is not closed')
    cell += raw.slice(at, quote)
    if (raw[quote + 1] !== '"') return { cell, next: quote + 1 }
    cell += '"'
    at = quote + 2
  }
}

const lineBreaks = (text: string): number => {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1
  return count
}

// Reads comma-separated values as RFC 4180 has them: fields may be quoted, and quoted fields may hold commas, quotes and
// line breaks. Reads bit by bit, so that a file may be larger than memory.

/** Characters of one record. More is a quote that was never closed. */
const MAX_RECORD_LENGTH = 1_000_000

export type CsvRecord = { readonly line: number; readonly fields: readonly string[] }

export class CsvError extends Error {
  override readonly name = 'CsvError'
}

export async function* readCsv(chunks: AsyncIterable<string>): AsyncGenerator<CsvRecord, void, undefined> {
  const parser = createParser()
  for await (const chunk of chunks) yield* parser.read(chunk)
  yield* parser.end()
}

function createParser() {
  // `closed`: after a quote that may be the field's last, or the first half of a doubled one.
  let place: 'start' | 'plain' | 'quoted' | 'closed' = 'start'
  let fields: string[] = []
  let field = ''
  let length = 0
  let line = 1
  let firstLine = 1
  let isAfterReturn = false
  let isFirstCharacter = true

  const endField = () => {
    fields.push(field)
    field = ''
    place = 'start'
  }
  const isBlank = () => fields.length === 0 && field === '' && place === 'start'
  const endRecord = (): CsvRecord => {
    endField()
    const record = { line: firstLine, fields }
    fields = []
    length = 0
    return record
  }

  return {
    *read(chunk: string): Generator<CsvRecord> {
      for (const character of chunk) {
        const isHalf = character === '\n' && isAfterReturn
        isAfterReturn = character === '\r'
        if (isFirstCharacter && character === '\uFEFF') continue
        isFirstCharacter = false
        if (isHalf && place !== 'quoted') continue
        if (length === 0) firstLine = line
        length += 1
        if (length > MAX_RECORD_LENGTH) throw new CsvError(`line ${firstLine}: a record of more than ${MAX_RECORD_LENGTH} characters; is a quote not closed?`)
        if (character === '\n' || (character === '\r' && place !== 'quoted')) line += 1

        if (place === 'quoted') {
          if (character === '"') place = 'closed'
          else field += character
        } else if (character === ',') {
          endField()
        } else if (character === '\n' || character === '\r') {
          if (isBlank()) length = 0
          else yield endRecord()
        } else if (character === '"' && place !== 'plain') {
          if (place === 'closed') field += '"'
          place = 'quoted'
        } else if (place === 'closed') {
          throw new CsvError(`line ${line}: there is text after the quote that ends a field; a quote inside one is doubled`)
        } else {
          field += character
          place = 'plain'
        }
      }
    },

    *end(): Generator<CsvRecord> {
      if (place === 'quoted') throw new CsvError(`line ${firstLine}: a quote is not closed`)
      if (!isBlank()) yield endRecord()
    },
  }
}

// Makes the items of a CSV file, a few at a time. What the server refuses is told with its line, and the rest goes on.
import { open } from 'node:fs/promises'
import { HoldfastError, type Holdfast, isRefusal, type UpdateItem } from '@holdfast/sdk'
import { CsvError, type CsvRecord, readCsv } from './csv.ts'
import { faultOfHeader, readItem } from './item-row.ts'
import { type Output, plain } from './output.ts'
import { createProgress } from './progress.ts'

/** Requests under way at a time: enough to keep a server busy, too few to crowd out its shoppers. */
const CONCURRENCY = 8

/** Refusals that are about the caller, not about a row: all other rows would meet them too. */
const ABOUT_THE_CALLER: ReadonlySet<string> = new Set(['unauthenticated', 'permission_denied', 'rate_limited', 'method_not_allowed', 'unexpected_answer'])

type Import = {
  readonly file: string
  readonly stock: Holdfast
  readonly output: Output
  /** True: what is there already is changed to what the file says. */
  readonly update: boolean
  /** Ends the command: the file cannot be read as what it should be. */
  readonly fail: (message: string) => never
}

export async function importItems({ file, stock, output, update, fail }: Import) {
  const handle = await open(file).catch((error: Error) => fail(`${file} cannot be opened: ${error.message}`))
  try {
    const { size } = await handle.stat()
    const tally = { made: 0, changed: 0, alreadyThere: 0, refused: 0, readBytes: 0 }
    const progress = createProgress({ screen: process.stderr, what: 'items', nowMs: () => performance.now() })

    const records = readCsv(counted(handle.createReadStream({ encoding: 'utf8', autoClose: false }), (bytes) => (tally.readBytes += bytes)))
    const first = await records.next()
    const header = first.done === true ? [] : first.value.fields.map((column) => column.trim())
    const fault = faultOfHeader(header)
    if (fault !== undefined) fail(`${file}: ${fault}`)

    const refuse = (line: number, sku: string | undefined, detail: string, code: string) => {
      tally.refused += 1
      progress.clear()
      output.note(
        output.json
          ? JSON.stringify({ object: 'refused_row', line, sku, code, detail })
          : `line ${line}${sku === undefined ? '' : `, ${plain(sku)}`}: ${plain(detail)}`,
      )
    }

    const importRow = async ({ line, fields }: CsvRecord) => {
      const read = readItem(header, fields)
      if ('fault' in read) return refuse(line, undefined, read.fault, 'invalid_row')
      const { sku, ...rest } = read.item
      try {
        tally[await makeOrChange(stock, sku, rest, update)] += 1
      } catch (error) {
        if (!(error instanceof HoldfastError) || error.status >= 500 || ABOUT_THE_CALLER.has(error.code)) throw error
        refuse(line, sku, [error.detail, ...error.errors.map(({ param, message }) => `${param} ${message}`)].join('; '), error.code)
      }
    }

    try {
      await inParallel(records, async (record) => {
        await importRow(record)
        const { made, changed, alreadyThere, refused, readBytes } = tally
        progress.draw({ share: size === 0 ? 1 : readBytes / size, done: made + changed + alreadyThere + refused })
      })
    } catch (error) {
      progress.clear()
      output.note(
        `Stopped after ${tally.made} made, ${tally.changed} changed, ${tally.alreadyThere} already there, ${tally.refused} refused. The same command goes on.`,
      )
      if (error instanceof CsvError) fail(`${file}, ${error.message}`)
      throw error
    }
    progress.clear()
    return tally
  } finally {
    await handle.close()
  }
}

async function makeOrChange(stock: Holdfast, sku: string, rest: UpdateItem & { name: string }, update: boolean): Promise<'made' | 'changed' | 'alreadyThere'> {
  try {
    await stock.items.create({ sku, ...rest })
    return 'made'
  } catch (error) {
    if (!isRefusal(error, 'already_exists')) throw error
    if (!update) return 'alreadyThere'
    await stock.items.update(sku, rest)
    return 'changed'
  }
}

/** Several readers of one source: each takes the next when it is done with its own. The first that fails ends them all. */
async function inParallel<T>(source: AsyncGenerator<T, void, undefined>, work: (one: T) => Promise<void>) {
  const reader = async () => {
    for await (const one of source) await work(one)
  }
  const ends = await Promise.allSettled(Array.from({ length: CONCURRENCY }, reader))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

async function* counted(chunks: AsyncIterable<string>, add: (bytes: number) => void): AsyncGenerator<string> {
  for await (const chunk of chunks) {
    add(Buffer.byteLength(chunk))
    yield chunk
  }
}

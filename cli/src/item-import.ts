// Sends a file of items, shows how far it is, and writes the rows that were wrong to a file of the same form, to be corrected and
// sent again. The key is made from what the file says, so the same command goes on from where an earlier one was interrupted.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import type { Holdfast, Import, ImportError, ImportOptions } from '@holdfast/sdk'
import { type Output, plain } from './output.ts'
import { createProgress } from './progress.ts'

/** Wrong rows that are told on the terminal; all of them are in the file. */
const ERRORS_TOLD = 10
/** Characters of a header. The server takes no more. */
const MAX_HEADER_LENGTH = 131_072

type Sending = {
  readonly file: string
  readonly stock: Holdfast
  readonly output: Output
  readonly options: Pick<ImportOptions, 'onExisting' | 'location' | 'dryRun' | 'idempotencyKey'>
  /** Undefined: as the name of the file says. */
  readonly format: 'csv' | 'ndjson' | undefined
  /** Where wrong rows go. Undefined: beside the file. */
  readonly errorsFile: string | undefined
  /** Ends the command: the file cannot be read. */
  readonly fail: (message: string) => never
}

export async function importItems({ file, stock, output, options, format = formatOf(file), errorsFile = besides(file), fail }: Sending): Promise<Import> {
  const handle = await open(file).catch((error: Error) => fail(`${file} cannot be opened: ${error.message}`))
  const { size } = await handle.stat()
  await handle.close()
  const progress = createProgress({ screen: process.stderr, what: 'bytes', nowMs: () => performance.now() })
  const idempotencyKey = options.idempotencyKey ?? (await keyOf(file, [format, options.onExisting, options.location]))
  let done: Import
  try {
    done = await stock.items.import(() => createReadStream(file), {
      ...options,
      format,
      idempotencyKey,
      onProgress: ({ sentBytes }) => progress.draw({ share: size === 0 ? 1 : sentBytes / size, done: sentBytes }),
    })
  } catch (error) {
    progress.clear()
    if (options.dryRun !== true) output.note(`What was done is kept. Corrected or not, the file goes on from there with --idempotency-key ${idempotencyKey}`)
    throw error
  }
  progress.clear()
  // Of an earlier run of the same command.
  await rm(errorsFile, { force: true })
  if (done.rowsFailed > 0) await writeErrors(done, { file, stock, output, format, errorsFile })
  return done
}

const formatOf = (file: string): 'csv' | 'ndjson' => (/\.(ndjson|jsonl)$/i.test(file) ? 'ndjson' : 'csv')
/** `items.csv` → `items.errors.csv`. */
const besides = (file: string): string => join(dirname(file), `${basename(file, extname(file))}.errors${extname(file)}`)

/** The same for the same file and the same wishes. */
async function keyOf(file: string, wishes: readonly unknown[]): Promise<string> {
  const hash = createHash('sha256').update(`${JSON.stringify(wishes)}\n`)
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer) // no encoding was asked for
  return `import-${hash.digest('hex')}`
}

type Writing = Pick<Sending, 'file' | 'stock' | 'output'> & { readonly format: 'csv' | 'ndjson'; readonly errorsFile: string }

async function writeErrors({ id, rowsFailed }: Import, { file, stock, output, format, errorsFile }: Writing) {
  const header = format === 'csv' ? await headerOf(file) : ''
  const delimiter = delimiterOf(header)
  const handle = await open(errorsFile, 'w')
  let told = 0
  try {
    if (format === 'csv') await handle.write(`error${delimiter}${header}\n`)
    for await (const { data } of stock.imports.errors(id).pages()) {
      await handle.write(data.map((error) => (format === 'csv' ? `${quoted(error.message)}${delimiter}${error.raw}\n` : jsonLine(error))).join(''))
      for (const error of data) if ((told += 1) <= ERRORS_TOLD || output.json) output.note(output.json ? JSON.stringify({ ...error }) : errorWords(error))
    }
  } finally {
    await handle.close()
  }
  if (!output.json)
    output.note(
      `${rowsFailed > ERRORS_TOLD ? 'All rows' : 'Rows'} that were refused are in ${errorsFile}, with the reason: correct them there and import that file.`,
    )
}

const errorWords = ({ line, sku, message }: ImportError) => `line ${line}${sku === null ? '' : `, ${plain(sku)}`}: ${plain(message)}`
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`

/** The object that was sent, with the reason in it. What was no object stands beside the reason. */
function jsonLine({ message, raw }: ImportError): string {
  try {
    const value: unknown = JSON.parse(raw)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return `${JSON.stringify({ error: message, ...value })}\n`
  } catch {
    // Told below, as it was sent.
  }
  return `${JSON.stringify({ error: message, raw })}\n`
}

/** The first line of a CSV file, as it is written. Column names may be quoted, and hold line breaks then. */
async function headerOf(file: string): Promise<string> {
  let text = ''
  for await (const chunk of createReadStream(file, { encoding: 'utf8' })) {
    text += String(chunk)
    const end = /^(?:[^"\n]|"[^"]*")*\n/.exec(text)?.[0].length
    if (end !== undefined) text = text.slice(0, end)
    if (end !== undefined || text.length > MAX_HEADER_LENGTH) break
  }
  return text.replace(/^\uFEFF/, '').replace(/\r?\n$/, '')
}

/** As the server finds it. */
function delimiterOf(header: string): string {
  const bare = header.replaceAll(/"[^"]*"/g, '')
  return [',', ';', '\t'].reduce((best, one) => (bare.split(one).length > bare.split(best).length ? one : best))
}

// What is printed: for people aligned tables and plain words, for programs JSON in the words of the HTTP API. Answers go
// to stdout and nothing else does; notes, progress and errors go to stderr.
import { styleText } from 'node:util'
import { AcceptedForLater, ConnectionError, type ExportFormat, HoldfastError, type Listing, toWire } from '@holdfast/sdk'
import { CommanderError, Option } from 'commander'
import { count } from './count.ts'
import { printExport } from './export.ts'

export const exitCodes = {
  ok: 0,
  /** A defect, of this command or of the server, or an outcome nobody foresaw. */
  unknown: 1,
  usage: 2,
  /** The server said no. */
  refused: 3,
  /** Not reachable, or not able to answer for the moment: worth another try. */
  unavailable: 4,
} as const
type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** Rows of a list, unless more are asked for. */
const DEFAULT_ROWS = 100
/** Rows the server gives at a time. */
const MAX_PAGE_ROWS = 100
/** Statuses that pass by themselves. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 429, 502, 503, 504])

export type Column<Row> = { readonly title: string; readonly value: (row: Row) => string | number | null; readonly minWidth?: number }
export type ListOptions = { readonly limit?: number; readonly all?: true; readonly export?: ExportFormat }
export type Output = ReturnType<typeof createOutput>

export function createOutput({ json }: { json: boolean }) {
  const print = (text: string) => void process.stdout.write(`${text}\n`)
  const note = (text: string) => void process.stderr.write(`${text}\n`)

  return {
    json,
    note,

    /** One answer: its JSON document, or the words and tables for people. */
    one(answer: object, words: () => string) {
      print(json ? JSON.stringify(toWire(answer)) : words())
    },

    /** Rows as they come: a JSON document a line, or a table that grows. */
    rows<Row extends object>(columns: readonly Column<Row>[]) {
      const grow = growingTable(columns)
      return (rows: readonly Row[]) => {
        if (rows.length > 0) print(json ? rows.map((row) => JSON.stringify(toWire(row))).join('\n') : grow(rows))
      }
    },

    /** A list up to its limit, read by `list` in pages of a size that wastes nothing; or all of it as a file. */
    async list<Row extends object>(
      columns: readonly Column<Row>[],
      { limit = DEFAULT_ROWS, all, export: format }: ListOptions,
      list: (limit: number) => Listing<Row>,
    ) {
      if (format !== undefined) return printExport(list(MAX_PAGE_ROWS).export({ format }))
      const most = all === true ? Number.POSITIVE_INFINITY : limit
      const show = this.rows(columns)
      let shown = 0
      for await (const { data, hasMore } of list(Math.min(most, MAX_PAGE_ROWS)).pages()) {
        const rows = data.slice(0, most - shown)
        show(rows)
        shown += rows.length
        if (shown < most) continue
        if (hasMore || rows.length < data.length) note(`These are the first ${shown}; there are more. Ask with --limit or --all.`)
        return
      }
      if (shown === 0 && !json) print('None.')
    },
  }
}

/** A whole table. */
export const table = <Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string => growingTable(columns)(rows)

export const exportOption = () =>
  new Option('--export <format>', 'all rows, as a file for other programs').choices(['csv', 'ndjson']).conflicts(['limit', 'all', 'follow'])

/** For choosing a list's options in one place. */
export const listOptions = { limit: `rows at most (default: ${DEFAULT_ROWS})`, all: 'all rows' } as const

/** Says on stderr what went wrong, as far as it was not said already; answers the exit code. */
export function report(error: unknown, { json }: { json: boolean }): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  const say = (text: string) => void process.stderr.write(`${text}\n`)

  if (error instanceof HoldfastError) {
    const { code, status, detail, retryable, requestId, errors, shortages, remaining, currentVersion, outcome, idempotencyKey } = error
    if (json)
      say(
        JSON.stringify(
          toWire({ object: 'error', code, status, detail, retryable, requestId, errors, shortages, remaining, currentVersion, outcome, idempotencyKey }),
        ),
      )
    else say(refusalWords(error))
    if (PASSING_STATUSES.has(status)) return exitCodes.unavailable
    return status >= 400 && status < 500 && code !== 'unexpected_answer' ? exitCodes.refused : exitCodes.unknown
  }
  if (error instanceof AcceptedForLater) {
    const { message, operation, idempotencyKey } = error
    if (json) say(JSON.stringify(toWire({ object: 'accepted', operation, idempotencyKey, detail: message })))
    else say(`${plain(message)} The key is ${idempotencyKey}.`)
    return exitCodes.ok
  }
  if (error instanceof ConnectionError) {
    const { message, retryable, outcome, idempotencyKey } = error
    if (json) say(JSON.stringify(toWire({ object: 'error', code: 'unreachable', detail: message, retryable, outcome, idempotencyKey })))
    else say([failure(plain(message)), ...outcomeWords(error)].join('\n'))
    return exitCodes.unavailable
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  say(json ? JSON.stringify({ object: 'error', code: 'defect', detail: text }) : failure(text))
  return exitCodes.unknown
}

/** What a person may see of text from elsewhere: control characters could rewrite the terminal. */
export const plain = (text: string) => text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '\uFFFD')

/** An instant without what nobody reads: `2026-11-21 10:15:00Z`. */
export const time = (instant: string) => instant.replace('T', ' ').replace(/\.\d+Z$/, 'Z')

/** All of them added up. */
export const sum = (numbers: readonly number[]) => numbers.reduce((before, number) => before + number, 0)

function refusalWords(error: HoldfastError): string {
  const { code, detail, requestId, errors, shortages } = error
  return [
    failure(`${plain(detail)} (${code})`),
    ...errors.map(({ param, message }) => `  ${plain(param)}: ${plain(message)}`),
    ...(shortages.length === 0 ? [] : [table(shortageColumns, shortages).replace(/^/gm, '  ')]),
    ...outcomeWords(error),
    ...(requestId === undefined ? [] : [`  request ${plain(requestId)}`]),
  ].join('\n')
}

const shortageColumns: readonly Column<HoldfastError['shortages'][number]>[] = [
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'location', value: ({ location }) => location ?? 'any' },
  { title: 'asked', value: ({ requested }) => requested },
  { title: 'available', value: ({ available }) => available },
  { title: 'held', value: ({ held }) => held },
  { title: 'next expiry', value: ({ nextExpiryAt }) => nextExpiryAt && time(nextExpiryAt) },
  { title: 'incoming', value: ({ incoming }) => incoming },
]

/** Only where a key went out was something to be done. */
function outcomeWords({ outcome, idempotencyKey }: HoldfastError | ConnectionError): string[] {
  if (outcome !== 'unknown' || idempotencyKey === undefined) return []
  return ['  It may have been done all the same. To find out, or to do it now, give the same command with', `    --idempotency-key ${idempotencyKey}`]
}

const failure = (text: string) => `${styleText(['red', 'bold'], 'error:', { stream: process.stderr })} ${text}`

/** Gives the rows of a table bit by bit; columns keep their widths, and widen when they must. The first bit has the titles. */
function growingTable<Row>(columns: readonly Column<Row>[]) {
  const widths = columns.map(({ title, minWidth = 0 }) => Math.max(title.length, minWidth))
  let isFirst = true
  return (rows: readonly Row[]): string => {
    const cells = rows.map((row) => columns.map(({ value }) => value(row)))
    const isNumber = columns.map((_, index) => cells.some((row) => typeof row[index] === 'number'))
    const texts = cells.map((row) => row.map((cell) => (typeof cell === 'number' ? count(cell) : plain(cell ?? '-'))))
    for (const row of texts) row.forEach((text, index) => (widths[index] = Math.max(widths[index] ?? 0, width(text))))

    const align = (row: readonly string[]) =>
      row
        .map((text, index) => {
          const space = ' '.repeat(Math.max(0, (widths[index] ?? 0) - width(text)))
          return isNumber[index] === true ? space + text : text + space
        })
        .join('  ')
        .trimEnd()
    const titles = isFirst ? [styleText('bold', align(columns.map(({ title }) => title.toUpperCase())), { stream: process.stdout })] : []
    isFirst = false
    return [...titles, ...texts.map(align)].join('\n')
  }
}

const segmenter = new Intl.Segmenter('en')
/** As many places as a person counts letters. */
const width = (text: string) => (/^[\x20-\x7e]*$/.test(text) ? text.length : [...segmenter.segment(text)].length)

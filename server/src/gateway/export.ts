// A whole list in one answer, as CSV or as lines of JSON: the operation is asked for page after page, and no more is read than the
// reader takes. An answer that breaks off is cut, so that nobody takes half of a list for the whole.
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { exportFormats, MAX_PAGE, type ExportFormat, type Operation } from '@holdfast/contract'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ExportLimits } from '../platform/limits.ts'
import type { Logger } from '../platform/log.ts'
import type { Answer, Refusal } from '../services/service.ts'
import { Refused } from './problem.ts'
import type { OperationInput } from './route.ts'

export type Exports = {
  send(request: FastifyRequest, reply: FastifyReply, source: ExportSource): Promise<FastifyReply>
  running(): number
}

export type ExportSource = {
  readonly operation: Operation
  readonly format: ExportFormat
  readonly input: OperationInput
  readonly ask: (input: OperationInput, signal: AbortSignal) => Promise<Answer<unknown>>
  /** The page as it would be answered, so that an export says neither more nor less than the pages do. */
  readonly serialize: (page: Record<string, unknown>) => string
  readonly refuse: (refusal: Refusal) => FastifyReply
}

type Row = Readonly<Record<string, unknown>>
type Page = { readonly data: readonly Row[]; readonly has_more: boolean; readonly next_cursor: string | null }
type Schema = Readonly<Record<string, unknown>>

export const exportTypes = { csv: 'text/csv', ndjson: 'application/x-ndjson' } as const satisfies Record<ExportFormat, string>

/** Does it answer a list that can be taken whole? */
export const isExportable = ({ input, output }: Operation): boolean => rowOf(output) !== undefined && 'format' in (input.query?.properties ?? {})

/** What is asked for by parameter, else by Accept; nothing: a page. */
export const formatOf = (request: FastifyRequest, { query }: OperationInput): ExportFormat | undefined => {
  const { format, limit } = query as { readonly format?: ExportFormat; readonly limit?: unknown } // as the operation's schema says
  const wanted = format ?? accepted(request.headers.accept)
  if (wanted === undefined || limit === undefined) return wanted
  throw new Refused({
    code: 'invalid_request',
    detail: 'An export is the whole list: it takes no limit.',
    errors: [{ param: 'limit', message: `is not for a list as ${wanted}, which is whole` }],
  })
}

const accepted = (accept: string | undefined): ExportFormat | undefined => {
  // Nearly everybody asks for JSON or for anything, and is not kept waiting.
  if (accept === undefined || accept === '*/*' || accept === 'application/json') return undefined
  const types = new Set(accept.split(',').map((each) => each.split(';', 1)[0]?.trim().toLowerCase()))
  return types.has('application/json') ? undefined : exportFormats.find((format) => types.has(exportTypes[format]))
}

export const openExports = ({ limits, log }: { readonly limits: ExportLimits; readonly log: Pick<Logger, 'warn'> }): Exports => {
  let running = 0

  return {
    running: () => running,
    send: async (request, reply, { operation, format, input, ask, serialize, refuse }) => {
      if (running >= limits.atATime) {
        throw new Refused({ code: 'overloaded', detail: `${limits.atATime} exports are under way, which is as many as can be served; try again later.` })
      }
      const gone = new AbortController()
      const query = Object.fromEntries(Object.entries(input.query as Row).filter(([name]) => name !== 'format')) // a query is a record
      const pageAfter = (cursor?: string) =>
        ask({ ...input, query: { ...query, limit: MAX_PAGE, ...(cursor === undefined ? {} : { starting_after: cursor }) } }, gone.signal)
      const rowsOf = (body: unknown): Page => JSON.parse(serialize(body as Record<string, unknown>)) as Page // the operation answers a list

      const type = format === 'csv' ? `${exportTypes.csv}; charset=utf-8; header=present` : exportTypes.ndjson
      const file = `${operation.name.split('.', 1)[0]}.${format}`

      /** As a page, but a busy moment is waited for: an hour's export should not end with it. */
      const laterPage = async (cursor: string): Promise<Page> => {
        for (let attempt = 1; ; attempt += 1) {
          const answer = await pageAfter(cursor).catch(refusalOrThrow)
          if (answer.ok) return rowsOf(answer.body)
          const { code, detail } = answer.refusal
          if ((code !== 'overloaded' && code !== 'unavailable') || attempt === limits.pageTries) throw new Error(`an export ended with ${code}: ${detail}`)
          await sleep(limits.pageWaitMs, undefined, { signal: gone.signal })
        }
      }

      async function* text(first: Page): AsyncGenerator<string, void, undefined> {
        const write = format === 'csv' ? csvOf(operation) : { head: '', row: (row: Row) => `${JSON.stringify(row)}\n` }
        try {
          let page = first
          yield write.head + page.data.map(write.row).join('')
          let last: string | null = null
          while (page.has_more) {
            const { next_cursor: cursor } = page
            if (cursor === null || cursor === last) throw new Error(`${operation.name} says that there is more, but not where`)
            page = await laterPage(cursor)
            last = cursor
            yield page.data.map(write.row).join('')
          }
        } catch (error) {
          if (!gone.signal.aborted) log.warn({ err: error, requestId: request.id, operation: operation.name }, 'an export broke off, and was cut')
          // A reader without chunks (HTTP/1.0, as some proxies speak) would take a plain end for the end of the list.
          reply.raw.socket?.resetAndDestroy()
          throw error
        }
      }

      running += 1
      let stream: Readable | undefined
      try {
        const first = await pageAfter()
        if (!first.ok) return refuse(first.refusal)
        request.isExport = true
        if (first.sequence !== undefined) reply.header('stock-sequence', first.sequence)
        reply.headers({ 'content-type': type, 'content-disposition': `attachment; filename="${file}"` })
        stream = request.method === 'HEAD' ? Readable.from([]) : Readable.from(text(rowsOf(first.body)), { objectMode: false })
        return reply.send(stream)
      } finally {
        const ended = () => {
          running -= 1
          gone.abort()
        }
        if (stream === undefined) ended()
        else stream.once('close', ended)
      }
    },
  }
}

const refusalOrThrow = (error: unknown): Answer<unknown> => {
  if (error instanceof Refused) return { ok: false, refusal: error.refusal }
  throw error
}

/** RFC 4180, with the fields of a row as columns; what is an object or a list stands in its cell as JSON. */
export const csvOf = ({ output, name }: Operation): { readonly head: string; readonly row: (row: Row) => string } => {
  const columns = columnsOf(rowOf(output))
  if (columns.length === 0) throw new Error(`the rows of ${name} have no fields`)
  return { head: line(columns.map(cell)), row: (row) => line(columns.map((column) => cell(row[column]))) }
}

const line = (cells: readonly string[]): string => `${cells.join(',')}\r\n`

const cell = (value: unknown): string => {
  if (value === null || value === undefined) return ''
  if (typeof value === 'object') return quoted(JSON.stringify(value))
  if (typeof value !== 'string') return JSON.stringify(value)
  // A spreadsheet would take it for a formula and run it. Numbers are ours, and may be below zero.
  if (formula.test(value)) return quoted(`'${value}`)
  return special.test(value) ? quoted(value) : value
}

const formula = /^[=+\-@\t\r\n＝＋－＠]/
const special = /[",\r\n]|^\s|\s$/
const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`

/** The schema of a list's rows; nothing when it is no list. */
const rowOf = (output: unknown): Schema | undefined => {
  const { object, data } = ((output as Schema)['properties'] ?? {}) as Readonly<Record<string, Schema | undefined>> // JSON schema's own word
  return object?.['const'] === 'list' ? (data?.['items'] as Schema | undefined) : undefined // a list of ours has rows
}

/** The fields of a row, without those that say the same in every row. */
const columnsOf = (row: Schema | undefined): readonly string[] => {
  if (row === undefined) return []
  const branches = (row['anyOf'] ?? [row]) as readonly Schema[] // JSON schema's own word
  return [
    ...new Set(
      branches.flatMap((branch) =>
        Object.entries((branch['properties'] ?? {}) as Readonly<Record<string, Schema>>).flatMap(([name, field]) =>
          field['const'] === undefined ? [name] : [],
        ),
      ),
    ),
  ]
}

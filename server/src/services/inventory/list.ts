// One page of a list: one row more is asked for than is shown, to know whether there is more.
import type { Answer } from '../service.ts'

const DEFAULT_LIMIT = 20

export type Page<Row> = { object: 'list'; data: Row[]; has_more: boolean; next_cursor: string | null }

export const pageOf = async <Row>(
  query: { readonly limit?: number }, read: (limit: number) => Promise<Row[]>, cursorOf: (row: Row) => string,
): Promise<Answer<Page<Row>>> => {
  const limit = query.limit ?? DEFAULT_LIMIT
  const rows = await read(limit + 1)
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  const more = rows.length > limit && last !== undefined
  return { ok: true, body: { object: 'list', data, has_more: more, next_cursor: more ? cursorOf(last) : null } }
}

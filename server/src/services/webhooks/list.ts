// One page of a list: one row more is asked for than is shown, to know whether there is more.
import type { Answer } from '../service.ts'

const DEFAULT_LIMIT = 20

export type Rows<Row, Wire> = {
  readonly read: (limit: number) => Promise<readonly Row[]>
  readonly render: (row: Row) => Wire
  /** Names the place of a row, for `starting_after`. */
  readonly cursorOf: (row: Row) => string
}

export const pageOf = async <Row, Wire>(
  query: { readonly limit?: number },
  { read, render, cursorOf }: Rows<Row, Wire>,
): Promise<Answer<{ object: 'list'; data: Wire[]; has_more: boolean; next_cursor: string | null }>> => {
  const limit = query.limit ?? DEFAULT_LIMIT
  const rows = await read(limit + 1)
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const more = rows.length > limit && last !== undefined
  return { ok: true, body: { object: 'list', data: shown.map(render), has_more: more, next_cursor: more ? cursorOf(last) : null } }
}

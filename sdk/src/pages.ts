// Lists, page by page, row by row, or as a file.
import { exported, type ExportOptions } from './export.ts'
import type { Call, StockReadOptions, Transport } from './send.ts'

/** Rows asked for at a time when all of a list is read: the most the server gives. */
const DEFAULT_PAGE_ROWS = 100

export type Page<Row> = {
  readonly object: 'list'
  readonly data: readonly Row[]
  readonly hasMore: boolean
  /** Given as `startingAfter`, the next page is read. */
  readonly nextCursor: string | null
}

/** Nothing is asked until it is read. `limit` is the size of a page, not of the list. */
export type Listing<Row> = AsyncIterable<Row> & {
  /** One page. */
  readonly page: () => Promise<Page<Row>>
  /** Page after page, to the end. */
  readonly pages: () => AsyncIterable<Page<Row>>
  /**
   * The whole list as a file, in one answer: CSV for spreadsheets, or a JSON object a line in the words of the HTTP API. Throws a
   * `ConnectionError` when it breaks off; what came until then is not the whole list.
   */
  readonly export: (options: ExportOptions) => AsyncIterable<Uint8Array>
}

type ListQuery = { readonly limit?: number | undefined; readonly startingAfter?: string | undefined }

export const listing =
  (transport: Transport) =>
  <Row>(path: string, query: ListQuery = {}, options: StockReadOptions = {}): Listing<Row> => {
    const { send } = transport
    const read = (more: ListQuery) => {
      const call: Call = { method: 'GET', path, query: { ...query, ...more } }
      return send<Page<Row>>(call, options)
    }

    async function* pages() {
      const limit = query.limit ?? DEFAULT_PAGE_ROWS
      let startingAfter = query.startingAfter
      for (;;) {
        const page = await read({ limit, startingAfter })
        yield page
        if (!page.hasMore) return
        // A cursor that stands still would go round for ever.
        if (page.nextCursor === null || page.nextCursor === startingAfter)
          throw new Error(`GET ${path} says there is more after ${startingAfter ?? 'the first page'}, but not where`)
        startingAfter = page.nextCursor
      }
    }

    return {
      page: () => read({}),
      pages,
      // The size of a page says nothing about a file.
      export: (wanted) => exported(transport, { path, query: { ...query, limit: undefined }, options }, wanted),
      async *[Symbol.asyncIterator]() {
        for await (const page of pages()) yield* page.data
      },
    }
  }

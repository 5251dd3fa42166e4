// Sends a file of items, and goes on after a connection that broke: the file is sent again under its key, and the server passes over
// what it has done.
import { TimeoutError } from './errors.ts'
import type { Page } from './pages.ts'
import { type Failed, FIRST_WAIT_MS, MAX_WAIT_MS, type Transport, type WriteOptions } from './send.ts'
import type { Import, ImportQuery } from './words.ts'

/** A connection over which nothing has moved for so long is given up. The server itself gives up earlier. */
const STALL_MS = 60_000
const LOOK_EVERY_MS = 1_000

type Piece = string | Uint8Array
/** Text is the file itself, not its name. What can be read only once (a stream) cannot be sent again when the connection breaks. */
export type ImportSource = Piece | Blob | Iterable<Piece> | AsyncIterable<Piece> | ReadableStream<Piece> | (() => Iterable<Piece> | AsyncIterable<Piece>)

export type ImportOptions = Omit<WriteOptions, 'timeoutMs'> &
  ImportQuery & {
    /** Default: `csv`. */
    readonly format?: 'csv' | 'ndjson' | undefined
    /** Decide and report, but change nothing else. */
    readonly dryRun?: boolean | undefined
    /** Told as the file goes out. After a broken connection it goes from the beginning again, quickly. */
    readonly onProgress?: ((progress: { readonly sentBytes: number }) => void) | undefined
  }

export function importer({ send, upload, surroundings: { random, wait }, retries }: Transport) {
  const rowsDone = async (idempotencyKey: string, signal: AbortSignal | undefined): Promise<number> => {
    try {
      const { data } = await send<Page<Import>>({ method: 'GET', path: '/v1/imports', query: { idempotencyKey } }, { signal })
      return data[0]?.rowsRead ?? 0
    } catch {
      // The next try finds out whether anybody is there.
      return 0
    }
  }

  return async function importItems(source: ImportSource, options: ImportOptions = {}): Promise<Import> {
    const { format = 'csv', onExisting, location, onProgress, ...given } = options
    const idempotencyKey = given.idempotencyKey ?? crypto.randomUUID()
    const read = readerOf(source)
    let furthest = 0
    let mayHaveBeenDone = false

    for (let attempt = 1, failures = 0; ; attempt += 1) {
      const body = streamed(read.open(), (sentBytes) => onProgress?.({ sentBytes }))
      const watch = watched(body, given.signal, idempotencyKey)
      const result: Awaited<ReturnType<typeof upload>> = await upload(
        { method: 'POST', path: '/v1/items/import', query: { onExisting, location }, keyed: true },
        { ...given, idempotencyKey, signal: watch.signal },
        { mediaType: format === 'csv' ? 'text/csv' : 'application/x-ndjson', body: body.stream, attempt, mayHaveBeenDone },
      ).finally(watch.end)
      if ('answer' in result) return result.answer as Import // as the contract says
      given.signal?.throwIfAborted()
      if (body.failure() !== undefined) throw body.failure()

      const { error, retryAfterMs }: Failed = result
      mayHaveBeenDone ||= error.outcome === 'unknown'
      failures += 1
      if (!error.retryable || !read.again) throw error
      // Bytes that were sent may have got no further than the next buffer: the server says what it has done.
      const rows = given.dryRun === true ? 0 : await rowsDone(idempotencyKey, given.signal)
      if (rows > furthest) failures = 0
      furthest = Math.max(furthest, rows)
      if (failures > retries) throw error
      await wait(retryAfterMs + random() * Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1)), given.signal)
    }
  }
}

type Pieces = Iterable<Piece> | AsyncIterable<Piece>

const readerOf = (source: ImportSource): { readonly open: () => Pieces; readonly again: boolean } => {
  if (typeof source === 'function') return { open: source, again: true }
  if (typeof source === 'string' || source instanceof Uint8Array) return { open: () => [source], again: true }
  if (source instanceof Blob) return { open: () => piecesOf(source.stream()), again: true }
  if (source instanceof ReadableStream) return { open: () => piecesOf(source), again: false }
  // A list can be read again; whoever is their own iterator has been read by then.
  return { open: () => source, again: Array.isArray(source) }
}

async function* piecesOf(stream: ReadableStream<Piece>): AsyncGenerator<Piece> {
  const reader = stream.getReader()
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
}

/** As a stream of bytes that is pulled at the pace at which it goes out. */
const streamed = (pieces: Pieces, moved: (sentBytes: number) => void) => {
  const iterator = Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]()
  const encoder = new TextEncoder()
  let sentBytes = 0
  let failure: Error | undefined
  let moves = 0
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const next = await iterator.next()
        moves += 1
        if (next.done === true) return controller.close()
        const bytes = typeof next.value === 'string' ? encoder.encode(next.value) : new Uint8Array(next.value)
        sentBytes += bytes.byteLength
        // A piece without anything in it would end the body.
        if (bytes.byteLength > 0) controller.enqueue(bytes)
        else return await this.pull?.(controller)
        moved(sentBytes)
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error))
        controller.error(failure)
      }
    },
    async cancel() {
      await iterator.return?.()
    },
  })
  return { stream, moves: () => moves, failure: () => failure }
}

/** A signal that fires when the caller gives up, or when nothing moves any more. */
const watched = ({ moves }: { readonly moves: () => number }, signal: AbortSignal | undefined, idempotencyKey: string) => {
  const controller = new AbortController()
  const giveUp = () => controller.abort(signal?.reason)
  let seen = 0
  let stillMs = 0
  const timer = setInterval(() => {
    stillMs = moves() === seen ? stillMs + LOOK_EVERY_MS : 0
    seen = moves()
    if (stillMs < STALL_MS) return
    const message = `POST /v1/items/import: nothing has moved for ${STALL_MS / 1_000} seconds`
    controller.abort(new TimeoutError({ message, outcome: 'unknown', idempotencyKey }))
  }, LOOK_EVERY_MS)
  if (signal?.aborted === true) giveUp()
  signal?.addEventListener('abort', giveUp, { once: true })
  return {
    signal: controller.signal,
    end: () => {
      clearInterval(timer)
      signal?.removeEventListener('abort', giveUp)
    },
  }
}

// A whole list as a file: bytes as they come, read no faster than they are taken. One that breaks off is told, never taken for whole.
import { ConnectionError, TimeoutError } from './errors.ts'
import type { StockReadOptions, Transport } from './send.ts'

/** The longest silence, in milliseconds. A server that is busy for a moment says nothing meanwhile. */
const MAX_SILENCE_MS = 60_000

export type ExportFormat = 'csv' | 'ndjson'
export type ExportOptions = {
  readonly format: ExportFormat
  /** How long nothing may come before it is given up, in milliseconds. Default: 60,000. */
  readonly silenceMs?: number | undefined
}

const types: Readonly<Record<ExportFormat, string>> = { csv: 'text/csv', ndjson: 'application/x-ndjson' }

export async function* exported(
  { open }: Transport,
  { path, query, options }: { readonly path: string; readonly query: object; readonly options: StockReadOptions },
  { format, silenceMs = MAX_SILENCE_MS }: ExportOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal } = options
  const type = types[format]
  const call: StockReadOptions = { ...options, timeoutMs: options.timeoutMs ?? silenceMs }
  const response = await open({ method: 'GET', path, query: { ...query, format } }, call, { accept: type })
  const title = `GET ${path} as ${type}`
  const answered = response.headers.get('content-type') ?? 'nothing'
  if (response.body === null || !answered.toLowerCase().startsWith(type)) throw new Error(`${title} answered ${answered}`)

  const reader = response.body.getReader()
  let isSilent = false
  // Ends a read that is waiting, too. A connection that is broken already has nothing to end.
  const close = () => void reader.cancel().catch(() => {})
  signal?.addEventListener('abort', close, { once: true })
  try {
    for (;;) {
      const silence = setTimeout(() => {
        isSilent = true
        close()
      }, silenceMs)
      const { done, value } = await reader
        .read()
        .catch((cause: unknown) => {
          throw new ConnectionError({ message: `${title} broke off: what came is not the whole list`, outcome: 'unknown', idempotencyKey: undefined, cause })
        })
        .finally(() => clearTimeout(silence))
      signal?.throwIfAborted()
      if (isSilent) throw new TimeoutError({ message: `${title} said nothing for ${silenceMs} ms`, outcome: 'unknown', idempotencyKey: undefined })
      if (done) return
      yield value
    }
  } finally {
    signal?.removeEventListener('abort', close)
    close()
  }
}

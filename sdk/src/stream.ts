// Events as they happen, over server-sent events. A connection that ends is made again from the last event that was
// read, so the reader sees each event once and in order, whatever happens to the network in between.
import { ConnectionError, HoldfastError } from './errors.ts'
import { type CallOptions, MAX_WAIT_MS, type Transport } from './send.ts'
import { fromWire } from './wire.ts'
import type { EventStreamFilter, StockEvent } from './words.ts'

/** The longest wait before a connection is made again; it doubles with each one that fails. The server may ask for another. */
const FIRST_WAIT_MS = 1_000
/** A server may ask for longer waits, but not for ever. */
const MAX_ASKED_WAIT_MS = 60_000
/** Connections that fail in a row before the reader is told: some three minutes of trying. */
const MAX_FAILED_CONNECTIONS = 50
/** The longest silence. The server says at least a comment more often than this; a line that was cut says nothing. */
const MAX_SILENCE_MS = 60_000
/** The longest message, in characters. An event of 2,000 lines is a tenth of it. */
const MAX_MESSAGE_LENGTH = 8_000_000

const PATH = '/v1/events/stream'

export type StreamOptions = Omit<CallOptions, 'timeoutMs'> & {
  /** How long the connection may be silent before it is made again, in milliseconds. Default: 60,000. */
  readonly silenceMs?: number | undefined
}

export const follower = ({ open, surroundings }: Transport) =>
  async function* follow(filter: EventStreamFilter = {}, options: StreamOptions = {}): AsyncGenerator<StockEvent, void, undefined> {
    const { requestId, signal, silenceMs = MAX_SILENCE_MS } = options
    let { afterSequence } = filter
    let lastEventId: string | undefined
    let waitMs = FIRST_WAIT_MS
    let failures = 0

    for (;;) {
      try {
        const response = await open(
          { method: 'GET', path: PATH, query: { ...filter, afterSequence } },
          { requestId, signal },
          { accept: 'text/event-stream', ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }) },
        )
        failures = 0
        for await (const message of readMessages(response, { silenceMs, signal })) {
          waitMs = Math.min(message.retryMs ?? waitMs, MAX_ASKED_WAIT_MS)
          const event = message.data === undefined ? undefined : eventOf(message.data)
          // What was read already is not told again, should the server begin too early.
          if (event !== undefined && (afterSequence === undefined || event.sequence > afterSequence)) {
            yield event
            afterSequence = event.sequence
          }
          lastEventId = message.id ?? lastEventId
        }
      } catch (error) {
        failures += 1
        if (!isPassing(error) || failures >= MAX_FAILED_CONNECTIONS) throw error
      }
      signal?.throwIfAborted()
      const longestMs = Math.max(waitMs, Math.min(MAX_WAIT_MS, waitMs * 2 ** failures))
      await surroundings.wait(surroundings.random() * longestMs, signal)
    }
  }

const isPassing = (error: unknown) => error instanceof ConnectionError || (error instanceof HoldfastError && error.retryable)

type Message = { readonly data: string | undefined; readonly id: string | undefined; readonly retryMs: number | undefined }

/** The messages of one connection, until it ends or is silent for too long. */
async function* readMessages(response: Response, { silenceMs, signal }: { silenceMs: number; signal: AbortSignal | undefined }): AsyncGenerator<Message> {
  const type = response.headers.get('content-type') ?? ''
  if (response.body === null || !/^text\/event-stream\b/i.test(type)) throw new Error(`GET ${PATH} answered ${type || 'nothing'}, not a stream of events`)

  const reader = response.body.getReader()
  // Ends a read that is waiting, too. A connection that is broken already has nothing to end.
  const close = () => void reader.cancel().catch(() => {})
  const decoder = new TextDecoder()
  let text = ''
  signal?.addEventListener('abort', close, { once: true })
  try {
    for (;;) {
      const silence = setTimeout(close, silenceMs)
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new ConnectionError({ message: `GET ${PATH} broke off`, outcome: 'unknown', idempotencyKey: undefined, cause })
      })
      clearTimeout(silence)
      if (done) return

      text += decoder.decode(value, { stream: true })
      if (text.length > MAX_MESSAGE_LENGTH) throw new Error(`GET ${PATH} sent a message of more than ${MAX_MESSAGE_LENGTH} characters`)
      const { messages, rest } = split(text)
      text = rest
      yield* messages
    }
  } finally {
    signal?.removeEventListener('abort', close)
    close()
  }
}

/** A message ends with an empty line; what comes after the last one is the beginning of the next. */
function split(text: string): { messages: Message[]; rest: string } {
  // A carriage return at the very end may be the first half of a line's end.
  const half = text.endsWith('\r') ? '\r' : ''
  const lines = text.slice(0, text.length - half.length).replace(/\r\n?/g, '\n')
  const end = lines.lastIndexOf('\n\n')
  const blocks = end === -1 ? [] : lines.slice(0, end).split(/\n{2,}/)
  return { messages: blocks.map(messageOf), rest: (end === -1 ? lines : lines.slice(end + 2)) + half }
}

function messageOf(block: string): Message {
  const fields = block.split('\n').map((line) => /^(data|id|retry)(?:: ?(.*))?$/.exec(line))
  const values = (name: string) => fields.filter((field) => field?.[1] === name).map((field) => field?.[2] ?? '')
  const data = values('data')
  const retry = values('retry').at(-1)
  return {
    data: data.length === 0 ? undefined : data.join('\n'),
    id: values('id').at(-1),
    retryMs: retry !== undefined && /^\d{1,9}$/.test(retry) ? Number(retry) : undefined,
  }
}

function eventOf(data: string): StockEvent | undefined {
  const value = fromWire(JSON.parse(data))
  const isEvent = typeof value === 'object' && value !== null && 'object' in value && value.object === 'event'
  return isEvent ? (value as StockEvent) : undefined // as the contract's event says
}

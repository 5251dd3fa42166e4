// How a call and its answer are written down between two processes of ours. What is asked has been checked at the edge, and is
// not checked again: whoever has the service key is one of us.
import { readCaller, writeCaller, type Answer, type Call, type WireCaller } from '../services/service.ts'

export type Asked = { readonly input: unknown; readonly call: Call }

type WireCall = Omit<Call, 'caller' | 'signal' | 'deadline'> & { readonly caller: WireCaller }

export const CALL_PATH = '/call/'
/** Milliseconds that are left for the answer. A duration, because two machines' clocks differ. */
export const LEFT_HEADER = 'holdfast-left-ms'
/** A stream: the answer without its body on the first line, then one event a line. */
export const STREAM_TYPE = 'application/x-ndjson'

export const writeAsked = (input: unknown, { caller, origin, requestId, idempotencyKey }: Call): string => {
  const call: WireCall = {
    caller: writeCaller(caller),
    origin,
    requestId,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  }
  return JSON.stringify({ input, call })
}

export const readAsked = (text: string): Asked => {
  const { input, call } = JSON.parse(text) as { input: unknown; call: WireCall } // written by writeAsked
  return { input, call: { ...call, caller: readCaller(call.caller) } }
}

export const writeAnswer = (answer: Answer<unknown>): string => JSON.stringify(answer)
export const readAnswer = (text: string): Answer<unknown> => JSON.parse(text) as Answer<unknown> // written by writeAnswer

/** The lines of what arrives in pieces. The rest after the last line end is a line too, unless it is empty. */
export async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const piece of pieces) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

// A message as it is kept and shown: without where its answer was to go, which is gone by the time that anybody looks.
import type { CommandMessage } from '../../messaging/rabbit-commands.ts'

export type KeptMessage = { readonly message: string; readonly operation: string | null }

export const messageOf = ({ content, routingKey }: Pick<CommandMessage, 'content' | 'routingKey'>): KeptMessage => {
  const text = content.subarray(0, MOST_BYTES).toString()
  const value = content.length > MOST_BYTES ? undefined : jsonIn(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { message: JSON.stringify(text.replaceAll('\0', '')), operation: null }
  const { reply_to: _, ...kept } = value as Record<string, unknown> // no list and not null
  const { operation } = kept
  return { message: JSON.stringify(kept), operation: typeof operation === 'string' && operation !== '' ? operation.slice(0, LONGEST_NAME) : routingKey || null }
}

/** As large as a request may be. Of what is larger, the beginning is kept, to be looked at. */
const MOST_BYTES = 1_048_576
const LONGEST_NAME = 100

const jsonIn = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

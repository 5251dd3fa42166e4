// A message as it is kept and shown: without where its answer was to go, which is gone by the time that anybody looks.
import { leadsSomewhere } from './rabbit-commands.ts'

export type KeptMessage = { readonly message: string; readonly operation: string | null }

/** JSON that can be kept, whatever came. */
export const keptMessage = ({ content, routingKey }: { readonly content: Buffer; readonly routingKey: string }): KeptMessage => {
  const text = content.subarray(0, MOST_BYTES).toString()
  const value = content.length > MOST_BYTES ? undefined : jsonIn(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isDeeper(value, DEEPEST))
    return { message: JSON.stringify(text.replaceAll('\0', '')), operation: null }
  const { reply_to: _, ...kept } = value as Record<string, unknown> // no list and not null
  const operation = typeof kept['operation'] === 'string' && kept['operation'] !== '' ? kept['operation'] : undefined
  // What can never be done by message may have been a password; it is not kept.
  const isTaken = operation === undefined || leadsSomewhere(operation)
  return { message: JSON.stringify(isTaken ? kept : { operation }), operation: operation?.slice(0, LONGEST_NAME) ?? (routingKey || null) }
}

/** As large as a request may be. Of what is larger, the beginning is kept, to be looked at. */
const MOST_BYTES = 1_048_576
const LONGEST_NAME = 100
/** Far deeper than any request of ours. JSON.parse reads what JSON.stringify and PostgreSQL cannot write again. */
const DEEPEST = 100

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === 'object' && value !== null && (levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1)))

const jsonIn = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

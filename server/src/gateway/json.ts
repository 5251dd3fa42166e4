// Reads a body: JSON in UTF-8, without what JSON.parse would quietly change or what PostgreSQL could not keep.
import { isUtf8 } from 'node:buffer'
import { Refused } from './problem.ts'
import type { Fault } from './validate.ts'

export const readJson = (bytes: Buffer, { faultsTold }: { readonly faultsTold: number }): unknown => {
  if (!isUtf8(bytes)) throw unreadable('The body is not text in UTF-8.')
  const text = bytes.toString('utf8')
  const value = parse(text)
  // One pass over the text costs far less than a walk over every value, and most bodies end here.
  if (!doubtful.test(text)) return value
  const faults = faultsIn(text, value, faultsTold)
  if (faults.length > 0) throw new Refused({ code: 'invalid_request', detail: 'The body has values that cannot be taken as they are.', errors: faults })
  return value
}

/**
 * An escaped character (NUL, half a surrogate pair, a hidden __proto__), a number in scientific notation, a minus zero, digits beyond
 * what a number holds. Strings may look like that and are fine; whoever matches is looked at closely.
 */
const doubtful = /\\u|__proto__|\d[eE]|-0|\d{16}/

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw unreadable(`The body cannot be read as JSON: ${error instanceof Error ? error.message : 'it ends unexpectedly'}`)
  }
}

const unreadable = (detail: string): Refused => new Refused({ code: 'invalid_request', detail })

const faultsIn = (text: string, value: unknown, most: number): Fault[] => {
  const faults: Fault[] = []
  const open: { readonly value: unknown; readonly param: string; readonly depth: number }[] = [{ value, param: '', depth: 0 }]
  for (let next = open.pop(); next !== undefined && faults.length < most; next = open.pop()) {
    const { value: current, param, depth } = next
    if (typeof current === 'string' && !isKeepable(current)) faults.push({ param, message: UNKEEPABLE })
    if (typeof current !== 'object' || current === null) continue
    if (depth === DEEPEST) return [{ param, message: `is nested more than ${DEEPEST} levels deep` }]
    for (const [key, inner] of Object.entries(current)) {
      const at = Array.isArray(current) ? `${param}[${key}]` : param === '' ? key : `${param}.${key}`
      if (key === '__proto__') faults.push({ param: at, message: 'is not known' })
      else if (!isKeepable(key)) faults.push({ param, message: `has a name that ${UNKEEPABLE}` })
      open.push({ value: inner, param: at, depth: depth + 1 })
    }
  }
  return faults.length > 0 ? faults : numberFaults(text, most)
}

/** Deeper than any request of ours, and far less than what a recursion survives. */
const DEEPEST = 10
const UNKEEPABLE = 'must not contain the character NUL or half a surrogate pair'
const isKeepable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')

/** As they are written, not as they were read: 1e3 is 1000 by then, and 9007199254740993 is another number. */
const numberFaults = (text: string, most: number): Fault[] => {
  const faults: Fault[] = []
  const look = (key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    if (typeof value !== 'number' || faults.length >= most || context?.source === undefined) return value
    const written = context.source
    if (/[eE]/.test(written)) faults.push({ param: key, message: `must be written without an exponent, not as ${shortened(written)}` })
    else if (Object.is(value, -0)) faults.push({ param: key, message: 'must be 0, not -0' })
    else if (!written.includes('.') && !Number.isSafeInteger(value)) faults.push({ param: key, message: `is beyond what can be counted exactly: ${shortened(written)}` })
    return value
  }
  // The third argument is newer than the type of JSON.parse.
  JSON.parse(text, look as (this: unknown, key: string, value: unknown) => unknown)
  return faults
}

const shortened = (text: string): string => (text.length > 32 ? `${text.slice(0, 32)}…` : text)

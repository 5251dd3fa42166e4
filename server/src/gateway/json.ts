// Reads a body: JSON in UTF-8, without what JSON.parse would quietly change or what PostgreSQL could not keep.
import { isUtf8 } from 'node:buffer'
import { Refused } from './problem.ts'
import type { Fault } from './validate.ts'

export const readJson = (bytes: Buffer, { faultsTold }: { readonly faultsTold: number }): unknown => {
  if (!isUtf8(bytes)) throw unreadable('The body is not text in UTF-8.')
  const text = bytes.toString('utf8')
  const value = parse(text)
  if (colonsIn(text) !== namesIn(value)) throw untakeable(repeatedIn(text, faultsTold))
  // One pass over the text costs far less than a walk over every value, and most bodies end here.
  if (!doubtful.test(text)) return value
  const faults = faultsIn(text, value, faultsTold)
  if (faults.length > 0) throw untakeable(faults)
  return value
}

const untakeable = (errors: Fault[]): Refused =>
  new Refused({ code: 'invalid_request', detail: 'The body has values that cannot be taken as they are.', errors })

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
  const faults = walk(value, most)
  // What is nested too deeply is not read a second time.
  return faults.length > 0 ? faults : walk(marked(text), most)
}

/** Deeper than any request of ours, and far less than what a recursion survives. */
const DEEPEST = 10

const walk = (value: unknown, most: number): Fault[] => {
  const faults: Fault[] = []
  const open: { readonly value: unknown; readonly param: string; readonly depth: number }[] = [{ value, param: '', depth: 0 }]
  for (let next = open.pop(); next !== undefined && faults.length < most; next = open.pop()) {
    const { value: current, param, depth } = next
    if (current instanceof BadNumber) faults.push({ param, message: current.says })
    else if (typeof current === 'string' && !isKeepable(current)) faults.push({ param, message: UNKEEPABLE })
    else if (typeof current === 'object' && current !== null) {
      if (depth === DEEPEST) return [{ param, message: `is nested more than ${DEEPEST} levels deep` }]
      for (const [key, inner] of Object.entries(current).toReversed()) {
        const at = within(param, Array.isArray(current) ? Number(key) : key)
        if (key === '__proto__') faults.push({ param: at, message: 'is not known' })
        else if (!isKeepable(key)) faults.push({ param, message: `has a name that ${UNKEEPABLE}` })
        open.push({ value: inner, param: at, depth: depth + 1 })
      }
    }
  }
  return faults
}

const within = (param: string, place: string | number): string =>
  typeof place === 'number' ? `${param}[${place}]` : param === '' ? place : `${param}.${place}`

const UNKEEPABLE = 'must not contain the character NUL or half a surrogate pair'
const isKeepable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')

// Of a name that is written twice in one object, JSON.parse keeps the last and says nothing. Each name has a colon behind it, so
// more colons than names tell of it; counting both costs about as little as a look at each character.

/** Colons outside of strings. */
const colonsIn = (text: string): number => {
  let colons = 0
  let inString = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at)
    if (character === QUOTE) inString = !inString
    else if (inString && character === BACKSLASH) at += 1
    else if (!inString && character === COLON) colons += 1
  }
  return colons
}
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

/** Without recursion: whoever sends a tower of brackets must not bring it down. */
const namesIn = (value: unknown): number => {
  let names = 0
  const open = [value]
  while (open.length > 0) {
    const current = open.pop()
    if (typeof current !== 'object' || current === null) continue
    const inner: unknown[] = Array.isArray(current) ? current : Object.values(current)
    if (inner !== current) names += inner.length
    for (const next of inner) if (typeof next === 'object') open.push(next)
  }
  return names
}

/** Where the names stand that are written twice. */
const repeatedIn = (text: string, most: number): Fault[] => {
  const faults: Fault[] = []
  const open: { readonly param: string; readonly names: Set<string>; place: string | number }[] = []
  for (const [token, name, colon] of text.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\],]/g)) {
    const inner = open.at(-1)
    if (token === '{' || token === '[') open.push({ param: inner ? within(inner.param, inner.place) : '', names: new Set(), place: token === '{' ? '' : 0 })
    else if (token === '}' || token === ']') open.pop()
    else if (inner !== undefined && token === ',' && typeof inner.place === 'number') inner.place += 1
    else if (inner !== undefined && name !== undefined && colon !== undefined) {
      inner.place = JSON.parse(name) as string // it stands between quotes
      if (inner.names.has(inner.place) && faults.length < most) faults.push({ param: within(inner.param, inner.place), message: 'is written twice' })
      inner.names.add(inner.place)
    }
  }
  return faults
}

/** Numbers as they are written, not as they were read: 1e3 is 1000 by then, and 9007199254740993 is another number. */
const marked = (text: string): unknown => {
  const look = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' && context?.source !== undefined ? (badNumber(value, context.source) ?? value) : value
  return JSON.parse(text, look)
}

const badNumber = (value: number, written: string): BadNumber | undefined => {
  const short = written.length > 32 ? `${written.slice(0, 32)}…` : written
  if (/[eE]/.test(written)) return new BadNumber(`must be written without an exponent, not as ${short}`)
  if (Object.is(value, -0)) return new BadNumber('must be 0, not -0')
  if (!written.includes('.') && !Number.isSafeInteger(value)) return new BadNumber(`is beyond what can be counted exactly: ${short}`)
  return undefined
}

/** Stands where a number stood that cannot be taken. */
class BadNumber {
  readonly says: string
  constructor(says: string) {
    this.says = says
  }
}

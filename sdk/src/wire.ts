// Between the caller's camelCase and the wire's snake_case. Only names that are ours are changed: the keys inside
// `metadata`, `attributes` and `address` are the caller's own words and pass as they are, both ways.

const OWN_WORDS = ['metadata', 'attributes', 'address'] as const
type OwnWords = (typeof OWN_WORDS)[number]

/** Spellings remembered in each direction. Our names are a few hundred; more would be someone else's, and need no memory. */
const MAX_REMEMBERED_NAMES = 1_000

/** What was answered, as the caller reads it: `expires_at` becomes `expiresAt`, at any depth. */
export const fromWire = (value: unknown): unknown => rename(value, toCamel)

/** What the caller says, as the wire spells it. Also turns an answer back into the words of the HTTP API. */
export const toWire = (value: unknown): unknown => rename(value, toSnake)

type CamelCase<Name> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Name

/** The type of `fromWire`. */
export type FromWire<T> = unknown extends T
  ? T
  : T extends readonly (infer Element)[]
    ? FromWire<Element>[]
    : T extends object
      ? { [Key in keyof T as CamelCase<Key>]: Key extends OwnWords ? T[Key] : FromWire<T[Key]> }
      : T

/** What a caller may give where the wire wants T: lists may be readonly, and what is optional may be `undefined`. */
export type ForWire<T> = unknown extends T
  ? T
  : T extends readonly (infer Element)[]
    ? readonly ForWire<Element>[]
    : T extends object
      ? { [Key in keyof T as CamelCase<Key>]: Given<T, Key, Key extends OwnWords ? T[Key] : ForWire<T[Key]>> }
      : T

type Given<T, Key extends keyof T, Value> = object extends Pick<T, Key> ? Value | undefined : Value

function rename(value: unknown, spell: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((element) => rename(element, spell))
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return value.toISOString()
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [spell(name), isOwnWords(name) ? inner : rename(inner, spell)]))
}

const isOwnWords = (name: string) => OWN_WORDS.some((own) => own === name)

const toCamel = remembered((name) => name.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()))
const toSnake = remembered((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))

function remembered(spell: (name: string) => string): (name: string) => string {
  const known = new Map<string, string>()
  return (name) => {
    const before = known.get(name)
    if (before !== undefined) return before
    const spelled = spell(name)
    if (known.size < MAX_REMEMBERED_NAMES) known.set(name, spelled)
    return spelled
  }
}

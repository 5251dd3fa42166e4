// Ids: items and locations are numbers inside a cell, documents are UUIDv7. Outside, an id is a prefix and 26 letters of base 32.

export type ItemNumber = number & { readonly of: 'item' }
export type LocationNumber = number & { readonly of: 'location' }
export type Uuid = string & { readonly of: 'uuid' }

export const itemNumber = (n: number): ItemNumber => positive('item', n) as ItemNumber // checked
export const locationNumber = (n: number): LocationNumber => positive('location', n) as LocationNumber // checked

/** What an id's prefix says the thing is. */
export const prefixes = {
  hold: 'hold',
  receipt: 'rcpt',
  adjustment: 'adj',
  shipment: 'ship',
  return: 'ret',
  event: 'evt',
  entry: 'ent',
  transfer: 'tran',
  inbound_shipment: 'inb',
  count: 'cnt',
  import: 'imp',
  user: 'user',
  api_key: 'key',
  session: 'sess',
  audit_entry: 'aud',
  webhook_endpoint: 'whe',
  webhook_delivery: 'whd',
  parked_message: 'msg',
} as const
export type IdKind = keyof typeof prefixes

/** Crockford's alphabet in lower case: no i, l, o, u, so that an id can be read aloud. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const values = new Map([...alphabet].map((letter, value) => [letter, value]))
const HEX_DIGITS = 32
const LETTERS = 26

/** `hold_01k…` from a uuid. Sorts as the uuid sorts. */
export const encodeId = (kind: IdKind, uuid: Uuid): string => {
  let bits = 0
  let held = 2 // 130 bits are written, 128 are there: the first letter carries three of them.
  let letters = ''
  for (const digit of uuid) {
    if (digit === '-') continue
    bits = (bits << 4) | Number.parseInt(digit, 16)
    held += 4
    if (held >= 5) {
      held -= 5
      letters += alphabet[bits >> held]
      bits &= (1 << held) - 1
    }
  }
  return `${prefixes[kind]}_${letters}`
}

/** The uuid behind an id, or nothing when it is not an id of that kind. */
export const decodeId = (kind: IdKind, id: string): Uuid | undefined => {
  const start = prefixes[kind].length + 1
  if (id.length !== start + LETTERS || !id.startsWith(`${prefixes[kind]}_`)) return undefined
  let bits = 0n
  for (const letter of id.slice(start)) {
    const value = values.get(letter)
    if (value === undefined) return undefined
    bits = (bits << 5n) | BigInt(value)
  }
  if (bits >> 128n) return undefined
  return uuidOf(bits.toString(16).padStart(HEX_DIGITS, '0'))
}

/**
 * An event's id is made of what the event has anyway: its instant, its cell and its sequence, laid out as a UUIDv7.
 * So it sorts by time, is the same whenever it is asked for, and needs neither a column nor an index.
 */
export const eventUuid = (occurredAtMs: number, cell: number, sequence: number): Uuid =>
  uuidOf(occurredAtMs.toString(16).padStart(12, '0') + '7' + cell.toString(16).padStart(3, '0') + (0x8000_0000_0000_0000n | BigInt(sequence)).toString(16))

/** The sequence inside an event's uuid. */
export const sequenceOf = (uuid: Uuid): number => Number(BigInt(`0x${uuid.replaceAll('-', '').slice(16)}`) & 0x3fff_ffff_ffff_ffffn)

const uuidOf = (hex: string): Uuid => `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Uuid // made of 32 hex digits

const positive = (what: string, n: number): number => {
  if (!Number.isSafeInteger(n) || n < 1) throw new RangeError(`${what} number ${n} is not a positive whole number`)
  return n
}

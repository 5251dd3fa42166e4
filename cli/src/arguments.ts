// What is typed on the command line, read into what the SDK takes. A wrong word is told in terms of what was typed.
import { InvalidArgumentError } from 'commander'

/** The largest quantity a line may name; the server refuses more. */
const MAX_QUANTITY = 1_000_000_000
/** Where what arrives may be put. */
const states = ['available', 'quality_control', 'damaged'] as const
const SECONDS_OF = { s: 1, m: 60, h: 3_600, d: 86_400 } as const

/** `TEA-1=3`. A sku may hold an equals sign itself, so the last one counts. */
export function line(text: string) {
  const { sku, rest } = split(text, 'SKU=QUANTITY')
  return { sku, quantity: quantityOf(rest, text) }
}

/** `TEA-1=3@LON`, or without a location. */
export function holdLine(text: string) {
  const { sku, rest } = split(text, 'SKU=QUANTITY[@LOCATION]')
  const [quantity = '', location] = rest.split('@')
  if (location === '') throw new InvalidArgumentError(`"${text}" names no location after the @.`)
  return { sku, quantity: quantityOf(quantity, text), location }
}

/** `TEA-1=3`, or `TEA-1=3:damaged` for what is not to be sold as it came. */
export function arrivalLine(text: string) {
  const { sku, rest } = split(text, 'SKU=QUANTITY[:STATE]')
  const [quantity = '', state] = rest.split(':')
  const to = states.find((one) => one === state)
  if (state !== undefined && to === undefined) throw new InvalidArgumentError(`"${text}" names no state after the colon: ${states.join(', ')}.`)
  return { sku, quantity: quantityOf(quantity, text), to }
}

/** `TEA-1=3`; a shelf may also be empty. */
export function countedLine(text: string) {
  const { sku, rest } = split(text, 'SKU=QUANTITY')
  return { sku, quantity: quantityOf(rest, text, 0) }
}

/** `TEA-1=+3` or `TEA-1=-3`. Without a sign it could be meant as the new count, so the sign is asked for. */
export function deltaLine(text: string) {
  const { sku, rest } = split(text, 'SKU=+QUANTITY or SKU=-QUANTITY')
  const sign = rest.slice(0, 1)
  if (sign !== '+' && sign !== '-') throw new InvalidArgumentError(`Say how many more or fewer: ${sku}=+${rest} or ${sku}=-${rest}.`)
  const quantity = quantityOf(rest.slice(1), text)
  return { sku, delta: sign === '+' ? quantity : -quantity }
}

/** `900`, `900s`, `15m`, `2h`, `7d`, in seconds. */
export function duration(text: string): number {
  const [, digits, unit = 's'] = /^([1-9]\d{0,8})([smhd]?)$/.exec(text) ?? []
  if (digits === undefined) throw new InvalidArgumentError(`"${text}" is not a time like 900s, 15m, 2h or 7d.`)
  return Number(digits) * SECONDS_OF[(unit === '' ? 's' : unit) as keyof typeof SECONDS_OF] // the pattern allows no other
}

/** `2/1d`: two within a day; `none` lifts the limit. */
export function purchaseLimit(text: string): { readonly quantity: number; readonly windowSeconds: number } | null {
  if (text === 'none') return null
  const [, quantity, window] = /^(\d+)\/(\S+)$/.exec(text) ?? []
  if (quantity === undefined || window === undefined) throw new InvalidArgumentError(`"${text}" is not QUANTITY/TIME, for instance 2/1d, nor "none".`)
  return { quantity: quantityOf(quantity, text), windowSeconds: duration(window) }
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError(`"${text}" is not a whole number.`)
  return Number(text)
}

export function positiveNumber(text: string): number {
  const number = wholeNumber(text)
  if (number === 0) throw new InvalidArgumentError('It must be at least 1.')
  return number
}

export function decimal(text: string): number {
  if (!/^[+-]?\d{1,9}(\.\d{1,15})?$/.test(text)) throw new InvalidArgumentError(`"${text}" is not a number.`)
  return Number(text)
}

/** `colour=red`, gathered into one object. */
export function pair(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError(`"${text}" is not NAME=VALUE.`)
  return { ...before, [name]: value }
}

/** One word after another into a list: an option that may be repeated. */
export const word = (text: string, before: readonly string[] = []): readonly string[] => [...before, text]

/** `100/1s`: a hundred within a second. */
export function rate(text: string): 'unlimited' | { limit: number; windowSeconds: number } {
  if (text === 'unlimited') return text
  const [, limit, window] = /^([1-9]\d{0,6})\/(\S+)$/.exec(text) ?? []
  if (limit === undefined || window === undefined) throw new InvalidArgumentError(`"${text}" is not LIMIT/TIME, for instance 100/1s, nor "unlimited".`)
  return { limit: Number(limit), windowSeconds: duration(window) }
}

/** One after another into a list. */
export const gather =
  <T>(read: (text: string) => T) =>
  (text: string, before: readonly T[] = []): readonly T[] => [...before, read(text)]

function split(text: string, form: string) {
  const at = text.lastIndexOf('=')
  if (at < 1) throw new InvalidArgumentError(`"${text}" is not ${form}.`)
  return { sku: text.slice(0, at), rest: text.slice(at + 1) }
}

function quantityOf(digits: string, text: string, least: 0 | 1 = 1): number {
  const quantity = /^\d{1,10}$/.test(digits) ? Number(digits) : -1
  if (quantity < least || quantity > MAX_QUANTITY) throw new InvalidArgumentError(`"${text}" has no quantity from ${least} to ${MAX_QUANTITY}.`)
  return quantity
}

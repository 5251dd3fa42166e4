// What one process of ours says and another believes, although it comes by way of others: a value with the seal of a key that only
// we have. It hides nothing, and it does not grow old: what waits for an outage to end must still be believed.
import { createHmac, timingSafeEqual } from 'node:crypto'

/** The value as JSON, and its seal, in letters that fit into a header. */
export const sealed = (value: unknown, key: string): string => {
  const text = Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${text}.${sealOf(text, key).toString('base64url')}`
}

/** The value; undefined when it was not sealed with this key, or has been changed. */
export const opened = (text: string, key: string): unknown => {
  const [value = '', seal = '', ...more] = text.split('.')
  const [given, expected] = [Buffer.from(seal, 'base64url'), sealOf(value, key)]
  if (more.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
  return JSON.parse(Buffer.from(value, 'base64url').toString())
}

const sealOf = (text: string, key: string): Buffer => createHmac('sha256', key).update('holdfast sealed\n').update(text).digest()

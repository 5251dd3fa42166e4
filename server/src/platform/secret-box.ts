// Secrets that have to be read again, such as those that webhooks are signed with, are kept under lock: AES-256-GCM, with the
// name of the key in what is kept, and bound to the row it stands in, so that nobody can move one to another row.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where a secret stands. */
export type Place = { readonly table: string; readonly row: string }

export type SecretBox = {
  seal(secret: string, place: Place): string
  /** Throws when it was sealed with a key that is not here, for another place, or has been changed. */
  open(sealed: string, place: Place): string
  /** Whether it was sealed with the key that seals now. */
  isCurrent(sealed: string): boolean
}

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const ALGORITHM = 'aes-256-gcm'

/** @param keys  the first seals, all of them open: so a key is replaced by putting another one before it */
export const secretBox = (keys: readonly Buffer[]): SecretBox => {
  const byName = new Map(keys.map((key) => [nameOf(key), key]))
  const [first] = keys
  if (first === undefined) throw new Error('a box for secrets was made without a key')
  const firstName = nameOf(first)

  return {
    isCurrent: (sealed) => sealed.split('.')[1] === firstName,
    seal: (secret, place) => {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, first, nonce).setAAD(labelOf(place))
      const sealed = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `v1.${firstName}.${sealed.toString('base64url')}`
    },
    open: (sealed, place) => {
      const [version, name = '', text = ''] = sealed.split('.')
      const key = byName.get(name)
      if (version !== 'v1' || key === undefined) {
        throw new Error(`the secret of ${place.table} ${place.row} was sealed with the key ${name}, and there ${there([...byName.keys()])}`)
      }
      const bytes = Buffer.from(text, 'base64url')
      const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(labelOf(place))
        .setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
      return decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    },
  }
}

/** The keys in a text: 32 bytes in base 64 each, separated by commas. Nothing when it is not that. */
export const keysIn = (text: string): Buffer[] | undefined => {
  const keys = text.split(',').map((one) => Buffer.from(one.trim(), 'base64'))
  const isRight = keys.every((key, index) => key.length === KEY_BYTES && sameText(key, text.split(',')[index]?.trim() ?? ''))
  return isRight ? keys : undefined
}

/** The keys of a file, which is made with a new one when it is not there. It is for one Holdfast alone, as its directory is. */
export const keysOfDirectory = (directory: string): Buffer[] => {
  const path = join(directory, 'secret.key')
  const text = read(path) ?? make(directory, path)
  const keys = keysIn(text.trim())
  if (keys === undefined) throw new Error(`${path} must hold ${KEY_BYTES} bytes in base 64, and does not`)
  return keys
}

const make = (directory: string, path: string): string => {
  const text = randomBytes(KEY_BYTES).toString('base64')
  mkdirSync(directory, { recursive: true })
  writeFileSync(path, `${text}\n`, { mode: 0o600, flag: 'wx', flush: true })
  return text
}

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Tells keys apart, and tells nothing of them. */
const nameOf = (key: Buffer): string => createHash('sha256').update('holdfast secret key').update(key).digest('hex').slice(0, 8)
const labelOf = ({ table, row }: Place): Buffer => Buffer.from(`${table}/${row}`, 'utf8')
/** Base 64 is read leniently; what was meant as something else must not pass. */
const sameText = (key: Buffer, text: string): boolean => key.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '')
const there = (names: readonly string[]): string => (names.length === 1 ? `is ${names[0]} alone` : `are ${names.join(', ')}`)

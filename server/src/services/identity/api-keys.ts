// API keys as they are shown: `hf_<id>_<secret>_<checksum>`. Secret scanners know the prefix, and a mistyped key is told from a
// wrong one without asking the database.
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { randomSecret, secretLetters } from '../../platform/random.ts'

/** More than 112 bits, so that a plain digest of it may be kept: nobody can try them all. */
const SECRET_BYTES = 32
const CHECKSUM_LETTERS = 7
const ownShape = new RegExp(`^hf_[0-9a-f]{32}_[0-9A-Za-z]{${secretLetters(SECRET_BYTES)}}_[0-9a-z]{${CHECKSUM_LETTERS}}$`)
/** Keys that an operator chose may look otherwise, but not arbitrarily so. */
const anyShape = /^hf_[A-Za-z0-9_.~-]{29,197}$/

/** @param id  the uuid under which the key is listed and revoked */
export const newApiKey = (id: string): string => {
  const body = `hf_${id.replaceAll('-', '')}_${randomSecret(SECRET_BYTES)}`
  return `${body}_${checksum(body)}`
}

/** Could this be a key at all? Most that cannot are refused without a look into the database. */
export const looksLikeApiKey = (text: string): boolean => {
  if (!anyShape.test(text)) return false
  if (!ownShape.test(text)) return true
  const end = text.lastIndexOf('_')
  return checksum(text.slice(0, end)) === text.slice(end + 1)
}

/** What is kept of a key. */
export const digestOf = (key: string): Buffer => hash('sha256', key, 'buffer')
/** The same as text, to be looked up in memory. A digest tells nothing of its key, so comparing it needs no constant time. */
export const digestText = (key: string): string => hash('sha256', key, 'hex')

const checksum = (text: string): string => crc32(text).toString(36).padStart(CHECKSUM_LETTERS, '0')

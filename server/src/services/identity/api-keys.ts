// API keys as they are shown: `hf_<id>_<secret>_<checksum>`. Secret scanners know the prefix, and a mistyped key is told from a
// wrong one without asking the database.
import { crc32 } from 'node:zlib'
import { randomSecret, secretLetters } from '../../platform/random.ts'

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

const checksum = (text: string): string => crc32(text).toString(36).padStart(CHECKSUM_LETTERS, '0')

// Passwords of people: argon2id as OWASP asks, written as a PHC string, so that its cost can grow without losing the old ones.
import { argon2, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { limits } from '../../platform/limits.ts'

const { memoryKiB, passes, lanes, saltBytes, hashBytes } = limits.password
/** For Node before 24.7, which has no argon2: OWASP's least for scrypt, 128 MiB. */
const SCRYPT = { ln: 17, r: 8, p: 1 }

export const hashPassword = async (password: string): Promise<string> => {
  const salt = randomBytes(saltBytes)
  if (!hasArgon2) return `$scrypt$ln=${SCRYPT.ln},r=${SCRYPT.r},p=${SCRYPT.p}$${b64(salt)}$${b64(await scryptHash(password, salt, SCRYPT))}`
  const parameters = { m: memoryKiB, t: passes, p: lanes }
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${b64(salt)}$${b64(await argonHash(password, salt, parameters))}`
}

/** A hash that no password has, and that takes as long to check as any that is made today. */
export const nobodysHash = (): string => {
  const [salt, hash] = [b64(randomBytes(saltBytes)), b64(randomBytes(hashBytes))]
  return hasArgon2
    ? `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${salt}$${hash}`
    : `$scrypt$ln=${SCRYPT.ln},r=${SCRYPT.r},p=${SCRYPT.p}$${salt}$${hash}`
}

/** Takes as long for a wrong password as for the right one. */
export const isPassword = async (password: string, phc: string): Promise<boolean> => {
  const argon = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(phc)
  const scrypted = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(phc)
  const [, one, two, three, salt, kept] = argon ?? scrypted ?? []
  if (one === undefined || two === undefined || three === undefined || salt === undefined || kept === undefined) {
    throw new Error(`a password hash of an unknown kind: ${phc.slice(0, phc.indexOf('$', 1) + 1)}`)
  }
  const nonce = Buffer.from(salt, 'base64')
  const found = argon
    ? await argonHash(password, nonce, { m: Number(one), t: Number(two), p: Number(three) })
    : await scryptHash(password, nonce, { ln: Number(one), r: Number(two), p: Number(three) })
  const expected = Buffer.from(kept, 'base64')
  return found.length === expected.length && timingSafeEqual(found, expected)
}

/** Made with less than is asked today: to be made anew as soon as the password is known, which is when somebody signs in. */
export const needsNewHash = (phc: string): boolean => hasArgon2 && !phc.startsWith(`$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$`)

// The type says it is there; in an older Node it is not.
const hasArgon2 = typeof (argon2 as unknown) === 'function'

const argonHash = async (password: string, nonce: Buffer, { m, t, p }: { m: number; t: number; p: number }): Promise<Buffer> =>
  await promisify(argon2)('argon2id', { message: text(password), nonce, memory: m, passes: t, parallelism: p, tagLength: hashBytes })

const scryptHash = (password: string, salt: Buffer, { ln, r, p }: { ln: number; r: number; p: number }): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(text(password), salt, hashBytes, { N: 2 ** ln, r, p, maxmem: 2 * 128 * r * 2 ** ln }, (error, key) => (error ? reject(error) : resolve(key)))
  })

/** Typed on another keyboard, the same letters may be other code points. */
const text = (password: string): Buffer => Buffer.from(password.normalize('NFKC'), 'utf8')
const b64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')

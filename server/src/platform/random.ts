// Chance, in one place: ids that grow, and tokens that nobody guesses. Bytes are drawn many at a time, because a call to the
// generator costs as much as the rest of a request's bookkeeping.
import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 4_096
const BASE32 = '0123456789abcdefghjkmnpqrstvwxyz'
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/**
 * A UUIDv7 that is larger than every one this process has made before. `crypto.randomUUIDv7` is not: it has no order within
 * a millisecond. The 12 bits after the time are a counter; if they run out, the time is moved ahead of the clock.
 */
export const uuidV7 = (): string => {
  const now = Date.now()
  if (now > lastMs) {
    lastMs = now
    // Half of the counter's range is left for growing, and where it starts tells nothing about how many were made.
    counter = ((nextByte() << 8) | nextByte()) & 0x7ff
  } else if (counter === 0xfff) {
    lastMs += 1
    counter = nextByte()
  } else counter += 1

  const high = Math.floor(lastMs / 0x1_0000)
  const low = lastMs & 0xffff
  return (
    byteHex(high >>> 24) +
    byteHex(high >>> 16) +
    byteHex(high >>> 8) +
    byteHex(high) +
    '-' +
    byteHex(low >>> 8) +
    byteHex(low) +
    '-7' +
    (counter + 0x1000).toString(16).slice(1) +
    '-' +
    byteHex(0x80 | (nextByte() & 0x3f)) +
    byteHex(nextByte()) +
    '-' +
    byteHex(nextByte()) +
    byteHex(nextByte()) +
    byteHex(nextByte()) +
    byteHex(nextByte()) +
    byteHex(nextByte()) +
    byteHex(nextByte())
  )
}

let lastMs = 0
let counter = 0

/** Letters and digits that can be read aloud, five bits each. For ids that need not be secret. */
export const randomWord = (letters: number): string => {
  let word = ''
  for (let n = 0; n < letters; n += 1) word += BASE32[nextByte() & 31]
  return word
}

/** A secret: this many random bytes in base 62, always equally long. */
export const randomSecret = (bytes: number): string => {
  const drawn = randomFillSync(Buffer.allocUnsafe(bytes))
  let value = BigInt(`0x${drawn.toString('hex')}`)
  let text = ''
  for (let n = secretLetters(bytes); n > 0; n -= 1) {
    text = BASE62.charAt(Number(value % 62n)) + text
    value /= 62n
  }
  return text
}

export const secretLetters = (bytes: number): number => Math.ceil((bytes * 8) / Math.log2(62))

/** For people to type: as many letters as asked from an alphabet without look-alikes. */
export const randomPassword = (letters: number): string => randomWord(letters).replace(/(.{5})(?=.)/g, '$1-')

const pool = Buffer.allocUnsafe(POOL_BYTES)
let used = POOL_BYTES

const nextByte = (): number => {
  if (used === POOL_BYTES) {
    randomFillSync(pool)
    used = 0
  }
  const byte = pool[used]
  used += 1
  if (byte === undefined) throw new Error('the pool of random bytes was read past its end')
  return byte
}

const hexes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const byteHex = (value: number): string => hexes[value & 0xff] ?? ''

// From where a request came. Proxies that are trusted are believed what they say of it; nobody else is.
import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

/** The address of whoever asked, an IPv4 address always as such. */
export const addressOf = (request: FastifyRequest): string => {
  const { ip } = request
  // A proxy that passes on what its caller wrote may pass on anything. The proxy itself is then as much as is known.
  const address = isIP(ip) === 0 ? (request.raw.socket.remoteAddress ?? 'unknown') : ip
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address
}

const MAPPED = '::ffff:'

/** What one subscriber has: an IPv4 address, or 64 bits of an IPv6 address, of which they may use any they like. */
export const networkOf = (address: string): string => {
  if (!address.includes(':')) return address
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::', 2)
  const written = head === '' ? [] : head.split(':')
  const left = tail === undefined ? [] : tail.split(':')
  // What stands for the two colons are zeros, as many as are missing.
  const zeros = Math.max(0, GROUPS - written.length - left.filter((group) => group !== '').length)
  const groups = tail === undefined ? written : [...written, ...Array.from({ length: zeros }, () => '0'), ...left]
  return `${groups
    .slice(0, GROUPS / 2)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

const GROUPS = 8

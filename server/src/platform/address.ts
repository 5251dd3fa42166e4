// Which addresses of the internet a server of ours may be made to call by somebody who only gave it a url: public ones, and those
// that its operator has named. An address that carries another one inside is judged by both.
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Whether a text is a network, such as 10.0.0.0/8. Written shorter, 10/8 would be read as 0.0.0.10/8. */
export const isNetwork = (text: string): boolean => isIP(text.split('/')[0] ?? '') !== 0 && ipaddr.isValidCIDR(text)

/** @param networks  as CIDRs, that may be called although they are not public */
export const addressPolicy = (networks: readonly string[]) => {
  const named = networks.map((network) => ipaddr.parseCIDR(network))
  const isNamed = (address: Address): boolean => named.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))

  return {
    /** `public`, `named` by the operator, or `refused`. What cannot be read as an address is refused. */
    judge: (text: string): 'public' | 'named' | 'refused' => {
      if (isIP(text) === 0) return 'refused'
      const address = ipaddr.process(text)
      if (isNamed(address)) return 'named'
      const inside = addressesInside(address)
      if (inside.length > 0) return inside.every(isPublic) ? 'public' : inside.every((one) => isPublic(one) || isNamed(one)) ? 'named' : 'refused'
      return isPublic(address) ? 'public' : 'refused'
    },
  }
}
export type AddressPolicy = ReturnType<typeof addressPolicy>

/**
 * A list of what is allowed, not of what is not. Of IPv6 only 2000::/3 has been given to anybody: the library calls the rest
 * unicast, too, and with it ::127.0.0.1.
 */
const isPublic = (address: Address): boolean => address.range() === 'unicast' && (address instanceof ipaddr.IPv4 || address.match(GLOBAL_UNICAST, 3))
const GLOBAL_UNICAST = ipaddr.IPv6.parse('2000::')
const WELL_KNOWN_NAT64 = ipaddr.IPv6.parse('64:ff9b::')

/** The IPv4 addresses that tunnels and translators would take out of an IPv6 address and go on to. */
const addressesInside = (address: Address): ipaddr.IPv4[] => {
  if (address instanceof ipaddr.IPv4) return []
  const bytes = address.toByteArray()
  const at = (first: number, turned = 0) => new ipaddr.IPv4(bytes.slice(first, first + 4).map((byte) => byte ^ turned))
  switch (address.range()) {
    case '6to4':
      return [at(2)]
    case 'teredo':
      // The server, and the client, whose bits are turned.
      return [at(4), at(12, 0xff)]
    case 'rfc6052':
      // Only of the well-known prefix is it known where the address stands; the others mean what each network wants.
      return address.match(WELL_KNOWN_NAT64, 96) ? [at(12)] : []
    default:
      // ISATAP has no range of its own.
      return /^0[02]005efe/.test(Buffer.from(bytes.slice(8, 12)).toString('hex')) ? [at(12)] : []
  }
}

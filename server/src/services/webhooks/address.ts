// The guard at the door to the internet. A url comes from a caller, and what its name means comes from whoever runs that name; so
// the addresses are looked up here, all of them are judged, and the connection is made to one that was judged, each time anew.
import { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { callbackify } from 'node:util'
import { Agent, buildConnector } from 'undici'
import { addressPolicy, type AddressPolicy } from '../../platform/address.ts'
import { asError } from '../../platform/error.ts'
import type { WebhookLimits } from '../../platform/limits.ts'

export type AddressDeps = {
  readonly allowHttp: boolean
  /** Networks that may be called although they are not public. */
  readonly allowPrivate: readonly string[]
  readonly resolve: Resolve
  readonly limits: Pick<WebhookLimits, 'connectMs' | 'addressesTried' | 'keepAliveMs'>
}

/** Every address of a name. Rejects when there is none, or that cannot be found out now. */
export type Resolve = (name: string) => Promise<readonly string[]>

/** The url, or what it leads to, is not for us to call. */
export class NotCallable extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'NotCallable'
  }
}

export type Doorkeeper = {
  /** What is wrong with a url that is to be saved; nothing when it may be called as far as can be told now. */
  faultOf(url: string): Promise<string | undefined>
  /** Makes connections, and only to where they may go. */
  readonly agent: Agent
}

/** What a public server listens on for this. Anything else that answers on a public address is something else. */
const isPublicPort = (port: number): boolean => port === 443 || port === 80 || (port >= 8_000 && port <= 9_999)

export const doorkeeper = ({ allowHttp, allowPrivate, resolve, limits }: AddressDeps): Doorkeeper => {
  const policy = addressPolicy(allowPrivate)
  const connect = buildConnector({ timeout: limits.connectMs })

  const guarded = async (options: buildConnector.Options): Promise<NonNullable<Socket>> => {
    const addresses = await allowedAddresses({ host: options.hostname, port: portOf(options) }, { policy, resolve })
    let last: Error | undefined
    for (const address of addresses.slice(0, limits.addressesTried)) {
      try {
        // The name still says whose certificate is asked for.
        return await connected(connect, { ...options, hostname: address })
      } catch (error) {
        last = asError(error)
      }
    }
    throw last ?? new NotCallable(`${options.hostname} has no address`)
  }
  const toCallback = callbackify(guarded)

  return {
    faultOf: async (text) => {
      const fault = faultOfForm(text, allowHttp)
      if (fault !== undefined) return fault
      const url = new URL(text)
      try {
        await allowedAddresses({ host: url.hostname, port: portOf(url) }, { policy, resolve })
      } catch (error) {
        // A name that is not known now may be known later. Where it leads to is looked at again for every connection.
        if (error instanceof NotCallable) return error.message
      }
      return undefined
    },
    agent: new Agent({
      connect: (options, callback) => toCallback(options, (error, socket) => (error ? callback(error, null) : callback(null, socket))),
      keepAliveTimeout: limits.keepAliveMs,
      keepAliveMaxTimeout: limits.keepAliveMs,
      pipelining: 1,
    }),
  }
}

/** A resolver that asks name servers, and neither keeps the few threads of the system's own busy nor is kept busy by them. */
export const dnsResolver = ({ lookUpMs }: Pick<WebhookLimits, 'lookUpMs'>): Resolve => {
  const resolver = new Resolver({ timeout: lookUpMs, tries: 1 })
  return async (name) => {
    const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
    const addresses = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
    const failure = found.find((one) => one.status === 'rejected')
    if (addresses.length === 0) throw failure?.reason ?? new Error(`${name} has no address`)
    return addresses
  }
}

const faultOfForm = (text: string, allowHttp: boolean): string | undefined => {
  const url = URL.parse(text)
  if (url === null) return 'must be a url'
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && allowHttp)) return `must begin with https://${allowHttp ? ' or http://' : ''}`
  if (url.username !== '' || url.password !== '') return 'must not have a user name or a password in it'
  // It is never sent, so whoever wrote one meant something that will not happen.
  if (url.hash !== '') return 'must not have a fragment'
  return undefined
}

/** All of them may be called, or none is. */
const allowedAddresses = async (
  { host, port }: { readonly host: string; readonly port: number },
  { policy, resolve }: { readonly policy: AddressPolicy; readonly resolve: Resolve },
): Promise<readonly string[]> => {
  const name = host.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
  const addresses = isIP(name) === 0 ? await addressesOf(name, resolve) : [name]
  const judged = new Set(addresses.map((address) => policy.judge(address)))
  // Which addresses they are is not said: a name may be somebody's way to ask about ours.
  if (addresses.length === 0 || judged.has('refused')) throw new NotCallable(`${name} does not lead to public addresses`)
  if (judged.has('public') && !isPublicPort(port)) throw new NotCallable(`port ${port} is none that webhooks are sent to: 443, 80, and 8000 to 9999`)
  return addresses
}

/** The names of this very machine are not asked for: a name server could say anything. */
const addressesOf = (name: string, resolve: Resolve): Promise<readonly string[]> | readonly string[] =>
  /(^|\.)localhost$/i.test(name) ? ['127.0.0.1'] : resolve(name)

const portOf = ({ port, protocol }: { readonly port: string; readonly protocol: string }): number =>
  port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port)

type Socket = Parameters<buildConnector.Callback>[1]
const connected = (connect: buildConnector.connector, options: buildConnector.Options): Promise<NonNullable<Socket>> =>
  new Promise((resolve, reject) => {
    // On an error it is given nothing at all for a socket, whatever its type says.
    connect(options, (error, socket: Socket | undefined) => (socket ? resolve(socket) : reject(error ?? new Error('no connection was made'))))
  })

// Another system that is told by webhooks. It believes nothing without a signature, writes down all that it was sent, and is not
// always well: now and then it fails, or hangs.
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'
import type { Random } from '../simulation/random.ts'

export type Delivery = {
  readonly id: string
  readonly verified: boolean
  /** What it says of itself: its own id, and its place. */
  readonly event: { readonly id: string; readonly type: string; readonly sequence: number } | undefined
  readonly answered: number | 'nothing'
}

export type Receiver = {
  readonly url: string
  readonly log: readonly Delivery[]
  /** The endpoint's own. Until it is known, nothing is believed. */
  secret(secret: string): void
  /** From now on it is well. */
  heal(): void
  close(): Promise<void>
}

const FAILS = 0.02
const HANGS = 0.002
/** Whoever hangs keeps one of few places of the sender's; a few at a time are enough to see what becomes of the others. */
const HANGING = 2
const HANG_MS = 4_000

export const startReceiver = async (random: Random): Promise<Receiver> => {
  const log: Delivery[] = []
  const failed = new Set<string>()
  const hanging = new Set<ServerResponse>()
  let webhook: Webhook | undefined
  let ill = true

  const server = createServer((request, response) => {
    void (async () => {
      const body = await buffer(request).catch(() => undefined)
      if (body === undefined) return
      const id = String(request.headers['webhook-id'])
      const event = eventOf(webhook, body, request.headers)
      const note = (answered: Delivery['answered']) => log.push({ id, verified: event !== undefined, event, answered })
      // Once for each event at most: what fails twice is tried again only minutes later.
      const mayFail = ill && !failed.has(id)
      if (mayFail && random.chance(FAILS)) {
        failed.add(id)
        note(500)
        response.writeHead(500).end()
      } else if (mayFail && hanging.size < HANGING && random.chance(HANGS)) {
        failed.add(id)
        note('nothing')
        hanging.add(response)
        setTimeout(() => {
          hanging.delete(response)
          response.destroy()
        }, HANG_MS).unref()
      } else {
        note(event === undefined ? 400 : 204)
        response.writeHead(event === undefined ? 400 : 204).end()
      }
    })()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`, // it listens on a port
    log,
    secret: (secret) => (webhook = new Webhook(secret)),
    heal: () => {
      ill = false
      for (const response of hanging) response.destroy()
    },
    close: async () => {
      const closed = once(server, 'close')
      server.closeAllConnections()
      server.close()
      await closed
    },
  }
}

const eventOf = (webhook: Webhook | undefined, body: Buffer, headers: Readonly<Record<string, string | string[] | undefined>>): Delivery['event'] => {
  const given = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
  try {
    return webhook?.verify(body.toString('utf8'), given) as Delivery['event'] // what was signed is an event
  } catch {
    return undefined
  }
}

// A real receiver of webhooks, which answers as a test wants, and knows all that was ever sent to it.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export type Received = {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** As it was sent, to be verified. */
  readonly body: string
  readonly id: string
  readonly event: { readonly id: string; readonly type: string; readonly sequence: number; readonly data: unknown }
  readonly atMs: number
}
type Reply = (received: Received, response: ServerResponse, request: IncomingMessage) => void

export type Receiver = {
  readonly url: string
  readonly received: readonly Received[]
  answer(reply: number | Reply): void
}

export const startReceiver = async (first: number | Reply = 204): Promise<Receiver> => {
  const received: Received[] = []
  let reply: Reply = replyOf(first)
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const one: Received = {
        path: request.url ?? '',
        headers: request.headers,
        body,
        id: String(request.headers['webhook-id']),
        event: JSON.parse(body) as Received['event'], // what webhooks are
        atMs: performance.now(),
      }
      received.push(one)
      reply(one, response, request)
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`, // it listens on a port
    received,
    answer: (next) => (reply = replyOf(next)),
  }
}

const replyOf = (reply: number | Reply): Reply => (typeof reply === 'number' ? (_, response) => void response.writeHead(reply).end() : reply)

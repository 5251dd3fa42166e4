// A receiver on this machine, for trying webhooks out: what it cannot verify it refuses, and says so.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CreateWebhookEndpoint, type Holdfast, verifyWebhook, type WebhookEvent, WebhookVerificationError } from '@holdfast/sdk'
import { type Column, type Output, time } from './output.ts'

/** Larger than any event of ours. */
const MAX_BODY_BYTES = 4_000_000

export async function listen({
  stock,
  output,
  port,
  secret: given,
  events,
}: {
  stock: Holdfast
  output: Output
  port: number
  secret: string | undefined
  events: CreateWebhookEndpoint['events']
}): Promise<void> {
  const show = output.rows(eventColumns)
  let secret = given
  const server = createServer((request, response) => void receive(request, response))
  const receive = async (request: IncomingMessage, response: ServerResponse) => {
    try {
      const body = await bodyOf(request)
      // What comes before there is a secret is sent again.
      if (secret === undefined) return void response.writeHead(503).end()
      show([await verifyWebhook({ secret, headers: request.headers, body })])
      response.writeHead(204).end()
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error
      output.note(`Refused: ${error.message}.`)
      response.writeHead(400).end()
    }
  }
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/` // it listens on a port

  try {
    const made = given === undefined ? await stock.webhookEndpoints.create({ url, events, description: 'holdfast webhook listen' }) : undefined
    secret = made?.secret ?? given
    output.note(made === undefined ? `Listening on ${url}` : `Listening on ${url} as endpoint ${made.id}, until Ctrl-C.`)
    await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
    if (made !== undefined) await stock.webhookEndpoints.delete(made.id)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new WebhookVerificationError('it is longer than any event')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** As wide as most are, so that they stand in one line as they come. */
const eventColumns: readonly Column<WebhookEvent>[] = [
  { title: 'sequence', value: ({ sequence }) => sequence, minWidth: 10 },
  { title: 'when', value: ({ occurredAt }) => time(occurredAt), minWidth: 20 },
  { title: 'type', value: ({ type }) => type, minWidth: 20 },
  { title: 'subject', value: ({ subject }) => subject.id, minWidth: 31 },
]

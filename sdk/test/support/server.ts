// A real server on a port of its own that says what a test tells it to say, and keeps what it was asked.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'

export type Asked = {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

/** JSON with a status; `cut` ends the connection without an answer; `silence` never answers; a function does as it likes. */
export type Reply =
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: unknown }
  | 'cut'
  | 'silence'
  | ((response: ServerResponse) => void)

export type TestServer = AsyncDisposable & { readonly url: string; readonly asked: readonly Asked[]; readonly last: () => Asked }

/** Replies are given in turn, the last one again and again; or a function says what to reply to what. */
export async function startServer(replies: readonly Reply[] | ((asked: Asked, count: number) => Reply)): Promise<TestServer> {
  const asked: Asked[] = []
  const replyTo = typeof replies === 'function' ? replies : (_: Asked, count: number) => replies[Math.min(count, replies.length) - 1] ?? { status: 404 }

  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const text = await readText(request)
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://test')
    const one: Asked = {
      method: request.method ?? '',
      path: pathname,
      query: searchParams,
      headers: request.headers,
      body: text === '' ? undefined : request.headers['content-type'] === 'application/json' ? JSON.parse(text) : text,
    }
    asked.push(one)
    give(response, replyTo(one, asked.length))
  }
  const server = createServer((request, response) => void take(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    // Listening on a port, so the address has one.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    last: () => {
      const one = asked.at(-1)
      if (one === undefined) throw new Error('nothing was asked')
      return one
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const problem = (status: number, code: string, more: object = {}, headers: Record<string, string> = {}): Reply => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: { type: `/docs/problems/${code}`, title: code, status, code, detail: `told: ${code}`, retryable: false, request_id: 'req_from_body', ...more },
})

function give(response: ServerResponse, reply: Reply) {
  if (reply === 'silence') return
  if (reply === 'cut') return void response.destroy()
  if (typeof reply === 'function') return reply(response)
  const { status = 200, headers = {}, body = {} } = reply
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(typeof body === 'string' ? body : JSON.stringify(body))
}

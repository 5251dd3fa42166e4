// A real server on a port of its own that says what a test tells it to say, and keeps what it was asked.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'

export type Asked = { readonly call: string; readonly query: string; readonly key: string | undefined; readonly body: unknown }
export type Reply = { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: unknown } | 'cut' | 'silence'
export type TestServer = AsyncDisposable & { readonly url: string; readonly asked: readonly Asked[] }

/** Answers what `replyTo` says to `GET /v1/items` and the like. */
export async function startServer(replyTo: (asked: Asked) => Reply): Promise<TestServer> {
  const asked: Asked[] = []
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const text = await readText(request)
    const { pathname, search } = new URL(request.url ?? '/', 'http://test')
    const key = request.headers['idempotency-key']
    const one: Asked = {
      call: `${request.method} ${pathname}`,
      query: search.slice(1),
      key: Array.isArray(key) ? key[0] : key,
      body: text === '' ? undefined : request.headers['content-type'] === 'application/json' ? JSON.parse(text) : text,
    }
    asked.push(one)

    const reply = replyTo(one)
    if (reply === 'silence') return
    if (reply === 'cut') return void response.destroy()
    const { status = 200, headers = {}, body = {} } = reply
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(typeof body === 'string' ? body : JSON.stringify(body))
  }
  const server = createServer((request, response) => void take(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    // Listening on a port, so the address has one.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const problem = (status: number, code: string, more: object = {}): Reply => ({
  status,
  headers: { 'content-type': 'application/problem+json', 'request-id': 'req_1' },
  body: { type: `/docs/problems/${code}`, title: code, status, code, detail: `told: ${code}`, retryable: false, request_id: 'req_1', ...more },
})

export const list = (data: readonly object[], next: string | null = null): Reply => ({
  body: { object: 'list', data, has_more: next !== null, next_cursor: next },
})

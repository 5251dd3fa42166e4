// One attempt, against receivers that behave as badly as receivers do.
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { limits } from '../../platform/limits.ts'
import { deliverer } from './deliver.ts'
import { newSecret } from './sign.ts'

const receiver = async (answer: RequestListener): Promise<string> => {
  const server = createServer(answer)
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/` // it listens on a port
}

const send = async (url: string, { attemptMs = limits.webhooks.attemptMs, signal = new AbortController().signal } = {}) => {
  const agent = new Agent()
  onTestFinished(() => agent.destroy())
  const started = performance.now()
  const sent = await deliverer({ agent, limits: { ...limits.webhooks, attemptMs } })({
    url,
    id: 'evt_1',
    payload: { type: 'hold.placed' },
    secrets: [newSecret()],
    number: 1,
    signal,
  })
  return { ...sent, tookMs: performance.now() - started }
}

test('a receiver that never answers is given up after its time', async () => {
  const sent = await send(await receiver(() => undefined), { attemptMs: 200 })
  expect(sent).toMatchObject({ delivered: false, attempt: { response_status: null, error: 'there was no answer within 0.2 seconds' } })
  expect(sent.tookMs).toBeLessThan(2_000)
})

test('one that says yes, and then talks slowly and without end, has said yes; it is listened to for its time and no longer', async () => {
  const url = await receiver((_, response) => {
    response.writeHead(200)
    const talk = setInterval(() => response.write('on and on '), 20)
    response.once('close', () => clearInterval(talk))
  })
  const sent = await send(url, { attemptMs: 300 })
  expect(sent).toMatchObject({ delivered: true, attempt: { response_status: 200, error: null } })
  expect(sent.tookMs).toBeLessThan(2_000)
})

test('of an answer without end, so much is read and no more, and the first of it is kept', async () => {
  let written = 0
  const url = await receiver((_, response) => {
    const flood = () => {
      while (!response.destroyed && response.write('x'.repeat(16_384))) written += 16_384
    }
    response.writeHead(500).on('drain', flood)
    flood()
  })
  const { attempt, delivered } = await send(url)
  expect([delivered, attempt.response_status, attempt.response_body]).toEqual([false, 500, 'x'.repeat(1_024)])
  // What was on its way in the machine's own buffers comes on top.
  expect(written).toBeLessThan(8_000_000)
})

test('an answer that is not text is kept as far as a log can keep it', async () => {
  const url = await receiver((_, response) => void response.writeHead(200).end(Buffer.from([0x61, 0x00, 0xff, 0x62])))
  expect((await send(url)).attempt.response_body).toBe('a��b')
})

test('the name that is not there, the port that nobody listens on, and a header that is no header are told in words', async () => {
  expect((await send('http://127.0.0.1:1/')).attempt.error).toBe('the connection was refused')
  const url = await receiver((request) => void request.socket.end('HTTP/1.1 two hundred\r\n\r\n'))
  expect((await send(url)).attempt.error).toMatch(/^the connection/)
})

test('what is given up says so, and is no attempt that failed', async () => {
  const given = new AbortController()
  const sending = send(await receiver(() => given.abort()), { signal: given.signal })
  await expect(sending).rejects.toThrow()
})

// The guard at the door: nothing inside is reached, however a url or its name is made up.
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { request } from 'undici'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { limits } from '../../platform/limits.ts'
import { certificate, key } from './certificate.fixture.ts'
import { doorkeeper, NotCallable, type Resolve } from './address.ts'

/** Something inside that must not be reached. */
let inside: Server
let reached = 0
let port = 0
beforeAll(async () => {
  inside = createServer((_, response) => {
    reached += 1
    response.end('secret')
  })
  await new Promise<void>((resolve) => void inside.listen(0, resolve))
  port = (inside.address() as AddressInfo).port // it listens on a port
})
afterAll(() => {
  inside.closeAllConnections()
  inside.close()
})

const nobody: Resolve = (name) => Promise.reject(new Error(`${name} was not to be looked up`))
const door = ({ resolve = nobody, allowPrivate = [], allowHttp = true }: { resolve?: Resolve; allowPrivate?: string[]; allowHttp?: boolean } = {}) => {
  const made = doorkeeper({ allowHttp, allowPrivate, resolve, limits: limits.webhooks })
  onTestFinished(() => made.agent.destroy())
  return made
}
const call = async (made: ReturnType<typeof door>, url: string): Promise<string> => (await request(url, { dispatcher: made.agent })).body.text()

test.each([
  'http://127.0.0.1',
  'http://2130706433',
  'http://0x7f.1',
  'http://0177.0.0.1',
  'http://127.1',
  'http://[::1]',
  'http://[::ffff:127.0.0.1]',
  'http://[::ffff:7f00:1]',
  'http://localhost',
  'http://LOCALHOST.',
  'http://anything.localhost',
  'http://0.0.0.0',
  'http://[::]',
])('%s is refused when it is saved, and when it is called all the same', async (url) => {
  const made = door()
  const before = reached
  expect(await made.faultOf(`${url}:${port}/`)).toContain('does not lead to public addresses')
  await expect(call(made, `${url}:${port}/`)).rejects.toThrow(NotCallable)
  expect(reached).toBe(before)
})

test('a name that leads inside is refused, and so is one that leads there among other places', async () => {
  const before = reached
  for (const addresses of [['127.0.0.1'], ['8.8.8.8', '127.0.0.1'], ['::ffff:127.0.0.1'], ['2002:7f00:1::'], ['2606:4700::1111', 'fd00::1']]) {
    const made = door({ resolve: async () => addresses })
    expect(await made.faultOf(`http://shop.example:${port}/`)).toContain('does not lead to public addresses')
    await expect(call(made, `http://shop.example:${port}/`)).rejects.toThrow(NotCallable)
  }
  expect(reached).toBe(before)
})

test('a name that leads to a public place when it is saved, and inside when it is called, is not called', async () => {
  const before = reached
  let asked = 0
  const made = door({ resolve: async () => ((asked += 1) === 1 ? ['8.8.8.8'] : ['127.0.0.1']) })
  expect(await made.faultOf('http://rebinding.example:8080/')).toBeUndefined()
  await expect(call(made, 'http://rebinding.example:8080/')).rejects.toThrow(NotCallable)
  expect(asked).toBe(2)
  expect(reached).toBe(before)
})

test('the address that was judged is the one that is called: the name is not looked up again in between', async () => {
  let asked = 0
  // Were it looked up once more, it would lead nowhere.
  const made = door({ allowPrivate: ['127.0.0.1/32'], resolve: async () => ((asked += 1) === 1 ? ['127.0.0.1'] : ['192.0.2.1']) })
  const before = reached
  expect(await call(made, `http://shop.example:${port}/`)).toBe('secret')
  expect([asked, reached]).toEqual([1, before + 1])
})

test('what an operator has named is called, by its address or its name, and nothing beside it', async () => {
  const made = door({ allowPrivate: ['127.0.0.0/30'], resolve: async (name) => (name === 'in.example' ? ['127.0.0.2'] : ['127.0.0.9']) })
  const before = reached
  for (const host of ['127.0.0.1', 'in.example', 'localhost', '[::ffff:127.0.0.1]']) expect(await call(made, `http://${host}:${port}/`), host).toBe('secret')
  await expect(call(made, `http://127.0.0.9:${port}/`)).rejects.toThrow(NotCallable)
  await expect(call(made, `http://out.example:${port}/`)).rejects.toThrow(NotCallable)
  expect(reached).toBe(before + 4)
})

test('an address that does not answer is passed over for the next one of the name', async () => {
  const made = door({ allowPrivate: ['127.0.0.0/8'], resolve: async () => ['127.0.0.1', '127.0.0.2'] })
  const second = createServer((_, response) => void response.end('second'))
  await new Promise<void>((resolve) => void second.listen(0, '127.0.0.2', resolve))
  onTestFinished(() => void second.close())
  const { port: itsPort } = second.address() as AddressInfo // it listens on a port
  expect(await call(made, `http://shop.example:${itsPort}/`)).toBe('second')
  second.closeAllConnections()
})

test('whoever answers at an address must have the certificate of the name that was asked for, not of the address', async () => {
  const before = getCACertificates('default')
  const receiver = createTlsServer({ cert: certificate, key }, (_, response) => void response.end('the shop'))
  await new Promise<void>((resolve) => void receiver.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    setDefaultCACertificates(before)
    receiver.closeAllConnections()
    receiver.close()
  })
  const { port: its } = receiver.address() as AddressInfo // it listens on a port
  const made = () => door({ allowPrivate: ['127.0.0.0/8'], allowHttp: false, resolve: async () => ['127.0.0.1'] })

  await expect(call(made(), `https://shop.example:${its}/`)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  setDefaultCACertificates([...before, certificate])
  expect(await call(made(), `https://shop.example:${its}/`)).toBe('the shop')
  await expect(call(made(), `https://other.example:${its}/`)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  await expect(call(made(), `https://127.0.0.1:${its}/`)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
})

test('public places are called on the ports of web servers, and on no other', async () => {
  const made = door({ resolve: async () => ['8.8.8.8'] })
  for (const good of ['https://shop.example/', 'https://shop.example:8443/', 'http://shop.example:80/', 'https://8.8.8.8:9999/'])
    expect(await made.faultOf(good), good).toBeUndefined()
  for (const wrong of ['https://shop.example:22/', 'https://shop.example:25/', 'https://8.8.8.8:6379/', 'https://8.8.8.8:11211/'])
    expect(await made.faultOf(wrong), wrong).toContain('is none that webhooks are sent to')
})

test('a url without its locks, or with more in it than an address, is refused', async () => {
  const made = door({ allowHttp: false, resolve: async () => ['8.8.8.8'] })
  for (const wrong of ['http://shop.example/', 'ftp://shop.example/', 'https://me:pass@shop.example/', 'https://shop.example/#there', 'shop.example', ''])
    expect(await made.faultOf(wrong), wrong).toBeTypeOf('string')
  expect(await made.faultOf('https://shop.example/hooks?shop=1')).toBeUndefined()
})

test('a name that nobody knows yet may be saved: it is looked up again whenever it is called', async () => {
  const made = door()
  expect(await made.faultOf('https://soon.example/')).toBeUndefined()
  await expect(call(made, 'https://soon.example/')).rejects.toThrow('was not to be looked up')
})

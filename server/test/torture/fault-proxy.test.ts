import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../support/until.ts'
import { faultProxy } from './fault-proxy.ts'

/** An echo behind the proxy, and somebody who talks to it. */
const line = async () => {
  const ends: string[] = []
  const heard: string[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      heard.push(chunk.toString())
      if (socket.writable) socket.write(chunk)
    })
    socket.on('end', () => ends.push('server'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await faultProxy({ target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, random: () => 0.5 })
  const callers: Socket[] = []
  onTestFinished(async () => {
    for (const socket of callers) socket.destroy()
    await proxy.close()
    server.close()
  })
  const call = () => {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
    callers.push(socket)
    const said = { text: '', closed: false, ended: false, error: '' }
    socket.on('data', (chunk) => (said.text += chunk.toString()))
    socket.on('end', () => (said.ended = true))
    socket.on('close', () => (said.closed = true))
    socket.on('error', (error: NodeJS.ErrnoException) => (said.error = error.code ?? ''))
    return { socket, said }
  }
  return { proxy, call, heard, ends }
}

test('a proxy without a fault passes everything on as it was said', async () => {
  const { call } = await line()
  const { socket, said } = call()
  const text = 'all of it, in order '.repeat(100_000)
  socket.write(text)
  await until('the echo has come back', () => said.text.length === text.length)
  expect(said.text === text).toBe(true)
})

test('what is delayed arrives later, and in the order in which it was said', async () => {
  const { proxy, call } = await line()
  const { socket, said } = call()
  await until('it is connected', () => proxy.connections() === 1)
  proxy.fault({ kind: 'delay', ms: 100, jitterMs: 100 })
  const from = performance.now()
  for (const word of ['a', 'b', 'c', 'd']) socket.write(word)
  await until('the echo has come back', () => said.text === 'abcd')
  // Once there, once back.
  expect(performance.now() - from).toBeGreaterThan(200)
})

test('what was stalled arrives when the fault ends, and nobody was told of it', async () => {
  const { proxy, call, heard } = await line()
  const { socket, said } = call()
  proxy.fault({ kind: 'stall', directions: ['back'] })
  socket.write('are you there?')
  await until('the server has heard it', () => heard.length === 1)
  expect(said).toEqual({ text: '', closed: false, ended: false, error: '' })
  proxy.heal()
  await until('the answer has come', () => said.text === 'are you there?')
})

test('a cut ends a connection in the middle of a message, and lets new ones through', async () => {
  const { proxy, call, heard } = await line()
  const { socket, said } = call()
  await until('it is connected', () => proxy.connections() === 1)
  proxy.fault({ kind: 'cut', afterBytes: 4, direction: 'there' })
  socket.write('transfer 100 to Bob')
  await until('the connection is gone', () => said.closed)
  expect(heard.join('')).not.toContain('Bob')
  expect(said.error).toBe('ECONNRESET')
  proxy.heal()
  const again = call()
  again.socket.write('hello')
  await until('the answer has come', () => again.said.text === 'hello')
  expect(proxy.connections()).toBe(1)
})

test('one that is closed one way still speaks the other way', async () => {
  const { proxy, call, ends } = await line()
  const { socket, said } = call()
  socket.write('one')
  await until('the answer has come', () => said.text === 'one')
  proxy.fault({ kind: 'half-close', direction: 'there' })
  await until('the server believes that all was said', () => ends.length === 1)
  expect([said.ended, said.closed]).toEqual([false, false])
})

test('a narrow line lets little through at a time, and in the end all of it', async () => {
  const { proxy, call } = await line()
  const { socket, said } = call()
  proxy.fault({ kind: 'bandwidth', bytesPerSecond: 5_000 })
  socket.write('x'.repeat(1_500))
  await until('some of the answer has come', () => said.text.length > 0)
  expect(said.text.length).toBeLessThan(1_500)
  await until('all of the answer has come', () => said.text.length === 1_500)
})

test('a line that refuses closes what there is and what comes', async () => {
  const { proxy, call } = await line()
  const { said } = call()
  await until('it is connected', () => proxy.connections() === 1)
  proxy.fault({ kind: 'refuse' })
  await until('the connection is gone', () => said.closed)
  const again = call()
  await until('and so is the next one', () => again.said.closed)
})

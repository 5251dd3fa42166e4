// What is wrong with RabbitMQ, as its management API tells it: a real broker, with queues that nobody takes from.
import { expect, test, vi } from 'vitest'
import { until } from '../../../test/support/until.ts'
import type { PartState } from '../service.ts'
import { reasonOf } from './component.ts'
import { hasRabbit } from '../../../test/support/rabbit.ts'
import { startManagedRabbit } from '../../../test/support/rabbit-management.ts'
import { rabbitLook } from './rabbitmq.ts'

vi.setConfig({ testTimeout: 120_000 })

test.skipIf(!hasRabbit)('queues that nobody takes from, what was parked, alarms and the end of the broker are told; other queues are not ours', async () => {
  const broker = await startManagedRabbit()
  let connection: PartState = { state: 'up', why: null }
  const look = (url: string, prefix = 'holdfast') => {
    const { ask, unanswered } = rabbitLook({ url, prefix, connection: () => connection, limits: { depth: 1_000, queues: 100, answerBytes: 1_000_000 } })
    return () => ask(AbortSignal.timeout(5_000)).catch((error: unknown) => unanswered?.(reasonOf(error)))
  }
  const found = look(broker.url)
  /** The API tells numbers some seconds after they have changed. */
  const comes = (why: string | null) => until(`it says ${why}`, async () => JSON.stringify(await found()).includes(JSON.stringify(why)), { withinMs: 60_000 })
  const queue = (name: string) => broker.api('PUT', `/queues/${encodeURIComponent('/')}/${name}`, { durable: true })
  const publish = (name: string) =>
    broker.api('POST', `/exchanges/${encodeURIComponent('/')}/amq.default/publish`, {
      properties: {},
      routing_key: name,
      payload: 'x',
      payload_encoding: 'string',
    })

  await queue('holdfastish.events.mail')
  expect(await found()).toEqual({ state: 'up', why: null })

  await queue('holdfast.commands.items')
  await publish('holdfast.commands.items')
  await comes('nobody takes from holdfast.commands.items, where 1 messages wait')
  expect(await found()).toMatchObject({ state: 'degraded' })

  await broker.api('DELETE', `/queues/${encodeURIComponent('/')}/holdfast.commands.items`)
  await queue('holdfast.parking')
  await comes(null)
  await publish('holdfast.parking')
  await publish('holdfast.parking')
  await comes('2 messages that could not be worked on are in holdfast.parking')

  connection = { state: 'down', why: 'ACCESS_REFUSED' }
  await comes('2 messages that could not be worked on are in holdfast.parking; this process is not connected to it: ACCESS_REFUSED')
  expect(await found()).toMatchObject({ state: 'degraded' })
  connection = { state: 'up', why: null }

  await broker.control('set_vm_memory_high_watermark', '0.0000001')
  await comes('an alarm for memory or disk: it takes no messages until there is room again')
  expect(await found()).toMatchObject({ state: 'down' })

  // Who cannot ask the API knows nothing of the messages; that none are taken is known from the connection.
  expect(await look(broker.url.replace('guest:guest', 'guest:wrong'))()).toEqual({
    state: 'degraded',
    why: 'it cannot be asked: the management API answered 401 to GET /health/checks/alarms',
  })
  await broker.kill()
  expect(await found()).toEqual({ state: 'degraded', why: expect.stringMatching(/^it cannot be asked: .*(ECONNREFUSED|ECONNRESET)/) })
  connection = { state: 'down', why: 'the connection was closed' }
  expect(await found()).toEqual({ state: 'down', why: expect.stringMatching(/^the connection was closed; nor can it be asked: .*(ECONNREFUSED|ECONNRESET)/) })
})

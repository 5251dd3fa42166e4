// Commands in their queues: none is lost with the process that took it, and one that ends every process that takes it does not keep
// the others from being done.
import { describe, expect, onTestFinished, test } from 'vitest'
import { hasRabbit, openRabbit } from '../../test/support/rabbit.ts'
import { until } from '../../test/support/until.ts'
import { limits } from '../platform/limits.ts'
import { rabbit } from './rabbit.ts'
import { commandQueues, rabbitCommands, type Delivery } from './rabbit-commands.ts'
import { NotTaken } from './rabbit-publisher.ts'

describe.skipIf(!hasRabbit)('commands', async () => {
  if (!hasRabbit) return
  const { url } = await openRabbit()

  const openCommands = async (prefix: string, given: Partial<typeof limits.rabbit> | object = {}) => {
    const own = { ...limits.rabbit, reconnect: { firstWaitMs: 10, longestWaitMs: 50 }, retry: { firstWaitMs: 5, longestWaitMs: 50 }, ...given }
    const faults: unknown[] = []
    const onFault = (error: unknown) => void faults.push(error)
    const broker = rabbit({ urls: [url], prefix, consumers: [], commands: commandQueues, limits: own, onFault })
    broker.start()
    onTestFinished(() => broker.stop())
    await until('RabbitMQ is there', () => broker.state().state === 'up')
    return { broker, commands: rabbitCommands({ rabbit: broker, prefix, limits: own, onFault }), faults }
  }
  const command = (operation: string) => ({ operation, content: Buffer.from(operation), headers: {} })
  const textOf = ({ content }: Delivery) => content.toString()

  test('each operation comes to its queue, and one that could not be done now comes again', async () => {
    const { commands } = await openCommands('lead')
    const taken: string[] = []
    let isAway = true
    commands.consume('items', async (delivery) => void taken.push(`items ${textOf(delivery)}`))
    commands.consume('orders', async (delivery) => void taken.push(`orders ${textOf(delivery)}`))
    commands.consume('stock', async (delivery) => {
      if (isAway && textOf(delivery) === 'counts.approve') {
        isAway = false
        throw new Error('not now')
      }
      taken.push(`stock ${textOf(delivery)}`)
    })

    for (const operation of ['locations.create', 'counts.approve', 'inbound_shipments.receive', 'holds.place', 'orders.create'])
      await commands.send(command(operation))

    await until('all were taken', () => taken.length === 5)
    expect(taken.toSorted()).toEqual(
      ['items locations.create', 'stock counts.approve', 'stock inbound_shipments.receive', 'orders holds.place', 'orders orders.create'].toSorted(),
    )
  })

  test('what leads to no queue is parked where it is seen, and an answer that nobody waits for is no fault', async () => {
    const { commands } = await openCommands('astray')
    const parked: Delivery[] = []
    commands.consumeParked(async (delivery) => void parked.push(delivery))

    await commands.send(command('weather.change'))

    await until('it was parked', () => parked.length === 1)
    expect(parked[0]).toMatchObject({ routingKey: 'weather.change', from: undefined, died: undefined })
    expect(await commands.reply({ to: 'gone', correlationId: undefined, content: '{}', contentType: 'application/json' })).toBe(false)
    const unspeakable = { to: 'é'.repeat(255), correlationId: undefined, content: '{}', contentType: 'application/json' }
    expect(await commands.reply(unspeakable)).toBe(false)
    await expect(commands.sendAgain('commands.nobody', { content: Buffer.from('x'), headers: {} })).rejects.toThrow(NotTaken)
  })

  test('one that ends every process that takes it is found among its neighbours, and they are done', async () => {
    const { broker, commands, faults } = await openCommands('deadly', { deliveries: 4 })
    const done: string[] = []
    const hopeless: string[] = []
    let deaths = 0
    // All are there before anybody takes them.
    for (const name of ['1', '2', 'deadly', '4', '5']) await commands.send({ ...command('holds.place'), content: Buffer.from(name) })
    commands.consume('orders', async (delivery) => {
      const text = textOf(delivery)
      if (delivery.isHopeless) return void hopeless.push(text)
      if (text === 'deadly') {
        // The process is gone, with all that it had taken and not answered.
        deaths += 1
        broker.renew('died')
        return new Promise<never>((_, reject) => delivery.over.addEventListener('abort', () => reject(new Error('dead'))))
      }
      // Work takes its time: nobody has answered when the process ends, unless it was alone.
      if (deaths < 2) await new Promise<void>((resolve) => delivery.over.addEventListener('abort', () => resolve()))
      delivery.over.throwIfAborted()
      done.push(text)
    })

    await until('the deadly one was found', () => hopeless.length > 0)
    await until('the others were done', () => new Set(done).size === 4)

    expect(hopeless).toEqual(['deadly'])
    expect([...new Set(done)].toSorted()).toEqual(['1', '2', '4', '5'])
    expect(deaths).toBe(4)
    expect(faults.length).toBeGreaterThan(0)
  })

  test('RabbitMQ parks by itself what is never answered, and says from which queue and why', async () => {
    const { broker, commands } = await openCommands('limit', { brokerDeliveries: 3, deliveries: 100 })
    const parked: Delivery[] = []
    commands.consumeParked(async (delivery) => void parked.push(delivery))
    commands.consume('orders', async (delivery) => {
      broker.renew('died')
      return new Promise<never>((_, reject) => delivery.over.addEventListener('abort', () => reject(new Error('dead'))))
    })

    await commands.send(command('holds.place'))

    await until('it was parked', () => parked.length === 1)
    expect(parked[0]).toMatchObject({ from: 'limit.commands.orders', died: 'delivery_limit', routingKey: 'holds.place' })
    expect(textOf(parked[0] as Delivery)).toBe('holds.place')
  })
})

// What becomes of events when RabbitMQ dies, hangs, is full or has lost a queue: they are told later, in their order, and none is lost.
import { anEvent } from '../../test/support/event.ts'
import { beforeAll, describe, expect, test } from 'vitest'
import { hasRabbit, startRabbit, type OwnRabbit } from '../../test/support/rabbit.ts'
import { Passing, rabbitBusOn, type TestBus } from '../../test/support/rabbit-bus.ts'
import { until } from '../../test/support/until.ts'
import type { WrittenEvent } from '../domain/event.ts'
import type { Bus } from './bus.ts'
import { NotTaken } from './rabbit-publisher.ts'

describe.skipIf(!hasRabbit)('RabbitMQ', () => {
  let broker: OwnRabbit
  beforeAll(async () => {
    broker = await startRabbit()
  }, 120_000)

  test('a broker that is killed again and again loses nothing, and everything is first heard in its order', async () => {
    const { bus, rabbit } = await rabbitBusOn(broker.url)
    const told = listener(bus)
    await until('the queue is on the disk', () => broker.hasWritten(rabbit.names.eventsOf('mail')))
    let isOver = false
    let last = 0
    const telling = (async () => {
      for (; !isOver; last += 100) await tellAll(bus, last + 100, last + 1)
    })()

    for (let kills = 0; kills < 2; kills += 1) {
      const before = told.length
      await until('some were told', () => told.length >= before + 50, { withinMs: 60_000 })
      await broker.kill()
      await broker.start()
    }
    isOver = true
    await telling

    await until('all were told', () => told.includes(last), { withinMs: 60_000 })
    expect([...new Set(told)]).toEqual(Array.from({ length: last }, (_, n) => n + 1))
    expect(rabbit.reconnections()).toBeGreaterThan(0)
  }, 240_000)

  test('a broker that hangs is noticed by the confirm that does not come, and left; when it goes on, so do we', async () => {
    const { bus, rabbit } = await rabbitBusOn(broker.url, { limits: { confirmMs: 300, connectMs: 300 } })
    const told = listener(bus)
    await bus.publish([anEvent(1)])
    await broker.pause()
    try {
      await expect(bus.publish([anEvent(2)])).rejects.toThrow('no confirm within 300 ms')
      await until('it is known to be away', () => rabbit.state().state === 'down')
      await expect(bus.publish([anEvent(2)])).rejects.toThrow('does not take messages')
      expect(rabbit.unconfirmed()).toBe(0)
    } finally {
      broker.resume()
    }

    await tellAll(bus, 3)

    await until('all were told', () => told.includes(3))
    expect([...new Set(told)]).toEqual([1, 2, 3])
  })

  test('a broker whose disk is full takes nothing, and is sent nothing, until it has room again; who consumes goes on', async () => {
    const { bus, rabbit } = await rabbitBusOn(broker.url, { limits: { confirmMs: 300 } })
    let isOpen = false
    const told = listener(bus, () => isOpen || Promise.reject(new Passing('the mail is closed')))
    await bus.publish([anEvent(1)])
    await broker.control('set_disk_free_limit', '1000000GB')
    try {
      // It says so to whoever publishes.
      await until(
        'it is blocked',
        async () => (await bus.publish([anEvent(2)]).catch(String)) !== undefined && rabbit.state().why?.includes('blocked') === true,
      )
      await expect(bus.publish([anEvent(2)])).rejects.toThrow('blocked')
      await until('nothing waits here', () => rabbit.unconfirmed() === 0)
      isOpen = true
      await until('what was there was taken', () => told.includes(1))
    } finally {
      await broker.control('set_disk_free_limit', '50MB')
    }

    await until('it takes messages again', () => rabbit.state().state === 'up')
    await tellAll(bus, 3)

    await until('all were told', () => told.includes(3))
    expect([...new Set(told)]).toEqual([1, 2, 3])
  }, 120_000)

  test('an event that has no queue is not told, whatever the broker confirms; the queue is made again, and it is told', async () => {
    const { bus, rabbit } = await rabbitBusOn(broker.url)
    await broker.control('delete_queue', rabbit.names.eventsOf('mail'))

    await expect(bus.publish([anEvent(1)])).rejects.toThrow(NotTaken)
    await bus.publish([anEvent(1)])

    const told = listener(bus)
    await until('it was told', () => told.length > 0)
    expect(told).toEqual([1])
  })

  test('an event that fails for its own sake is parked with its reason, and those behind it go on in their order', async () => {
    const { bus, parked } = await rabbitBusOn(broker.url)
    let tries = 0
    const told = listener(bus, ({ sequence }) => {
      if (sequence !== 3) return true
      tries += 1
      throw new TypeError('three is no number')
    })

    await bus.publish([1, 2, 3, 4, 5].map(anEvent))

    await until('those behind it were told', () => told.includes(5))
    expect([...new Set(told)]).toEqual([1, 2, 4, 5])
    expect(parked).toMatchObject([{ queue: 'events.mail', operation: 'item.created', reason: 'TypeError: three is no number', attempts: 5 }])
    expect(JSON.parse(parked[0]?.message ?? '')).toEqual(anEvent(3))
    // Once together with the others, then by itself.
    expect(tries).toBe(6)
  })

  test('what is no event, or one that was cut off, is parked as a text, and those behind it go on', async () => {
    const { bus, rabbit, parked } = await rabbitBusOn(broker.url)
    const told = listener(bus)
    for (const [n, text] of ['no json', '{"type":"item.cre', '[1]'].entries())
      await rabbit.publish([{ exchange: rabbit.names.events, routingKey: 'item.created', content: Buffer.from(text), properties: { messageId: `own-${n}` } }])

    await bus.publish([anEvent(1)])

    await until('what is behind it was told', () => told.includes(1))
    expect(parked.map(({ message }): unknown => JSON.parse(message))).toEqual(['no json', '{"type":"item.cre', '[1]'])
    expect(parked[0]).toMatchObject({ queue: 'events.mail', messageId: 'own-0', reason: 'this is no event of the ledger', attempts: 1 })
  })

  test('what is away for long is waited for: nothing is parked, and nothing overtakes', async () => {
    const { bus, parked } = await rabbitBusOn(broker.url)
    let tries = 0
    const told = listener(bus, () => {
      tries += 1
      if (tries <= 20) throw new Passing('the database is away')
      return true
    })

    await bus.publish([1, 2, 3].map(anEvent))

    await until('all were told', () => told.includes(3))
    expect(told).toEqual([1, 2, 3])
    expect(parked).toEqual([])
  })

  test('of two processes one consumes; when it goes, the other one goes on where it was', async () => {
    const prefix = `two${process.pid}`
    const [one, other] = [await rabbitBusOn(broker.url, { prefix }), await rabbitBusOn(broker.url, { prefix })]
    const took: string[] = []
    const told: number[] = []
    const consume = ({ bus }: TestBus, name: string) =>
      bus.subscribe('mail', async (events) => {
        await Promise.resolve()
        took.push(name)
        told.push(...events.map(({ sequence }) => sequence))
      })
    consume(one, 'one')
    await tellAll(other.bus, 20)
    await until('they were told', () => told.includes(20))
    consume(other, 'other')
    await tellAll(other.bus, 40, 21)
    await until('they were told', () => told.includes(40))
    expect(new Set(took)).toEqual(new Set(['one']))

    const telling = tellAll(other.bus, 400, 41)
    await until('some were told', () => told.length > 60)
    await one.stop()
    await telling

    await until('all were told', () => told.includes(400))
    expect([...new Set(told)]).toEqual(Array.from({ length: 400 }, (_, n) => n + 1))
    expect(new Set(took)).toEqual(new Set(['one', 'other']))
  })
})

/** Tells as the relay does: in order, a few at a time, and again from where it failed. */
const tellAll = async (bus: Bus, last: number, first = 1): Promise<void> => {
  for (let next = first; next <= last;) {
    const some = Array.from({ length: Math.min(10, last - next + 1) }, (_, n) => anEvent(next + n))
    try {
      await bus.publish(some)
      next += some.length
    } catch {
      await until('the bus takes messages', () => bus.publish([]).then(yes, no), { withinMs: 60_000 })
    }
  }
}
const yes = () => true
const no = () => false

const listener = (bus: Bus, takes: (event: WrittenEvent) => boolean | Promise<boolean> = () => true): number[] => {
  const told: number[] = []
  bus.subscribe('mail', async (events) => {
    for (const each of events) {
      await takes(each)
      told.push(each.sequence)
    }
  })
  return told
}

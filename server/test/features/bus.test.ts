// What every bus does, whichever it is: the one of a single process, and RabbitMQ.
import { anEvent } from '../support/event.ts'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { WrittenEvent } from '../../src/domain/event.ts'
import type { Bus } from '../../src/messaging/bus.ts'
import { memoryBus } from '../../src/messaging/memory-bus.ts'
import { hasRabbit, openRabbit } from '../support/rabbit.ts'
import { Passing, rabbitBusOn } from '../support/rabbit-bus.ts'
import { until } from '../support/until.ts'

type Variant = {
  readonly name: string
  readonly isHere: boolean
  /** A bus whose consumers are mail and search. */
  readonly open: () => Promise<Bus>
}

let url = ''
const variants: readonly Variant[] = [
  { name: 'the bus of one process', isHere: true, open: async () => memoryBus() },
  { name: 'RabbitMQ', isHere: hasRabbit, open: async () => (await rabbitBusOn(url, { consumers: ['mail', 'search'] })).bus },
]
beforeAll(async () => {
  if (hasRabbit) ({ url } = await openRabbit())
}, 120_000)

describe.each(variants)('$name', ({ isHere, open }) => {
  test.skipIf(!isHere)('every consumer is told every event, in order', async () => {
    const bus = await open()
    const mail = listener(bus, 'mail')
    const search = listener(bus, 'search')

    await bus.publish([anEvent(1), anEvent(2)])
    await bus.publish([anEvent(3)])

    await until('both were told', () => mail.length === 3 && search.length === 3)
    expect(mail).toEqual([1, 2, 3])
    expect(search).toEqual([1, 2, 3])
  })

  test.skipIf(!isHere)('an event arrives as it was told', async () => {
    const bus = await open()
    const told: WrittenEvent[] = []
    bus.subscribe('mail', async (events) => void told.push(...events))
    const written = { ...anEvent(7), data: { sku: 'TEA-1', words: 'Grün & 茶', nothing: null }, occurredAt: 1_764_000_000_123 }

    await bus.publish([written])

    await until('it was told', () => told.length === 1)
    expect(told).toEqual([written])
  })

  test.skipIf(!isHere)('what a consumer cannot take is not lost: it is told again, and nothing after it before', async () => {
    const bus = await open()
    const told: number[] = []
    let isFull = true
    bus.subscribe('mail', async (events) => {
      if (isFull) throw new Passing('the mail is full')
      told.push(...events.map(({ sequence }) => sequence))
    })
    const tell = async () => {
      // As the relay does: what may not be safe is told again.
      for (;;)
        try {
          return await bus.publish([anEvent(1), anEvent(2), anEvent(3)])
        } catch {
          isFull = false
        }
    }

    await tell()
    isFull = false

    await until('it was told', () => told.length === 3)
    expect(told).toEqual([1, 2, 3])
  })

  test.skipIf(!isHere)('who has gone is told nothing more, and the place is free again', async () => {
    const bus = await open()
    const first: number[] = []
    const leave = bus.subscribe('mail', async (events) => void first.push(...events.map(({ sequence }) => sequence)))
    await bus.publish([anEvent(1)])
    await until('it was told', () => first.length === 1)

    leave()
    const second = listener(bus, 'mail')
    await bus.publish([anEvent(2)])

    await until('the other was told', () => second.includes(2))
    expect(first).toEqual([1])
    expect(second).toEqual([2])
  })

  test.skipIf(!isHere)('whoever overhears is told that they may have missed something, and everything from then on', async () => {
    const bus = await open()
    const [one, other] = [overhearer(bus), overhearer(bus)]
    const mail = listener(bus, 'mail')
    await until('both hear', () => one.length === 1 && other.length === 1)
    expect(await bus.isHeard()).toBe(true)

    await bus.publish([anEvent(1), anEvent(2)])

    await until('all were told', () => one.length === 3 && other.length === 3 && mail.length === 2)
    expect(one).toEqual(['missed', 1, 2])
    expect(other).toEqual(['missed', 1, 2])
  })

  test.skipIf(!isHere)('whoever overhears holds nobody up, and hears no more once they have gone', async () => {
    const bus = await open()
    const said: unknown[] = []
    const leave = bus.overhear({ take: () => said.push('one'), missed: () => said.push('missed') })
    const mail = listener(bus, 'mail')
    await until('it hears', () => said.length === 1)
    await bus.publish([anEvent(1)])
    await until('both were told', () => said.length === 2 && mail.length === 1)

    leave()
    // Whatever is told from now on passes whoever overhears before this one, who came later.
    const later = overhearer(bus)
    await until('the later one hears', () => later.length === 1)
    await bus.publish([anEvent(2)])

    await until('the later one was told', () => later.includes(2) && mail.length === 2)
    expect(said).toEqual(['missed', 'one'])
  })
})

describe('the bus of one process', () => {
  test('one consumer after the other is told, and what one refuses is said to the teller', async () => {
    const bus = memoryBus()
    const told: string[] = []
    bus.subscribe('mail', async (events) => {
      await Promise.resolve()
      for (const { sequence } of events) told.push(`mail ${sequence}`)
    })
    bus.subscribe('search', async (events) => {
      for (const { sequence } of events) told.push(`search ${sequence}`)
    })
    await bus.publish([anEvent(1), anEvent(2)])
    expect(told).toEqual(['mail 1', 'mail 2', 'search 1', 'search 2'])

    bus.subscribe('print', async () => {
      throw new Error('there is no paper')
    })

    await expect(bus.publish([anEvent(3)])).rejects.toThrow('there is no paper')
  })

  test('it is heard when one of its consumers would do something with what it hears', async () => {
    const bus = memoryBus()
    let open = false
    expect(await bus.isHeard()).toBe(false)
    bus.subscribe(
      'mail',
      async () => undefined,
      async () => open,
    )
    expect(await bus.isHeard()).toBe(false)

    open = true

    expect(await bus.isHeard()).toBe(true)
  })

  test('it has one consumer of a name', () => {
    const bus = memoryBus()
    bus.subscribe('mail', async () => undefined)
    expect(() => bus.subscribe('mail', async () => undefined)).toThrow('one consumer mail')
  })
})

const listener = (bus: Bus, name: string): number[] => {
  const told: number[] = []
  const leave = bus.subscribe(name, async (events) => {
    await Promise.resolve()
    for (const { sequence } of events) told.push(sequence)
  })
  onTestFinished(leave)
  return told
}

const overhearer = (bus: Bus): (number | 'missed')[] => {
  const heard: (number | 'missed')[] = []
  onTestFinished(
    bus.overhear({
      take: (events) => void heard.push(...events.map(({ sequence }) => sequence)),
      missed: () => void heard.push('missed'),
    }),
  )
  return heard
}

// The bus of a single process.
import { expect, test } from 'vitest'
import type { WrittenEvent } from '../domain/event.ts'
import { memoryBus } from './memory-bus.ts'

test('every listener is told every event, in order, one listener after the other', async () => {
  const bus = memoryBus()
  const told: string[] = []
  bus.subscribe('mail', async (events) => {
    await Promise.resolve()
    for (const { sequence } of events) told.push(`mail ${sequence}`)
  })
  bus.subscribe('search', async (events) => {
    for (const { sequence } of events) told.push(`search ${sequence}`)
  })

  await bus.publish([event(1), event(2)])

  expect(told).toEqual(['mail 1', 'mail 2', 'search 1', 'search 2'])
})

test('what a listener refuses is said to the teller', async () => {
  const bus = memoryBus()
  bus.subscribe('mail', async () => {
    throw new Error('the mail is full')
  })

  await expect(bus.publish([event(1), event(2), event(3)])).rejects.toThrow('the mail is full')
})

test('a bus is heard when one of its listeners would do something with what it hears', async () => {
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

test('who has gone is told nothing more, and the place is free again', async () => {
  const bus = memoryBus()
  const told: number[] = []
  const leave = bus.subscribe('mail', async (events) => {
    for (const { sequence } of events) told.push(sequence)
  })
  expect(await bus.isHeard()).toBe(true)
  expect(() => bus.subscribe('mail', async () => undefined)).toThrow('one consumer mail')

  await bus.publish([event(1)])
  leave()
  await bus.publish([event(2)])

  expect(told).toEqual([1])
  expect(await bus.isHeard()).toBe(false)
  bus.subscribe('mail', async () => undefined)
})

const event = (sequence: number): WrittenEvent => ({
  sequence,
  type: 'item.created',
  subject: { kind: 'item', id: 'TEA-1', version: 1 },
  actor: 'key_shop',
  requestId: 'req_test',
  data: {},
  occurredAt: 0,
})

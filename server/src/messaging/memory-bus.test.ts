// The bus of a single process.
import { expect, test } from 'vitest'
import type { WrittenEvent } from '../domain/event.ts'
import { memoryBus } from './memory-bus.ts'

test('every listener is told every event, one after the other', async () => {
  const bus = memoryBus()
  const told: string[] = []
  bus.subscribe('mail', async ({ sequence }) => {
    await Promise.resolve()
    told.push(`mail ${sequence}`)
  })
  bus.subscribe('search', async ({ sequence }) => void told.push(`search ${sequence}`))

  await bus.publish([event(1), event(2)])

  expect(told).toEqual(['mail 1', 'search 1', 'mail 2', 'search 2'])
})

test('what a listener refuses is said to the teller, and nothing after it is told', async () => {
  const bus = memoryBus()
  const told: number[] = []
  bus.subscribe('mail', async ({ sequence }) => {
    if (sequence === 2) throw new Error('the mail is full')
    told.push(sequence)
  })

  await expect(bus.publish([event(1), event(2), event(3)])).rejects.toThrow('the mail is full')

  expect(told).toEqual([1])
})

test('who has gone is told nothing more, and the place is free again', async () => {
  const bus = memoryBus()
  const told: number[] = []
  expect(bus.isHeard()).toBe(false)
  const leave = bus.subscribe('mail', async ({ sequence }) => void told.push(sequence))
  expect(bus.isHeard()).toBe(true)
  expect(() => bus.subscribe('mail', async () => undefined)).toThrow('one consumer mail')

  await bus.publish([event(1)])
  leave()
  await bus.publish([event(2)])

  expect(told).toEqual([1])
  expect(bus.isHeard()).toBe(false)
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

// A role that takes commands and finishes none says so: whoever is paged is not to find it well.
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import type { Delivery, RabbitCommands } from '../../messaging/rabbit-commands.ts'
import type { PartState } from '../service.ts'
import { commands } from './commands.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

const PLACES = 2
const nobody = { caller: undefined, sentAt: undefined, isSealed: false, requestId: 'test' }
const minutes = (count: number) => vi.advanceTimersByTime(count * 60_000)

/** A role with two places, whose commands are finished when the test says so. */
const started = async () => {
  const over = new AbortController()
  const finish: (() => void)[] = []
  let connection: PartState = { state: 'up', why: null }
  let taken: (delivery: Delivery) => Promise<void> = () => Promise.reject(new Error('it takes nothing'))
  const service = commands({
    queue: 'stock',
    commands: { consume: (_queue, handle) => ((taken = handle), async () => undefined), isOurs: () => false } as Partial<RabbitCommands> as RabbitCommands,
    check: async () => {
      await new Promise<void>((resolve) => void finish.push(resolve))
      return { ok: false, command: undefined, ...nobody, refusal: { code: 'unauthenticated', detail: 'a test' } }
    },
    dispatch: () => Promise.reject(new Error('nothing is dispatched')),
    problemOf: () => '',
    park: async () => undefined,
    state: () => connection,
    limits: {
      tries: 1,
      retry: { firstWaitMs: 1, longestWaitMs: 1 },
      replyTries: 1,
      overtakenMs: 0,
      commandsAtOnce: PLACES,
      stuck: { fullMs: 120_000, longestMs: 300_000 },
    },
    onFault: () => undefined,
    onDone: () => undefined,
  })
  await service.start()
  onTestFinished(() => over.abort())
  const delivery = { content: Buffer.from('{}'), headers: {}, routingKey: 'receipts.create', isHopeless: false, over: over.signal }
  return {
    state: () => service.state?.(),
    take: (): Promise<void> =>
      taken({
        ...delivery,
        messageId: undefined,
        appId: undefined,
        replyTo: undefined,
        correlationId: undefined,
        sentAt: undefined,
        from: undefined,
        died: undefined,
      }),
    finishOldest: () => finish.shift()?.(),
    giveBack: () => over.abort(),
    lose: (why: string) => void (connection = { state: 'down', why }),
  }
}

test('while all places are taken and nothing is finished for minutes, the role is degraded, and up when something was', async () => {
  const { state, take, finishOldest } = await started()
  const first = take()
  void take()

  minutes(2)
  expect(state()).toEqual({ state: 'up', why: null })
  minutes(1)
  expect(state()).toEqual({ state: 'degraded', why: 'all 2 places have been taken for 180 s, and nothing was finished' })

  finishOldest()
  await first
  void take()
  expect(state()).toEqual({ state: 'up', why: null })
})

test('a command that is worked on for longer than any should degrades the role, though others are finished', async () => {
  const { state, take } = await started()
  void take()

  minutes(5)
  expect(state()).toEqual({ state: 'up', why: null })
  minutes(1)
  expect(state()).toEqual({ state: 'degraded', why: 'a command has been worked on for 360 s' })
})

test('what was given back with its connection counts no longer, and a broker that is away is what is said first', async () => {
  const { state, take, giveBack, lose } = await started()
  void take()
  minutes(6)
  lose('the connection was closed')
  expect(state()).toEqual({ state: 'down', why: 'the connection was closed' })

  const other = await started()
  void other.take()
  minutes(6)
  other.giveBack()
  expect(other.state()).toEqual({ state: 'up', why: null })
  giveBack()
})

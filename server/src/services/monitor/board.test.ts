// What stands, what is only suspected, and what is told.
import { expect, test } from 'vitest'
import { board } from './board.ts'
import { degraded, down, up } from './component.ts'

const started = () => {
  let at = 0
  const of = board({ now: () => at, most: 3 })
  return {
    ...of,
    /** A look, five seconds after the one before. */
    look: (...processes: readonly ReturnType<typeof down>[]) => {
      at += 5
      return of.note(new Map([['relay', processes.map((process, index) => ({ where: `process ${index + 1}`, ...process }))]]))
    },
    gone: () => of.note(new Map([['relay', 'absent']])),
    notKnown: () => of.note(new Map()),
    relay: () => of.standing().find(({ name }) => name === 'relay'),
  }
}

test('what is down once is looked at again, and stands when it is down twice, since it was seen first', () => {
  const { look, relay, changes } = started()

  expect(look(up)).toBe(false)
  expect(look(down('refused'))).toBe(true)
  expect(relay()).toMatchObject({ state: 'up', since: 5, processes: [{ state: 'down' }] })
  expect(changes()).toEqual([])

  expect(look(down('refused'))).toBe(false)
  expect(relay()).toMatchObject({ state: 'down', since: 10, why: 'process 1: refused' })
  expect(changes()).toEqual([{ name: 'relay', state: 'down', since: 10, why: 'process 1: refused' }])
})

test('what goes up and down from look to look is not told at all', () => {
  const { look, relay, changes } = started()

  look(up)
  for (let n = 0; n < 10; n += 1) {
    look(down('refused'))
    look(up)
  }

  expect(relay()).toMatchObject({ state: 'up', since: 5, why: null })
  expect(changes()).toEqual([])
})

test('what is down from the first look on is told, too', () => {
  const { look, changes } = started()

  look(down('refused'))
  look(down('refused'))

  expect(changes()).toMatchObject([{ state: 'down', since: 5 }])
})

test('a role is degraded while some of its processes are down, and down when all are', () => {
  const { look, relay, changes } = started()

  for (const _ of [1, 2]) look(up, down('refused'))
  expect(relay()).toMatchObject({ state: 'degraded', why: '1 of 2: process 2: refused' })
  expect(changes()).toEqual([])

  for (const _ of [1, 2]) look(down('silent'), down('refused'))
  expect(relay()).toMatchObject({ state: 'down', why: '2 of 2: process 1: silent; process 2: refused' })

  for (const _ of [1, 2]) look(degraded('slow'), down('refused'))
  expect(relay()).toMatchObject({ state: 'degraded', why: '2 of 2: process 1: slow; process 2: refused' })
  expect(changes().map(({ state }) => state)).toEqual(['down', 'degraded'])
})

test('what is unwell in one way and another from look to look stands as the milder of both', () => {
  const { look, relay, changes } = started()

  look(up)
  look(down('refused'))
  look(degraded('slow'))
  expect(relay()).toMatchObject({ state: 'degraded', since: 10, why: 'process 1: slow' })
  for (let n = 0; n < 10; n += 1) {
    look(down('refused'))
    look(degraded('slow'))
  }
  expect(relay()).toMatchObject({ state: 'degraded', since: 10, why: 'process 1: slow' })
  expect(changes()).toEqual([])

  // The other way round, and then it goes on being down.
  const other = started()
  other.look(up)
  other.look(degraded('slow'))
  expect(other.look(down('refused'))).toBe(true)
  expect(other.relay()).toMatchObject({ state: 'degraded', since: 10, why: 'process 1: slow' })
  other.look(down('refused'))
  expect(other.relay()).toMatchObject({ state: 'down', since: 15 })
})

test('what is not known stands as it stood, and what is not here any more does not stand at all', () => {
  const { look, notKnown, gone, absent, relay } = started()
  for (const _ of [1, 2]) look(down('refused'))

  for (const _ of [1, 2, 3]) notKnown()
  expect(relay()).toMatchObject({ state: 'down', since: 5 })
  expect(absent()).toEqual([])

  gone()
  gone()
  expect(relay()).toBeUndefined()
  expect(absent()).toEqual([{ name: 'relay', since: 10 }])

  look(up)
  expect(relay()).toMatchObject({ state: 'up' })
  expect(absent()).toEqual([])
})

test('an outage that came and went before anybody could be told is told afterwards, and no more of them than are kept', () => {
  const { look, changes, forget } = started()
  look(up)
  for (const state of [down('away'), up, down('away again'), up]) for (const _ of [1, 2]) look(state)

  expect(changes().map(({ state, since }) => [state, since])).toEqual([
    ['up', 20],
    ['down', 30],
    ['up', 40],
  ])
  forget(changes().slice(0, 2))
  expect(changes()).toMatchObject([{ state: 'up', since: 40 }])
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Operation } from '../history.ts'
import { attempt, books, change, evidence, first, START_MS, type Books } from './check.fixture.ts'
import { checkAll } from './check.ts'
import { digestOfKey } from './evidence.ts'
import { checkEnough, tallyOf, type Least } from './enough.ts'
import { checkTime } from './levels.ts'
import { checkLiveness, longestSilenceMs } from './liveness.ts'
import type { Observation, Observer } from './observations.ts'
import { checkOrder } from './order.ts'

/** What is found wrong, by name. */
const found = (spoiled: Books, told: readonly number[] = [1, 2, 3]): string[] => {
  const log = told.map((sequence) => ({
    id: `evt_${sequence}`,
    verified: true,
    answered: 204,
    event: { id: `evt_${sequence}`, type: spoiled.events[sequence - 1]?.type ?? 'none', sequence },
  }))
  const { violations } = checkAll(evidence(spoiled), { staleNs: 0, decidesItself: true, log, isSubscribed: () => true, queuedUpTo: 3, toldUpTo: 3, books: [] })
  return [...new Set(violations.map(({ check }) => check))]
}

test('a shop in which nothing went wrong has nothing wrong', () => {
  expect(found(books())).toEqual([])
})

test('what was kept for later is whose key it has, or waits for a person', () => {
  const shop = books()
  const [received] = shop.operations
  if (received === undefined) throw new Error('there is none')
  // The first try was kept, and what it wanted was done by message before it was asked again.
  received.attempts.unshift(attempt(received, -3, -2, { outcome: 'unknown', status: 202 }))
  change(shop.events, ({ sequence }) => sequence === 1, { requestId: '01890000-0000-7000-8000-000000000001' })
  change(shop.keys, ({ sequence }) => sequence === 1, { key: digestOfKey('tester', 'key-0') })
  expect(found(shop)).toEqual([])

  const i = shop.operations.length
  const refused: Operation = { i, action: 'adjust', key: `key-${i}`, args: { path: '/', body: {} }, subject: null, again: null, race: null, attempts: [] }
  refused.attempts.push(attempt(refused, 70, 71, { outcome: 'unknown', status: 202 }))
  shop.operations.push(refused)
  shop.parked.push(`key-${i}`)
  expect(found(shop)).toEqual([])
})

/** Each a history that must not be, made from the good one by one change. */
const bad: readonly { readonly what: string; readonly check: string; readonly spoil: (shop: Books) => void }[] = [
  {
    what: 'an acknowledged receipt that is not there',
    check: 'what was acknowledged is there, as it was said',
    spoil: (shop) => {
      shop.events[0] = { ...first(shop.events, () => true), requestId: 'somebody-else', actor: 'system' }
    },
  },
  {
    what: 'a receipt of other units than were brought',
    check: 'what was acknowledged is there, as it was said',
    spoil: (shop) => change(shop.entries, ({ sequence }) => sequence === 1, { quantity: 9 }),
  },
  {
    what: 'an answer with another version than was made',
    check: 'what was acknowledged is there, as it was said',
    spoil: (shop) => {
      const answered = first(shop.operations, ({ action }) => action === 'execute').attempts[0]
      if (answered !== undefined) answered.body = JSON.parse(JSON.stringify(answered.body).replace('"level_version":3', '"level_version":2'))
    },
  },
  {
    what: 'a refused hold that was placed',
    check: 'what was refused has not happened',
    spoil: (shop) => {
      const refused = first(shop.operations, ({ attempts }) => attempts[0]?.outcome === 'fail')
      change(shop.events, ({ sequence }) => sequence === 3, { requestId: `torture-${refused.i}-1` })
    },
  },
  {
    what: 'one wish with two effects',
    check: 'what was wanted once has happened once at most',
    spoil: (shop) => change(shop.events, ({ sequence }) => sequence === 3, { requestId: 'torture-1-1' }),
  },
  {
    what: 'two answers under one key',
    check: 'all answers under one key are the same',
    spoil: (shop) => {
      const received = first(shop.operations, ({ action }) => action === 'receive')
      received.attempts.push(attempt(received, 12, 13, { body: { object: 'another' }, replayed: true }))
    },
  },
  {
    what: 'another request under a key that was used',
    check: 'a key belongs to one request',
    spoil: (shop) => {
      const received = first(shop.operations, ({ action }) => action === 'receive')
      const changed: Operation = { ...received, i: shop.operations.length, again: { of: received.i, changed: true }, attempts: [] }
      shop.operations.push(changed)
      changed.attempts.push(attempt(changed, 70, 71, {}))
    },
  },
  {
    what: 'an event that nobody asked for',
    check: 'nothing happens that nobody wished for',
    spoil: (shop) => change(shop.events, ({ sequence }) => sequence === 1, { requestId: 'torture-99-1' }),
  },
  {
    what: 'an effect without a key',
    check: 'a key is written with its effect, and in its transaction',
    spoil: (shop) => void shop.keys.pop(),
  },
  {
    what: 'a key that was written in another transaction',
    check: 'a key is written with its effect, and in its transaction',
    spoil: (shop) => change(shop.keys, ({ sequence }) => sequence === 2, { xmin: '999' }),
  },
  {
    what: 'a message that was kept, and has done something without its key',
    check: 'nothing happens that nobody wished for',
    spoil: (shop) => change(shop.events, ({ sequence }) => sequence === 1, { requestId: '01890000-0000-7000-8000-000000000001' }),
  },
  {
    what: 'a receipt that was kept for later, and is nowhere',
    check: 'what was kept for later is done, or waits for a person',
    spoil: (shop) => {
      const i = shop.operations.length
      const kept: Operation = { i, action: 'receive', key: `key-${i}`, args: { path: '/', body: {} }, subject: null, again: null, race: null, attempts: [] }
      kept.attempts.push(attempt(kept, 70, 71, { outcome: 'unknown', status: 202 }))
      shop.operations.push(kept)
    },
  },
  {
    what: 'availability that is older than what the same process has answered',
    check: 'a process knows what it has done itself',
    spoil: (shop) => {
      const asked = first(shop.operations, ({ action }) => action === 'availability').attempts[0]
      if (asked !== undefined) asked.body = { sku: 'TEA', stale: false, locations: [{ location: 'A', available_to_sell: 6, level_version: 2 }] }
    },
  },
  {
    what: 'a refusal that there is no reason for',
    check: 'a refusal is one that there is reason for',
    spoil: (shop) => {
      const refused = first(shop.operations, ({ attempts }) => attempts[0]?.outcome === 'fail')
      Object.assign(refused.attempts[0] ?? {}, { body: { code: 'unauthenticated' } })
    },
  },
  {
    what: 'an effect before its call',
    check: 'what happened, happened during its call',
    spoil: (shop) => change(shop.events, ({ sequence }) => sequence === 2, { atMs: START_MS - 200 }),
  },
  {
    what: 'a hold that was executed after its end, by the clock on the wall',
    check: 'nothing is done with a hold after its end',
    spoil: (shop) => {
      const [made] = first(shop.operations, ({ action }) => action === 'execute').attempts
      Object.assign(made ?? {}, { invNs: 1_000e6, compNs: 1_010e6 })
    },
  },
  {
    what: 'a hold that was executed after its end, by its own time',
    check: 'nothing is done with a hold from its end on, and none ends before',
    spoil: (shop) => change(shop.events, ({ sequence }) => sequence === 3, { atMs: START_MS + 900 }),
  },
  {
    what: 'a hold that ended twice',
    check: 'a hold ends once',
    spoil: (shop) => {
      const end = first(shop.events, ({ sequence }) => sequence === 3)
      shop.events.push({ ...end, sequence: 4, subjectVersion: 3, type: 'hold.expired', actor: 'system', atMs: START_MS + 950 })
      shop.head = 4
    },
  },
  {
    what: 'a hold that ended, with units still held',
    check: 'the lines of a hold add up',
    spoil: (shop) => {
      const [hold] = shop.holds
      if (hold !== undefined) shop.holds[0] = { ...hold, allocations: hold.allocations.map((one) => ({ ...one, held: 1, released: 0 })) }
    },
  },
  {
    what: 'units that a release did not give back',
    check: 'a hold is placed whole, and given back whole',
    spoil: (shop) => void shop.entries.pop(),
  },
  {
    what: 'a hold that nobody ended though it is over',
    check: 'who is due is soon gone',
    spoil: (shop) => {
      change(shop.holds, () => true, { status: 'active' })
      shop.nowMs = START_MS + 900 + 6_000
    },
  },
  {
    what: 'a level that is not the sum of its entries',
    check: 'a level is the sum of its entries',
    spoil: (shop) => change(shop.levels, () => true, { version: 4 }),
  },
  {
    what: 'a version that two commands made',
    check: 'versions of a level are 1 to n, each made by one command',
    spoil: (shop) => change(shop.entries, ({ sequence }) => sequence === 3, { version: 2 }),
  },
  {
    what: 'a lost version',
    check: 'versions of a level are 1 to n, each made by one command',
    spoil: (shop) => {
      shop.entries = shop.entries.filter(({ sequence }) => sequence !== 2)
    },
  },
  {
    what: 'a state below zero',
    check: 'no state of a level was ever below zero',
    spoil: (shop) => change(shop.entries, ({ sequence }) => sequence === 2, { quantity: 11 }),
  },
  {
    what: 'time that runs backwards',
    check: 'time runs forward along the versions of a level',
    spoil: (shop) => change(shop.entries, ({ sequence }) => sequence === 3, { atMs: START_MS + 24 }),
  },
  {
    what: 'held units that no hold has',
    check: 'what is held and committed is what holds say',
    spoil: (shop) => void shop.holds.pop(),
  },
  {
    what: 'units that rest in transit',
    check: 'nothing rests in transit',
    spoil: (shop) => change(shop.entries, ({ sequence }) => sequence === 1, { from: 23 }),
  },
  {
    what: 'a gap among the sequences',
    check: 'sequences have no gap',
    spoil: (shop) => change(shop.events, ({ sequence }) => sequence === 3, { sequence: 4 }),
  },
  {
    what: 'a read of what never stood there',
    check: 'what was seen of a level stood there at that version',
    spoil: (shop) => {
      const [read] = first(shop.operations, ({ action }) => action === 'availability').attempts
      if (read !== undefined) read.body = JSON.parse(JSON.stringify(read.body).replace('"available_to_sell":7', '"available_to_sell":8'))
    },
  },
  {
    what: 'a refusal although there was enough',
    check: 'who was refused was refused for what was so',
    spoil: (shop) => {
      const [refused] = first(shop.operations, ({ attempts }) => attempts[0]?.outcome === 'fail').attempts
      if (refused !== undefined) refused.body = JSON.parse(JSON.stringify(refused.body).replace('"requested":7', '"requested":6'))
    },
  },
  {
    what: 'a stale read',
    check: 'what ended before something began, came before it',
    spoil: (shop) => {
      const [read] = first(shop.operations, ({ action }) => action === 'availability').attempts
      if (read === undefined) return
      read.body = { sku: 'TEA', stale: false, locations: [{ location: 'A', available_to_sell: 6, level_version: 2 }] }
      read.sequence = 2
    },
  },
  {
    what: 'an answer of two moments',
    check: 'one answer is of one moment',
    spoil: (shop) => Object.assign(first(shop.operations, ({ action }) => action === 'availability').attempts[0] ?? {}, { sequence: 2 }),
  },
  {
    what: 'a read that is older than was asked for',
    check: 'a reader gets nothing older than asked for',
    spoil: (shop) => {
      const place = shop.operations.findIndex(({ action }) => action === 'availability')
      const read = shop.operations[place]
      if (read !== undefined) shop.operations[place] = { ...read, args: { path: '/v1/availability/TEA?min_sequence=4', body: undefined } }
    },
  },
  {
    what: 'more held than can have been',
    check: 'what is held lies between what must and what may have been',
    spoil: (shop) => {
      const [read] = first(shop.operations, ({ action }) => action === 'levels').attempts
      if (read !== undefined) read.body = JSON.parse(JSON.stringify(read.body).replace('"held":4', '"held":5'))
    },
  },
  {
    what: 'an event without a delivery',
    check: 'every event has its delivery',
    spoil: (shop) => void shop.deliveries.pop(),
  },
]

test.each(bad)('the checker finds $what', ({ check, spoil }) => {
  const spoiled = books()
  spoil(spoiled)
  expect(found(spoiled)).toContain(check)
})

test('the checker finds an event that did not arrive where somebody had subscribed to it', () => {
  expect(found(books(), [1, 3])).toEqual(['every event arrives where somebody subscribed to it'])
})

test('a try that was never answered may have come later, to more luck than the one that was refused', () => {
  const shop = books()
  const refused = first(shop.operations, ({ attempts }) => attempts[0]?.outcome === 'fail')
  const [answered] = refused.attempts
  refused.attempts.splice(0, 1, attempt({ ...refused, attempts: [] }, 34, null, { outcome: 'unknown', body: undefined }))
  if (answered !== undefined) refused.attempts.push({ ...answered, try: 2, requestId: `torture-${refused.i}-2` })
  change(shop.events, ({ sequence }) => sequence === 3, { requestId: `torture-${refused.i}-1` })
  expect(found(shop)).not.toContain('what was refused has not happened')
})

describe('versions against the clock on the wall', () => {
  const seen = (version: number, isWrite: boolean, fromMs: number, toMs: number): Observation => ({
    level: 'TEA@A',
    version,
    isWrite,
    isCached: !isWrite,
    invNs: fromMs * 1e6,
    compNs: toMs * 1e6,
    said: undefined,
    requested: undefined,
    sequence: null,
    who: `${isWrite ? 'write' : 'read'} of ${version}, ${fromMs} to ${toMs}`,
  })
  const observer = (...all: Observation[]): Observer => ({
    who: all.map(({ who }) => who).join(' and '),
    node: undefined,
    invNs: Math.max(...all.map(({ invNs }) => invNs)),
    compNs: Math.min(...all.map(({ compNs }) => compNs)),
    seen: all,
  })

  test('who reads while somebody writes may see it before or after', () => {
    for (const version of [1, 2]) expect(checkTime([seen(1, true, 0, 1), seen(2, true, 10, 20), seen(version, false, 15, 16)], 0)).toEqual([])
  })

  test('a read that is behind is taken for as much as reads may be behind', () => {
    const late = [seen(1, true, 0, 1), seen(2, true, 10, 20), seen(1, false, 25, 26)]
    expect(checkTime(late, 0)).toHaveLength(1)
    expect(checkTime(late, 4e6)).toHaveLength(1)
    expect(checkTime(late, 6e6)).toEqual([])
  })

  test('two levels that each agree with the clock may still disagree with each other', () => {
    const other = (one: Observation): Observation => ({ ...one, level: 'MUG@A' })
    // One has seen the second version of tea and the first of mugs, the other one the other way round.
    const circle = [
      observer(seen(1, true, 0, 100)),
      observer(seen(2, true, 0, 100)),
      observer(other(seen(1, true, 0, 100))),
      observer(other(seen(2, true, 0, 100))),
      observer(seen(2, false, 0, 100), other(seen(1, false, 0, 100))),
      observer(seen(1, false, 0, 100), other(seen(2, false, 0, 100))),
    ]
    expect(checkOrder(circle.slice(0, 5), { staleNs: 0 })).toEqual([])
    expect(checkOrder(circle, { staleNs: 0 })).toHaveLength(1)
    expect(
      checkTime(
        circle.flatMap((one) => one.seen.filter(({ level }) => level === 'TEA@A')),
        0,
      ),
    ).toEqual([])
  })

  /** Whatever was done one after the other, and called at any time around that, has an order; and the one that was done is one. */
  test('whatever happened at instants within its calls is accepted, by each level and by all together', () => {
    const history = fc.array(fc.record({ level: fc.constantFrom('TEA@A', 'MUG@A', 'POT@A'), isWrite: fc.boolean(), before: fc.nat(50), after: fc.nat(50) }), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(history, (calls) => {
        const versions = new Map<string, number>()
        const observers = calls.map(({ level, isWrite, before, after }, place) => {
          const version = (versions.get(level) ?? 0) + (isWrite ? 1 : 0)
          versions.set(level, version)
          return observer({ ...seen(version, isWrite, place * 10 - before, place * 10 + after + 1), level })
        })
        const all = observers.flatMap((one) => one.seen)
        for (const ofLevel of Map.groupBy(all, ({ level }) => level).values()) expect(checkTime(ofLevel, 0)).toEqual([])
        expect(checkOrder(observers, { staleNs: 0 })).toEqual([])
      }),
    )
  })

  test('whoever sees an older version than was known before they began is found, in any history', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), fc.nat(), fc.nat(), (writes, place, back) => {
        const all = Array.from({ length: writes }, (_, index) => seen(index + 1, true, index * 10, index * 10 + 5))
        const known = 2 + (place % (writes - 1))
        const behind = seen(1 + (back % (known - 1)), false, (known - 1) * 10 + 6, (known - 1) * 10 + 7)
        expect(checkTime([...all, behind], 0).length).toBeGreaterThan(0)
        expect(
          checkOrder(
            [...all, behind].map((one) => observer(one)),
            { staleNs: 0 },
          ),
        ).toHaveLength(1)
      }),
    )
  })
})

test('a silence is found, and so is unrest that does not end', () => {
  const shop = books()
  expect(longestSilenceMs(shop.operations, 0, 61e6)).toBe(20)
  expect(longestSilenceMs(shop.operations, 0, 20_061e6)).toBe(20_000)
  const patience = { silenceMs: 15_000, unrestMs: 60_000 }
  expect(checkLiveness({ silenceMs: 14_000, quietAfterMs: 20_000, unrest: '' }, patience)).toEqual([])
  expect(checkLiveness({ silenceMs: 16_000, quietAfterMs: null, unrest: '3 in the outbox' }, patience)).toHaveLength(2)
})

test('a run that tried too little has shown nothing', () => {
  const least: Least = { operations: 6, acknowledged: 5, faults: 1, races: 0, refusedShare: { least: 0.05, most: 0.6 }, webhooks: 3 }
  const tally = tallyOf(evidence(books()), [{ kind: 'kill', what: '', beganNs: 0, endedNs: 1 }])
  expect(checkEnough(tally, least, ['kill'], 3)).toEqual([])
  expect(checkEnough(tally, least, ['kill', 'net'], 3).map(({ what }) => what)).toEqual(['faults of kind net: 0, and 1 are needed'])
  for (const more of [{ operations: 7 }, { acknowledged: 6 }, { races: 1 }, { webhooks: 4 }, { refusedShare: { least: 0.05, most: 0.4 } }])
    expect(checkEnough(tally, { ...least, ...more }, ['kill'], 3).length, JSON.stringify(more)).toBeGreaterThan(0)
})

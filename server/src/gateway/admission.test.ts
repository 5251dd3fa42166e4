import { expect, test } from 'vitest'
import { admission } from './admission.ts'

const limits = { inFlight: 4_096, lateMs: 500, inFlightWhenLate: 64, loopLagMs: 100 }
const LOOK_MS = 50

/** A shop that answers so many a second, one after the other, and is asked so many: in steps of a simulated millisecond. */
const run = ({ seconds, asked, able, gate = admission(limits) }: { seconds: number; asked: number; able: number; gate?: ReturnType<typeof admission> }) => {
  const queue: number[] = []
  const tally = { inTime: 0, late: 0, refused: 0, gate }
  let [due, done] = [0, 0]
  for (let ms = 0; ms < seconds * 1_000; ms += 1) {
    for (due += asked / 1_000; due >= 1; due -= 1) {
      if (gate.isFull()) tally.refused += 1
      else {
        gate.began()
        queue.push(ms)
      }
    }
    for (done = Math.min(done + able / 1_000, queue.length); done >= 1; done -= 1) {
      const tookMs = ms - (queue.shift() ?? ms)
      gate.ended(tookMs)
      if (tookMs < 1_000) tally.inTime += 1
      else tally.late += 1
    }
    if (ms % LOOK_MS === 0) gate.look({ sinceMs: LOOK_MS, loopLagMs: 0 })
  }
  return tally
}

test('what can be done is done, and nothing is refused', () => {
  const { refused, late, inTime } = run({ seconds: 20, asked: 990, able: 1_000 })
  expect({ refused, late }).toEqual({ refused: 0, late: 0 })
  expect(inTime).toBeGreaterThan(19_700)
})

test('asked three times as much, it does as much as ever, and in time', () => {
  const { inTime, refused } = run({ seconds: 20, asked: 3_000, able: 1_000 })
  expect(inTime).toBeGreaterThan(0.9 * 20_000)
  expect(refused).toBeGreaterThan(35_000)
})

test('without looking, as much is done, and hardly any of it in time: that is the collapse', () => {
  const gate = { ...admission(limits), look: () => undefined }
  expect(run({ seconds: 20, asked: 3_000, able: 1_000, gate }).inTime).toBeLessThan(0.2 * 20_000)
})

test('a crowd is let in when it comes all at once', () => {
  const gate = admission(limits)
  for (let i = 0; i < 2_000; i += 1) {
    expect(gate.isFull()).toBe(false)
    gate.began()
  }
})

test('it opens again when the rush is over', () => {
  const { gate } = run({ seconds: 5, asked: 3_000, able: 1_000 })
  expect(gate.most()).toBeLessThan(1_000)
  // Those under way are answered.
  while (gate.inFlight() > 0) gate.ended(1)
  for (let look = 0; look < 400; look += 1) gate.look({ sinceMs: LOOK_MS, loopLagMs: 0 })
  expect(gate.most()).toBe(limits.inFlight)
})

test('a late loop closes it, too, but never below what helps nobody', () => {
  const gate = admission(limits)
  gate.look({ sinceMs: LOOK_MS, loopLagMs: 150 })
  expect(gate.most()).toBe(limits.inFlightWhenLate)
})

import { expect, test } from 'vitest'
import { createProgress } from './progress.ts'

const watch = (isTTY: boolean) => {
  const written: string[] = []
  let nowMs = 0
  const progress = createProgress({ screen: { isTTY, write: (text) => written.push(text) }, what: 'items', nowMs: () => nowMs })
  return { progress, written, pass: (ms: number) => (nowMs += ms) }
}

test('long work shows how far it is, over itself and not too often', () => {
  const { progress, written, pass } = watch(true)
  pass(1_000)
  progress.draw({ share: 0.5, done: 1_500 })
  progress.draw({ share: 0.6, done: 1_600 })
  expect(written.join('')).toBe('\r\u001b[2K[###############---------------] 50 %  1,500 items, 1,500 a second')
  pass(1_000)
  progress.draw({ share: 1, done: 3_000 })
  expect(written.at(-1)).toBe('[##############################] 100 %  3,000 items, 1,500 a second')
  progress.clear()
  expect(written.at(-1)).toBe('\r\u001b[2K')
})

test('nothing is drawn where nobody watches', () => {
  const { progress, written, pass } = watch(false)
  pass(1_000)
  progress.draw({ share: 0.5, done: 1 })
  progress.clear()
  expect(written).toEqual([])
})

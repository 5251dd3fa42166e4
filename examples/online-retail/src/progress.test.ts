import { describe, expect, test } from 'vitest'
import { progressOn } from './progress.ts'

describe('progress', () => {
  test('in a log is a line every few seconds, and one at the end', () => {
    const { said, progress, wait } = watched({ isTerminal: false })
    progress.phase('lines', 2_000)
    for (let step = 0; step < 20; step += 1) {
      wait(1_000)
      progress.advance(100)
    }
    expect(said()).toEqual([
      'lines  25%  500 of 2,000, 100/s, 15 s left\n',
      'lines  50%  1,000 of 2,000, 100/s, 10 s left\n',
      'lines  75%  1,500 of 2,000, 100/s, 5 s left\n',
      'lines  100%  2,000 of 2,000, 100/s\n',
    ])
  })

  test('on a terminal is a bar that is drawn over itself, and gives way to what must be said', () => {
    const { said, progress, wait } = watched({ isTerminal: true })
    progress.phase('items', 4)
    wait(1_000)
    progress.advance(2)
    progress.say('the server does not answer')
    progress.end()
    expect(said()).toEqual([
      `${OVER}[..............................]  items  0%  0 of 4, 0/s`,
      `${OVER}[###############...............]  items  50%  2 of 4, 2/s, 1 s left`,
      `${OVER}the server does not answer\n`,
      `${OVER}[###############...............]  items  50%  2 of 4, 2/s, 1 s left`,
      '\n',
    ])
  })

  test('of nothing is all of it', () => {
    const { said, progress } = watched({ isTerminal: false })
    progress.phase('lines', 0)
    progress.advance(0)
    expect(said()).toEqual(['lines  100%  0 of 0, 0/s\n'])
  })
})

const OVER = '\r\u001b[2K'

const watched = ({ isTerminal }: { isTerminal: boolean }) => {
  const said: string[] = []
  let nowMs = 0
  const progress = progressOn({ write: (text) => void said.push(text), isTerminal, nowMs: () => nowMs })
  return { progress, said: () => said, wait: (ms: number) => void (nowMs += ms) }
}

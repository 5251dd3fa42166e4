// What goes wrong again and again is said, and what it says can still be read.
import { expect, test } from 'vitest'
import { sparingly } from './sparingly.ts'

const teller = ({ kinds = 10 } = {}) => {
  let now = 0
  const said: string[] = []
  const tell = sparingly((error, before) => said.push(`${error instanceof Error ? error.message : String(error)}${before > 0 ? ` +${before}` : ''}`), {
    everyMs: 10_000,
    kinds,
    now: () => now,
  })
  return { said, tell, pass: (ms: number) => (now += ms) }
}

test('a database that is away for a minute is said at once, then every ten seconds, and how often in between', () => {
  const { said, tell, pass } = teller()
  for (let look = 0; look < 600; look += 1) {
    tell(new Error('connection refused'))
    pass(100)
  }
  expect(said).toEqual(['connection refused', ...Array<string>(5).fill('connection refused +99')])
})

test('what goes wrong in another way is said at once', () => {
  const { said, tell, pass } = teller()
  for (const message of ['connection refused', 'connection refused', 'starting up', 'connection refused']) tell(new Error(message))
  pass(60_000)
  tell('connection refused')
  expect(said).toEqual(['connection refused', 'starting up', 'connection refused +2'])
})

test('however many ways there are, no more of them are remembered than there is room for', () => {
  const { said, tell } = teller({ kinds: 2 })
  for (const message of ['one', 'two', 'three', 'three', 'two', 'one']) tell(new Error(message))
  expect(said).toEqual(['one', 'two', 'three', 'one'])
})

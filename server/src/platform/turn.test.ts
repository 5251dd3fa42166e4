// Answers that need nobody wait for the end of the turn in which they were asked for.
import { expect, test } from 'vitest'
import { turnOver } from './turn.ts'

/** What happens when two requests arrive in one turn of the event loop. */
const twoInOneTurn = async (): Promise<string[]> => {
  const seen: string[] = []
  const answered = (name: string) => turnOver().then(() => void seen.push(`${name} is answered`))
  setImmediate(() => void seen.push('the turn ends'))
  const one = answered('one')
  await Promise.resolve()
  seen.push('the other arrives')
  await Promise.all([one, answered('the other')])
  return seen
}

test('whoever arrives in a turn of the event loop is answered when it ends, after all of them have been read, and so in every turn', async () => {
  const inOrder = ['the other arrives', 'the turn ends', 'one is answered', 'the other is answered']
  expect(await twoInOneTurn()).toEqual(inOrder)
  expect(await twoInOneTurn()).toEqual(inOrder)
})

// Whoever remembers levels is told which of them changed, before anybody is answered.
import { expect, test } from 'vitest'
import { cup, line, lineAt, london, tea } from '../../test/support/given.ts'
import { ask, codeOf, freshCell, hold, receipt } from '../../test/support/ledger.ts'
import { Fault } from '../storage/fault.ts'
import type { LedgerStore } from '../storage/ledger-store.ts'

test('which items changed, and at which sequence, is told before the answer; of what was refused, nothing', async () => {
  const told: string[] = []
  const cell = await freshCell({ told: { onStood: (items, sequence) => void told.push(`${[...items].join()} at ${sequence}`) } })
  const answered = async (asked: ReturnType<typeof ask>) => {
    const { sequence } = await cell.stock.submit(asked)
    told.push(`answered ${sequence}`)
  }
  await answered(ask(receipt([line(tea, 10), line(cup, 10)])))
  await answered(ask(hold([lineAt(london, cup, 2)]), { key: 'cart' }))
  await answered(ask(hold([lineAt(london, cup, 2)]), { key: 'cart' }))
  await answered(ask(hold([lineAt(london, tea, 11)])))
  await answered(ask(hold([lineAt(london, tea, 1)]), { dryRun: true }))
  expect(told).toEqual([`${tea},${cup} at 1`, 'answered 1', `${cup} at 2`, 'answered 2', 'answered 2', 'answered 2', 'answered 2'])
})

/** Commits, and loses the answer, once. */
const forgetful = (store: LedgerStore): LedgerStore => {
  let isLost = false
  return {
    open: async (wanted) => {
      const batch = await store.open(wanted)
      return {
        ...batch,
        commit: async (changes) => {
          const first = await batch.commit(changes)
          if (isLost || changes.newHolds.length === 0) return first
          isLost = true
          throw new Fault('unknown', true, undefined, new Error('the answer was lost'))
        },
      }
    },
  }
}

test('when a commit stood whose answer was lost, it is told that anything may have changed, before the answer', async () => {
  const told: string[] = []
  const cell = await freshCell({ between: forgetful, told: { onStood: () => void told.push('stood'), onUnsure: () => void told.push('unsure') } })
  await cell.stock.submit(ask(receipt(10)))
  const outcome = await cell.stock.submit(ask(hold(1), { key: 'cart' }))
  told.push(codeOf(outcome))
  expect(outcome).toMatchObject({ ok: true, replayed: true })
  expect(told).toEqual(['stood', 'unsure', 'yes'])
})

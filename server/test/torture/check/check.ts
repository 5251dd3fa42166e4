// All steps of the checker, one after the other, each with the time that it took.
import type { Violation as BookViolation } from '../../../src/storage/verification.ts'
import type { Delivery } from '../receiver.ts'
import { checkAccounts } from './accounting.ts'
import { checkBounds } from './bounds.ts'
import type { Evidence, Violation } from './evidence.ts'
import { checkLaws } from './laws.ts'
import { checkLevels } from './levels.ts'
import { observersOf } from './observations.ts'
import { checkOrder } from './order.ts'
import { checkOwn } from './own.ts'
import { checkWebhooks } from './webhooks.ts'

export type Checked = {
  readonly violations: readonly Violation[]
  readonly steps: readonly { readonly name: string; readonly ms: number; readonly found: number }[]
}

export type CheckOptions = {
  /** By how much reads may be behind: nothing, where nothing is cached. */
  readonly staleNs: number
  /** Whether who answers is who has decided. */
  readonly decidesItself: boolean
  readonly log: readonly Delivery[]
  readonly isSubscribed: (type: string) => boolean
  /** Up to which sequence everything had left the outbox, and up to which it had arrived. */
  readonly queuedUpTo: number
  readonly toldUpTo: number
  /** What Holdfast's own verification has found. */
  readonly books: readonly BookViolation[]
}

export const checkAll = (evidence: Evidence, { staleNs, decidesItself, log, isSubscribed, queuedUpTo, toldUpTo, books }: CheckOptions): Checked => {
  const steps: { name: string; ms: number; found: number }[] = []
  const violations: Violation[] = []
  const step = (name: string, run: () => readonly Violation[]) => {
    const from = performance.now()
    const found = run()
    steps.push({ name, ms: performance.now() - from, found: found.length })
    violations.push(...found)
  }
  const observers = observersOf(evidence)
  step('accounts', () => checkAccounts(evidence))
  step('levels', () => checkLevels(evidence, observers, { staleNs }))
  step('order', () => checkOrder(observers, { staleNs }))
  if (decidesItself) step('own', () => checkOwn(evidence, observers))
  step('bounds', () => checkBounds(evidence, observers))
  step('laws', () => checkLaws(evidence))
  step('books', () => books.map(({ rule, found }) => ({ check: `verify: ${rule}`, what: found })))
  step('webhooks', () => checkWebhooks(evidence.snapshot, log, { isSubscribed, queuedUpTo, toldUpTo }))
  return { violations, steps }
}

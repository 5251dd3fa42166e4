// Reads of availability that arrive together are read together: one statement for all items asked for in one turn of the
// event loop. Nothing is remembered, so every answer is as new as the ledger.
import type { ItemNumber } from '../../domain/ids.ts'
import { levelsOfItems, type LevelsRead, type StoodLevel } from '../../storage/levels.ts'
import type { Pool } from '../../storage/pool.ts'

export type LevelReader = (items: readonly ItemNumber[]) => Promise<LevelsRead>

type Waiting = { readonly items: readonly ItemNumber[]; readonly resolve: (read: LevelsRead) => void; readonly reject: (error: unknown) => void }

export const levelReader = ({ pool, limits }: { pool: Pool; limits: { readonly items: number; readonly inFlight: number } }): LevelReader => {
  const waiting: Waiting[] = []
  let inFlight = 0
  let woken = false

  const wake = () => {
    if (woken) return
    woken = true
    setImmediate(() => {
      woken = false
      while (waiting.length > 0 && inFlight < limits.inFlight) {
        inFlight += 1
        void run(next()).finally(() => {
          inFlight -= 1
          if (waiting.length > 0) wake()
        })
      }
    })
  }
  const next = (): Waiting[] => {
    let items = 0
    let count = 0
    for (const one of waiting) {
      items += one.items.length
      if (count > 0 && items > limits.items) break
      count += 1
    }
    return waiting.splice(0, count)
  }
  const run = async (batch: readonly Waiting[]): Promise<void> => {
    try {
      const { levels, sequence, now } = await levelsOfItems(pool, [...new Set(batch.flatMap((one) => one.items))])
      const byItem = Map.groupBy(levels, (level) => level.item)
      for (const { items, resolve } of batch) resolve({ levels: items.flatMap((item): StoodLevel[] => byItem.get(item) ?? []), sequence, now })
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
  return (items) =>
    new Promise((resolve, reject) => {
      waiting.push({ items, resolve, reject })
      wake()
    })
}

// Reads of availability that arrive together are read together. Nothing is remembered, so every answer is as new as the ledger.
import type { ItemNumber } from '../../domain/ids.ts'
import { together } from '../../platform/together.ts'
import { levelsOfItems, type LevelsRead } from '../../storage/levels.ts'
import type { Pool } from '../../storage/pool.ts'

export type LevelReader = (items: readonly ItemNumber[]) => Promise<LevelsRead>

export const levelReader = ({ pool, limits }: { pool: Pool; limits: { readonly keys: number; readonly inFlight: number } }): LevelReader => {
  const read = together({
    limits,
    ask: async (items: readonly ItemNumber[]) => {
      const { levels, sequence, now } = await levelsOfItems(pool, items)
      return { byItem: Map.groupBy(levels, (level) => level.item), sequence, now }
    },
  })
  return async (items) => {
    const { byItem, sequence, now } = await read(items)
    return { levels: items.flatMap((item) => byItem.get(item) ?? []), sequence, now }
  }
}

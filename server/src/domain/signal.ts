// What is worth a word: an item runs low at a location, is sold out, or can be sold again. Told once for each crossing, and not again
// for every unit that goes to and fro at the line: a state is left by more than what it was entered with.
import { availableToSell, type Level } from './level.ts'

export type Signal = 'in_stock' | 'low' | 'out'
export type SignalEventType = 'stock.low' | 'stock.out' | 'stock.back'

/** A tenth of the reorder point: units that must come on top before what was low, or out, is so no longer. */
const marginOf = ({ reorderPoint }: Level): number => (reorderPoint === null ? 0 : Math.ceil(reorderPoint / 10))

/** How it stands by its counts alone, where nothing was told yet. */
const standing = (level: Level): Signal => {
  const sellable = availableToSell(level)
  return sellable === 0 ? 'out' : level.reorderPoint !== null && sellable <= level.reorderPoint ? 'low' : 'in_stock'
}

const after = (before: Signal, level: Level): Signal => {
  const sellable = availableToSell(level)
  const plain = standing(level)
  if (plain === 'out') return 'out'
  if (before === 'out' && sellable <= marginOf(level)) return 'out'
  if (before === 'low' && plain === 'in_stock' && sellable <= (level.reorderPoint ?? 0) + marginOf(level)) return 'low'
  return plain
}

/**
 * What the change of a level gives reason to tell. Nothing of a level that is new: what was never there is not back.
 * @returns the level's signal from now on, and the event; null from low to in stock, where nobody needs to act
 */
export const signalOf = (before: Level, level: Level): { readonly signal: Signal; readonly type: SignalEventType | null } | undefined => {
  if (before.version === 0) return undefined
  const was = before.signal ?? standing(before)
  const signal = after(was, level)
  if (signal === was) return undefined
  if (signal === 'out') return { signal, type: 'stock.out' }
  return { signal, type: was === 'out' ? 'stock.back' : signal === 'low' ? 'stock.low' : null }
}

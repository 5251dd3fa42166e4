// A stock level: the counts of one item at one location, and what a movement does to it.
import type { ItemNumber, LocationNumber } from './ids.ts'
import type { Signal } from './signal.ts'

export const stockStates = ['available', 'held', 'committed', 'damaged', 'quality_control', 'incoming'] as const
export type StockState = (typeof stockStates)[number]
/** Where units come from and go to: the states of stock, and the world outside. In transit is between two locations of ours. */
export type Place = StockState | 'supplier' | 'customer' | 'shrinkage' | 'transit'
export const places: readonly Place[] = [...stockStates, 'supplier', 'customer', 'shrinkage', 'transit']

export type Level = Readonly<Record<StockState, number>> & {
  readonly item: ItemNumber
  readonly location: LocationNumber
  /** Kept back from sale; a number beside the level, not a state of its units. */
  readonly safetyStock: number
  /** At or below it the item is to be ordered again. Like safety stock, a number beside the level. */
  readonly reorderPoint: number | null
  /** What was told last of how it stands; null: nothing yet. */
  readonly signal: Signal | null
  /** How many times something was told of it. */
  readonly signals: number
  /** Grows by one with each command that touches the level. */
  readonly version: number
}

/** One immutable movement of a quantity of one item at one location from one state to another. */
export type Entry = {
  readonly item: ItemNumber
  readonly location: LocationNumber
  readonly from: Place
  readonly to: Place
  readonly quantity: number
  /** The version of the level that this movement is part of. */
  readonly levelVersion: number
}

/** What an item asks for wherever it is. */
export type Thresholds = Pick<Level, 'safetyStock' | 'reorderPoint'>
export const noThresholds: Thresholds = { safetyStock: 0, reorderPoint: null }

export const emptyLevel = (item: ItemNumber, location: LocationNumber, { safetyStock, reorderPoint }: Thresholds = noThresholds): Level => ({
  item,
  location,
  available: 0,
  held: 0,
  committed: 0,
  damaged: 0,
  quality_control: 0,
  incoming: 0,
  safetyStock,
  reorderPoint,
  signal: null,
  signals: 0,
  version: 0,
})

export const onHand = (level: Level): number => level.available + level.held + level.committed + level.damaged + level.quality_control

/** What may still be promised to a buyer. */
export const availableToSell = (level: Level): number => Math.max(0, level.available - level.safetyStock)

/** Items are numbered up to 2^31, so this many locations fit beside them into what a number counts exactly. */
const LOCATIONS = 2 ** 22

/** One number for an item at a location, for maps and for order. No two share one: a location beyond the last that fits is refused. */
export const levelKey = (item: ItemNumber, location: LocationNumber): number => {
  if (location >= LOCATIONS) throw new RangeError(`location ${location} is beyond the ${LOCATIONS} that can be told apart`)
  return item * LOCATIONS + location
}

const isState = (place: Place): place is StockState => place !== 'supplier' && place !== 'customer' && place !== 'shrinkage' && place !== 'transit'

/** The level after a movement. A state below zero or beyond whole numbers is a defect of the rule that asked for it. */
export const moved = (level: Level, entry: Entry): Level => {
  const after = { ...level, version: entry.levelVersion }
  if (isState(entry.from)) after[entry.from] -= entry.quantity
  if (isState(entry.to)) after[entry.to] += entry.quantity
  if (
    (isState(entry.from) && after[entry.from] < 0) ||
    (isState(entry.to) && !Number.isSafeInteger(after[entry.to])) ||
    !(Number.isSafeInteger(entry.quantity) && entry.quantity > 0)
  )
    throw new Error(
      `item ${level.item} at location ${level.location}: ${entry.quantity} from ${entry.from} to ${entry.to} cannot be taken from ${JSON.stringify(level)}`,
    )
  return after
}

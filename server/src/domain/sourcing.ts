// Which location a line that names none is taken from: pure functions from lines and levels to allocations.
import type { ItemNumber, LocationNumber } from './ids.ts'

export type Strategy = 'priority' | 'most_stock' | 'nearest' | 'fewest_splits'
export type Point = { readonly latitude: number; readonly longitude: number }

/** A location that may be asked, in the locations' own order: by priority, then by number. */
export type Candidate = { readonly location: LocationNumber; readonly point: Point | null }

export type Demand = { readonly item: ItemNumber; readonly quantity: number }
export type Allocated = { readonly item: ItemNumber; readonly location: LocationNumber; readonly quantity: number }
export type Plan = { readonly allocations: readonly Allocated[]; readonly missing: readonly { readonly item: ItemNumber; readonly quantity: number }[] }

/** What may be taken of an item at a location, before the plan. */
export type Supply = (item: ItemNumber, location: LocationNumber) => number

/**
 * Allocates every demand as far as there is stock. The sum of a demand's allocations and what is missing is its quantity.
 * Demands are one per item.
 */
export const source = (demands: readonly Demand[], candidates: readonly Candidate[], supply: Supply, strategy: Strategy, destination: Point | null): Plan => {
  const first = strategy === 'fewest_splits' ? wholeLines(demands, candidates, supply) : { allocations: [], rest: demands }
  const allocations: Allocated[] = [...first.allocations]
  const missing: Demand[] = []
  for (const { item, quantity } of first.rest) {
    let open = quantity
    for (const { location } of inOrder(item, candidates, supply, strategy, destination)) {
      const taken = Math.min(open, supply(item, location))
      if (taken <= 0) continue
      allocations.push({ item, location, quantity: taken })
      open -= taken
      if (open === 0) break
    }
    if (open > 0) missing.push({ item, quantity: open })
  }
  return { allocations, missing }
}

const inOrder = (item: ItemNumber, candidates: readonly Candidate[], supply: Supply, strategy: Strategy, destination: Point | null): readonly Candidate[] => {
  switch (strategy) {
    case 'priority':
      return candidates
    case 'most_stock':
    case 'fewest_splits': // What no location has whole is split over as few as can be: the fullest first.
      return candidates.toSorted((a, b) => supply(item, b.location) - supply(item, a.location))
    case 'nearest':
      return destination === null ? candidates : candidates.toSorted((a, b) => distance(a.point, destination) - distance(b.point, destination))
  }
}

/** Again and again the location that has the most of the remaining demands whole; the locations' own order breaks ties. */
const wholeLines = (demands: readonly Demand[], candidates: readonly Candidate[], supply: Supply): { allocations: Allocated[]; rest: Demand[] } => {
  const allocations: Allocated[] = []
  let rest = [...demands]
  while (rest.length > 0) {
    let best: { location: LocationNumber; whole: Demand[] } | undefined
    for (const { location } of candidates) {
      const whole = rest.filter((demand) => supply(demand.item, location) >= demand.quantity)
      if (whole.length > (best?.whole.length ?? 0)) best = { location, whole }
    }
    if (best === undefined) break
    for (const demand of best.whole) allocations.push({ item: demand.item, location: best.location, quantity: demand.quantity })
    const done = new Set(best.whole)
    rest = rest.filter((demand) => !done.has(demand))
  }
  return { allocations, rest }
}

const EARTH_RADIUS_KM = 6371

/** Kilometres over the globe (haversine). A location that has not said where it is comes last. */
const distance = (from: Point | null, to: Point): number => {
  if (from === null) return Number.POSITIVE_INFINITY
  const radians = (degrees: number) => (degrees * Math.PI) / 180
  const half = (degrees: number) => Math.sin(radians(degrees) / 2) ** 2
  const a = half(to.latitude - from.latitude) + Math.cos(radians(from.latitude)) * Math.cos(radians(to.latitude)) * half(to.longitude - from.longitude)
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, a)))
}

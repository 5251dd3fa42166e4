// Everything together: is there one order of all that was done and seen that every level and the clock on the wall agree with?
// A circle means that there is none.
import type { Violation } from './evidence.ts'
import type { Observer } from './observations.ts'

const CHECK = 'there is one order that explains everything'
const SHOWN = 12

export const checkOrder = (observers: readonly Observer[], { staleNs }: { readonly staleNs: number }): Violation[] => {
  const after: number[][] = observers.map(() => [])
  const waitsFor: number[] = observers.map(() => 0)
  const edge = (from: number, to: number) => {
    if (from === to) return
    after[from]?.push(to)
    waitsFor[to] = (waitsFor[to] ?? 0) + 1
  }

  // Along each level: who made a version, then who saw it, then who made the next one.
  const byLevel = Map.groupBy(
    observers.flatMap(({ seen }, node) => seen.map((one) => ({ one, node }))),
    ({ one }) => one.level,
  )
  for (const seen of byLevel.values()) {
    const versions = Map.groupBy(seen, ({ one }) => one.version)
    const numbers = [...versions.keys()].toSorted((a, b) => a - b)
    let writers: number[] = []
    let readers: number[] = []
    for (const version of numbers) {
      const here = versions.get(version) ?? []
      const nextWriters = here.flatMap(({ one, node }) => (one.isWrite ? [node] : []))
      const nextReaders = here.flatMap(({ one, node }) => (one.isWrite ? [] : [node]))
      if (nextWriters.length > 0) {
        for (const writer of nextWriters) for (const before of [...writers, ...readers]) edge(before, writer)
        writers = nextWriters
        readers = []
      }
      for (const reader of nextReaders) for (const writer of writers) edge(writer, reader)
      readers.push(...nextReaders)
    }
  }

  // Along the clock: who had ended comes before who began afterwards. A chain of barriers, one for each end, keeps the edges few.
  const ends = observers.flatMap(({ compNs }, node) => (Number.isFinite(compNs) ? [{ compNs, node }] : [])).toSorted((a, b) => a.compNs - b.compNs)
  for (const [place, { node }] of ends.entries()) {
    const barrier = observers.length + place
    after.push([])
    waitsFor.push(0)
    edge(node, barrier)
    if (place > 0) edge(barrier - 1, barrier)
  }
  for (const [node, { invNs, seen }] of observers.entries()) {
    const isCached = seen.every((one) => one.isCached)
    const last = lastBefore(ends, isCached ? invNs - staleNs : invNs)
    if (last >= 0) edge(observers.length + last, node)
  }

  const free = waitsFor.flatMap((count, node) => (count === 0 ? [node] : []))
  let done = 0
  for (let node = free.pop(); node !== undefined; node = free.pop()) {
    done += 1
    for (const next of after[node] ?? []) {
      waitsFor[next] = (waitsFor[next] ?? 0) - 1
      if (waitsFor[next] === 0) free.push(next)
    }
  }
  if (done === after.length) return []
  const names = circle(after, waitsFor).flatMap((node) => observers[node]?.who ?? [])
  return [
    { check: CHECK, what: `${after.length - done} are in circles; one of them: ${names.slice(0, SHOWN).join(' → ')}${names.length > SHOWN ? ' → …' : ''}` },
  ]
}

const lastBefore = (ends: readonly { readonly compNs: number }[], atNs: number): number => {
  let [low, high] = [0, ends.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ends[middle]?.compNs ?? Infinity) < atNs) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** A walk among those that still wait comes round. */
const circle = (after: readonly (readonly number[])[], waitsFor: readonly number[]): number[] => {
  const isLeft = (node: number) => (waitsFor[node] ?? 0) > 0
  const before = new Map<number, number>()
  for (const [node, next] of after.entries()) if (isLeft(node)) for (const one of next) if (isLeft(one)) before.set(one, node)
  const path: number[] = []
  const places = new Map<number, number>()
  for (let node = waitsFor.findIndex((count) => count > 0); node >= 0;) {
    const seen = places.get(node)
    if (seen !== undefined) return path.slice(seen).toReversed()
    places.set(node, path.length)
    path.push(node)
    node = before.get(node) ?? -1
  }
  return path.toReversed()
}

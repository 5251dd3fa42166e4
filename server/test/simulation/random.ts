// Chance that can be repeated: the same seed gives the same draws, on every machine.

export type Random = {
  /** From 0 up to, not including, 1. */
  fraction(): number
  /** A whole number from 0 up to, not including, n. */
  below(n: number): number
  /** A whole number from least to most, both included. */
  between(least: number, most: number): number
  chance(probability: number): boolean
  pick<Thing>(things: readonly Thing[]): Thing
}

/** sfc32, its state filled by splitmix32 so that neighbouring seeds have nothing in common. */
export const random = (seed: number): Random => {
  let spread = seed | 0
  const word = (): number => {
    spread = (spread + 0x9e3779b9) | 0
    let mixed = Math.imul(spread ^ (spread >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return mixed ^ (mixed >>> 15)
  }
  let a = word()
  let b = word()
  let c = word()
  let count = 1
  const next = (): number => {
    const sum = (a + b + count) | 0
    count = (count + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  const fraction = () => next() / 0x1_0000_0000
  const below = (n: number) => Math.floor(fraction() * n)
  return {
    fraction,
    below,
    between: (least, most) => least + below(most - least + 1),
    // No draw for what cannot happen: a fault that is off costs nothing.
    chance: (probability) => probability > 0 && fraction() < probability,
    pick: (things) => {
      const thing = things[below(things.length)]
      if (thing === undefined) throw new RangeError('nothing to pick from')
      return thing
    },
  }
}

/** Milliseconds since 1970, UTC, as the database's clock gave them. Instants are compared and added to, never guessed. */
export type Instant = number & { readonly unit: 'instant' }

export const instant = (ms: number): Instant => {
  if (!Number.isSafeInteger(ms)) throw new RangeError(`instant ${ms} is not a whole number of milliseconds`)
  return ms as Instant // checked just above
}

export const later = (from: Instant, ms: number): Instant => instant(from + ms)

// What is remembered of something that has versions. A version says of which moment a value is; versions of all keys are of one
// order, so that "older" means something between any two of them. What is remembered may be wrong in one way only: it is old.

export type Key = number | string

export type Held<Value> = {
  readonly value: Value
  readonly version: number
  /** When it was asked for, by the clock of this process: what happened later may be missing from it. */
  readonly askedAt: number
  /** False: something newer is known to be there, or it has been kept for too long. It is there for when nothing newer can be had. */
  readonly isFresh: boolean
}

export type Loaded<Value> = { readonly key: Key; readonly value: Value; readonly version: number; readonly askedAt: number }

/**
 * - `put` never replaces a newer value, nor brings one that is older than what was outdated: whoever loads for long may come late.
 * - `outdate` says that everything older than `version` is old from now on. The old value stays, no longer fresh.
 */
export type Cache<Value> = {
  /** What is held of each key, in their order. At once when it is in this process. Never rejects. */
  get(keys: readonly Key[]): readonly (Held<Value> | undefined)[] | Promise<readonly (Held<Value> | undefined)[]>
  put(loaded: readonly Loaded<Value>[]): void
  outdate(keys: readonly Key[], version: number): void
}

/** One that has something in this process. */
export type NearCache<Value> = Cache<Value> & {
  /** What this process itself holds. */
  peek(key: Key): Held<Value> | undefined
  /** As `outdate`, where somebody else has outdated what is shared. */
  outdateHere(keys: readonly Key[], version: number): void
  /** Something may have happened, and nobody knows what: whatever was asked for before now is old. */
  outdateAll(): void
  /** Keys of which this process holds a value. */
  size(): number
}

/** How a value is written where several processes read it, and read by one that trusts nothing it finds there. */
export type Codec<Value> = {
  write(value: Value): string
  /** Undefined: this is no such value. */
  read(text: string): Value | undefined
}

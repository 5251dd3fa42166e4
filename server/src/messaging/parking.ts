// Where messages go that nobody can take, with the reason, so that a person sees them and may send them again.

export type Parked = {
  /** The queue it came from, without the prefix: `commands.stock`. */
  readonly queue: string
  /** The operation, or the type of the event; null when it says none. */
  readonly operation: string | null
  /** JSON as it came; what is none, as a text in JSON. */
  readonly message: string
  readonly reason: string
  readonly attempts: number
  /** Who sent it, as they were known: it is sent again in their name. Null: nobody knows. */
  readonly caller: unknown
}

/** Resolves when it is kept. The same message parked again is one message. */
export type Park = (parked: Parked) => Promise<void>

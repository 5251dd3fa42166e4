// What a service is to the rest of the house: a name, the operations it answers, and when it starts and stops.
import type { InputOf, Operation, Operations, OutputOf, RejectionCode, Scope } from '@holdfast/contract'

/** Who asks. `principal` is the owner of idempotency keys: it stays the same when an API key is rotated. */
export type Caller = { readonly principal: string; readonly scopes: ReadonlySet<Scope> }

export type Call = {
  readonly caller: Caller
  readonly requestId: string
  /** Present and well formed on every operation that moves stock; may be present on other POSTs. */
  readonly idempotencyKey?: string
  /** Fires when the caller has gone away or its time is up. */
  readonly signal?: AbortSignal
}

/** The world's "no", ready for the wire: `code` from the closed list, a sentence, and the facts of problems.ts. */
export type Refusal = {
  readonly code: RejectionCode
  readonly detail: string
  readonly errors?: readonly { readonly param: string; readonly message: string }[]
  readonly shortages?: readonly unknown[]
  readonly remaining?: number
  readonly current_version?: number
  readonly retryAfterSeconds?: number
}

export type Answer<Body> =
  /** `sequence` becomes Stock-Sequence, `replayed` becomes Idempotent-Replayed. */
  | { readonly ok: true; readonly body: Body; readonly sequence?: number; readonly replayed?: boolean }
  | { readonly ok: false; readonly refusal: Refusal; readonly replayed?: boolean }

export type Handler<O extends Operation> = (
  input: InputOf<O>,
  call: Call,
) => Promise<Answer<O extends { streams: true } ? AsyncIterable<OutputOf<O>> : OutputOf<O>>>

/** The handlers of every operation, by resource and name, as in the contract's table. */
export type Handlers = {
  readonly [Resource in keyof Operations]: {
    readonly [Name in keyof Operations[Resource]]: Handler<Extract<Operations[Resource][Name], Operation>>
  }
}

export type Service<Name extends string = string> = {
  readonly name: Name
  readonly handlers: Partial<Handlers>
  start(): Promise<void>
  /** Stops taking work, finishes what it has, and resolves when nothing of it is left. */
  stop(): Promise<void>
}

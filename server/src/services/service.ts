// What a service is to the rest of the house: a name, the operations it answers, and when it starts and stops.
import type { InputOf, Operation, Operations, OutputOf, RejectionCode, Role, Scope } from '@holdfast/contract'

/** Who asks. `principal` is the owner of idempotency keys: it stays the same when an API key is rotated. */
export type Caller = {
  readonly principal: string
  readonly scopes: ReadonlySet<Scope>
  /** The codes of the only locations that it may work with; null: all of them. */
  readonly locations: ReadonlySet<string> | null
  /** The key that a program asks with; absent: a person. */
  readonly apiKey?: { readonly id: string }
  /** A person who is signed in; absent: a program with a key. */
  readonly person?: { readonly id: string; readonly session: string; readonly role: Role }
  /** Requests a second that the key may make; absent: the limit is the gateway's own. */
  readonly rate?: { readonly limit: number; readonly windowSeconds: number } | 'unlimited'
}

/** A caller as JSON has it, for another process of ours. */
export type WireCaller = Omit<Caller, 'scopes' | 'locations'> & { readonly scopes: readonly string[]; readonly locations: readonly string[] | null }
export const writeCaller = (caller: Caller): WireCaller => ({ ...caller, scopes: [...caller.scopes], locations: caller.locations && [...caller.locations] })
/** Of what writeCaller wrote, and somebody we believe has kept. */
export const readCaller = (wire: WireCaller): Caller => ({
  ...wire,
  scopes: new Set(wire.scopes) as Caller['scopes'], // they were the caller's
  locations: wire.locations && new Set(wire.locations),
})

/** Whoever asks without credentials, for the operations that are for anyone. */
export const anyone: Caller = { principal: 'anyone', scopes: new Set(), locations: new Set() }

/** From where a request came, as far as the proxies that are trusted say. */
export type Origin = { readonly address: string; readonly userAgent: string | null }

export type Call = {
  readonly caller: Caller
  readonly origin: Origin
  readonly requestId: string
  /** Present and well formed on every operation that moves stock; may be present on other POSTs. */
  readonly idempotencyKey?: string
  /** Fires when the caller has gone away or its time is up. */
  readonly signal?: AbortSignal
  /** When nobody waits for the answer any more, by `performance.now()` of this process. */
  readonly deadline?: number
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

/** A person has signed in: the gateway gives the token to the browser as a cookie. Or out: it takes the cookie away. */
export type SessionChange = { readonly token: string; readonly maxAgeSeconds: number } | 'ended'

export type Answer<Body> =
  | {
      readonly ok: true
      readonly body: Body
      /** Becomes Stock-Sequence. */
      readonly sequence?: number
      /** Becomes Idempotent-Replayed. */
      readonly replayed?: boolean
      /** Becomes Warning and Age: nobody could be asked for anything newer. */
      readonly stale?: { readonly ageSeconds: number }
      readonly session?: SessionChange
    }
  | { readonly ok: false; readonly refusal: Refusal; readonly replayed?: boolean }

/** It was taken, and will be done once: answered 202. */
export type Accepted = { readonly object: 'accepted'; readonly operation: string; readonly idempotency_key: string; readonly detail: string }

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

/** How a part does. `degraded`: it works, and somebody should look. `why` is null while it is up. */
export type PartState = { readonly state: 'up' | 'degraded' | 'down'; readonly why: string | null }

export type Service<Name extends string = string> = {
  readonly name: Name
  readonly handlers: Partial<Handlers>
  /** Fails before it has begun anything: it is tried again. */
  start(): Promise<void>
  /** Stops taking work, finishes what it has, and resolves when nothing of it is left. */
  stop(): Promise<void>
  /** How it does, as far as it knows by itself. Without it, it is up while it runs. */
  state?(): PartState
}

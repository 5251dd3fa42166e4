// While the database is away, what only tells what has physically happened is kept by the broker, and done once afterwards, under its
// key, by the same handler. Nothing that has to be decided is ever kept: nobody may be promised what was not looked at.
import type { Operation } from '@holdfast/contract'
import type { Accepted, Call, Caller } from './services/service.ts'

export type Input = { readonly params?: unknown; readonly query?: unknown; readonly body?: unknown }

export type Deferral = {
  /** Keeps it. Nothing: it has to be decided, or nobody could keep it just now. */
  defer(operation: Operation, input: Input, call: Call): Promise<Accepted | undefined>
}

export type DeferralDeps = {
  /** Resolves when it is safe with the broker; rejects when it may not be. */
  readonly send: (message: { readonly operation: string; readonly input: Input; readonly idempotencyKey: string; readonly caller: Caller }) => Promise<void>
  readonly onDeferred: () => void
  readonly onFault: (error: unknown) => void
}

export const deferral = ({ send, onDeferred, onFault }: DeferralDeps): Deferral => ({
  defer: async ({ name, deferrable }, input, { caller, idempotencyKey }) => {
    if (deferrable !== true || idempotencyKey === undefined || wantsDecision(input)) return undefined
    try {
      await send({ operation: name, input, idempotencyKey, caller })
    } catch (error) {
      // It may be kept all the same: then it is done under this key, and whoever asks again with it hears so.
      onFault(error)
      return undefined
    }
    onDeferred()
    return { object: 'accepted', operation: name, idempotency_key: idempotencyKey, detail: DETAIL }
  },
})

const DETAIL =
  'It cannot be done just now. It is kept, and is done once as soon as it can be; the same request with the same Idempotency-Key then answers what became of it.'

/** Whoever only tries, or names a version, wants to know now. */
const wantsDecision = (input: Input): boolean => {
  // As the operation's schema says.
  const query = input.query as { readonly dry_run?: unknown } | undefined
  const body = input.body as { readonly if_version?: unknown; readonly lines?: unknown } | undefined
  const lines = Array.isArray(body?.lines) ? (body.lines as { readonly if_version?: unknown }[]) : [] // checked against the operation's schema
  return query?.dry_run === true || body?.if_version !== undefined || lines.some((line) => line.if_version !== undefined)
}

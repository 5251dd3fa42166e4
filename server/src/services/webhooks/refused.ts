// A "no" that ends a handler from wherever it is found, a transaction among them.
import type { RejectionCode } from '@holdfast/contract'
import { faultOf } from '../../storage/fault.ts'
import type { Answer, Refusal } from '../service.ts'

export class Refused extends Error {
  readonly refusal: Refusal
  constructor(code: RejectionCode, detail: string, facts: Omit<Refusal, 'code' | 'detail'> = {}) {
    super(detail)
    this.name = 'Refused'
    this.refusal = { code, detail, ...facts }
  }
}

/** A refusal that was thrown becomes an answer, and so does a database that is away. Defects go on. */
export const guarded =
  <Input, Call, Body>(handler: (input: Input, call: Call) => Promise<Answer<Body>>) =>
  async (input: Input, call: Call): Promise<Answer<Body>> => {
    try {
      return await handler(input, call)
    } catch (error) {
      if (error instanceof Refused) return { ok: false, refusal: error.refusal }
      const fault = faultOf(error)
      if (fault === undefined) throw error
      const isBusy = fault.kind === 'busy' || fault.kind === 'refused'
      return {
        ok: false,
        refusal: isBusy
          ? { code: 'overloaded', detail: 'the database is busy; nothing was done, try again', retryAfterSeconds: 1 }
          : { code: 'unavailable', detail: 'the database cannot be reached; try again', retryAfterSeconds: 1 },
      }
    }
  }

export const reused = (): Refused => new Refused('idempotency_key_reused', 'this Idempotency-Key was used for another request; use a new key for a new request')

export const invalid = (param: string, message: string): Refused => new Refused('invalid_request', `${param} ${message}`, { errors: [{ param, message }] })

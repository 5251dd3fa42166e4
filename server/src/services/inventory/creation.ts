// Making what is no stock, an item or a location: once for its key, and refused when there is one already.
import { Fault, UNIQUE_VIOLATION } from '../../storage/fault.ts'
import { lookUpKey, rememberKey, type Key } from '../../storage/idempotency.ts'
import { transaction, type Connection, type Pool } from '../../storage/pool.ts'
import type { Answer } from '../service.ts'
import { Refused } from './submit.ts'

export type Creation<Made, Wire> = {
  readonly pool: Pool
  readonly key: Key | undefined
  readonly make: (connection: Connection) => Promise<Made>
  readonly render: (made: Made) => Wire
  /** Told once it stands, and not before. */
  readonly stands: (made: Made) => void
  /** What is said when there is one already. */
  readonly taken: string
}

export const createOnce = async <Made extends { readonly sequence: number }, Wire>(creation: Creation<Made, Wire>): Promise<Answer<Wire>> => {
  try {
    // Somebody who was first may have had the same key. Then its answer is remembered by now, and found.
    return await attempt(creation).catch((error: unknown) => (isTaken(error) && creation.key ? attempt(creation) : Promise.reject(error)))
  } catch (error) {
    if (isTaken(error)) throw new Refused('already_exists', creation.taken)
    throw error
  }
}

const attempt = async <Made extends { readonly sequence: number }, Wire>({ pool, key, make, render, stands }: Creation<Made, Wire>): Promise<Answer<Wire>> => {
  const done = await transaction(pool, async (connection) => {
    const before = key && (await lookUpKey(connection, key))
    if (before === 'reused') throw new Refused('idempotency_key_reused', 'this Idempotency-Key was used for another request; use a new key for a new request')
    if (before) return { body: before.answer as Wire } // what was remembered under the same fingerprint
    const made = await make(connection)
    const body = render(made)
    if (key) await rememberKey(connection, key, body)
    return { made, body }
  })
  if (done.made === undefined) return { ok: true, body: done.body, replayed: true }
  stands(done.made)
  return { ok: true, body: done.body, sequence: done.made.sequence }
}

const isTaken = (error: unknown): boolean => error instanceof Fault && error.sqlState === UNIQUE_VIOLATION

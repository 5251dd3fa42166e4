// What makes something: done once for its Idempotency-Key, and answered again without what is shown only once.
import { Fault, UNIQUE_VIOLATION } from '../../storage/fault.ts'
import { lookUpKey, rememberKey, type Key } from '../../storage/idempotency.ts'
import { transaction, type Connection, type Pool } from '../../storage/pool.ts'
import type { Answer } from '../service.ts'
import { Refused } from './answer.ts'

/** @param make  answers what is told now, and what is told again; a secret is only in the first */
export const once = async <Wire>(
  pool: Pool,
  key: Key | undefined,
  make: (connection: Connection) => Promise<{ readonly now: Wire; readonly again: Wire }>,
): Promise<Answer<Wire>> => {
  const attempt = () =>
    transaction(pool, async (connection): Promise<Answer<Wire>> => {
      const before = key && (await lookUpKey(connection, key))
      if (before === 'reused') throw new Refused('idempotency_key_reused', 'this Idempotency-Key was used for another request; use a new key for a new request')
      if (before) return { ok: true, body: before.answer as Wire, replayed: true } // what was remembered under the same fingerprint
      const { now, again } = await make(connection)
      if (key) await rememberKey(connection, key, again)
      return { ok: true, body: now }
    })
  // Somebody who was first may have had the same key. Then its answer is remembered by now, and found.
  return attempt().catch((error: unknown) => (key && wasFirst(error) ? attempt() : Promise.reject(error)))
}

const wasFirst = (error: unknown): boolean =>
  error instanceof Refused ? error.refusal.code === 'already_exists' : error instanceof Fault && error.sqlState === UNIQUE_VIOLATION

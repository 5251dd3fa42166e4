// What makes something: done once for its Idempotency-Key, and answered again without what is shown only once.
import { isTaken, once as onceForKey, type Key } from '../../storage/idempotency.ts'
import type { Connection, Pool } from '../../storage/pool.ts'
import { keyReused, Refused } from '../answer.ts'
import type { Answer } from '../service.ts'

/** @param make  answers what is told now, and what is told again; a secret is only in the first */
export const once = async <Wire>(
  pool: Pool,
  key: Key | undefined,
  make: (connection: Connection) => Promise<{ readonly now: Wire; readonly again: Wire }>,
): Promise<Answer<Wire>> => {
  const done = await onceForKey(pool, { key, work: make, remember: ({ again }) => again, wasFirst })
  switch (done.was) {
    case 'reused':
      throw keyReused()
    case 'remembered':
      return { ok: true, body: done.answer as Wire, replayed: true } // what was remembered under the same fingerprint
    case 'done':
      return { ok: true, body: done.made.now }
  }
}

const wasFirst = (error: unknown): boolean => (error instanceof Refused ? error.refusal.code === 'already_exists' : isTaken(error))

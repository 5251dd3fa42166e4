// Making what is no stock, an item or a location: once for its key, and refused when there is one already.
import { isTaken, once, type Key } from '../../storage/idempotency.ts'
import type { Connection, Pool } from '../../storage/pool.ts'
import { keyReused, Refused } from '../answer.ts'
import type { Answer } from '../service.ts'

export type Creation<Made, Wire> = {
  readonly pool: Pool
  readonly key: Key | undefined
  readonly make: (connection: Connection) => Promise<Made>
  readonly render: (made: Made) => Wire
  /** What was remembered, as it is answered now: an older release may have remembered less. */
  readonly recall?: (remembered: Wire) => Wire
  /** Told once it stands, and not before. */
  readonly stands: (made: Made) => void
  /** What is said when there is one already. */
  readonly taken: string
}

export const createOnce = async <Made extends { readonly sequence: number }, Wire>({
  pool,
  key,
  make,
  render,
  recall = (remembered) => remembered,
  stands,
  taken,
}: Creation<Made, Wire>): Promise<Answer<Wire>> => {
  const done = await once(pool, { key, work: make, remember: render }).catch((error: unknown) => {
    throw isTaken(error) ? new Refused('already_exists', taken) : error
  })
  switch (done.was) {
    case 'reused':
      throw keyReused()
    case 'remembered':
      return { ok: true, body: recall(done.answer as Wire), replayed: true } // what was remembered under the same fingerprint
    case 'done':
      stands(done.made)
      return { ok: true, body: render(done.made), sequence: done.made.sequence }
  }
}

// What the handlers of identity are made of.
import type { IdentityLimits } from '../../platform/limits.ts'
import type { Pool } from '../../storage/pool.ts'
import type { Attempts } from './attempts.ts'
import type { PasswordGate } from './password-gate.ts'
import type { Recall } from './recall.ts'

export type Parts = {
  readonly pool: Pool
  readonly keys: Recall
  readonly sessions: Recall
  readonly passwords: PasswordGate
  readonly attempts: Attempts
  readonly limits: IdentityLimits
  /** May anybody become a shopper? */
  readonly registration: boolean
}

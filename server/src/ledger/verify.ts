// Verify and rebuild: the ledger's entries are the truth, and everything else must follow from them.
import { rebuildLevels, ruleCount, verifyLedger, type Verified } from '../storage/verification.ts'
import { transaction, type Pool } from '../storage/pool.ts'

export type { Verified }
export { ruleCount }

/** Online: one snapshot, beside whatever else goes on. `pool` must have no limit on the time of a statement. */
export const verify = (pool: Pool, onRule: (name: string, violations: number) => void = () => undefined, signal?: AbortSignal): Promise<Verified> =>
  verifyLedger(pool, onRule, signal)

/** Writers wait while the levels are made anew. */
export const rebuild = (pool: Pool): Promise<{ levels: number; changed: number }> => transaction(pool, rebuildLevels)

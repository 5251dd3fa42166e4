// The ledger's monthly partitions.
import type { Pool } from './pool.ts'

/** Months of the ledger are made ahead, so that nothing that happens has no place to stand. */
export const makeMonths = async (pool: Pool, ahead: number): Promise<void> => {
  await pool.query("select make_month((current_date at time zone 'UTC' + make_interval(months => n))::date) from generate_series(0, $1::int) as n", [ahead])
}

// After every run the books are checked, in two ways that know nothing of each other: by the benchmark's own sums, and by
// Holdfast's `verify`.
import { verify } from './holdfast.ts'
import type { Database } from './postgres.ts'
import { fromRoot } from './root.ts'

export type Audit = { readonly holds: number; readonly answered: number; readonly oversold: number; readonly wrong: readonly string[] }

export type Auditor = {
  /**
   * @param answered  holds that callers were told they have; there may be more, whose answers were on their way at the end
   * @param withVerify  false where the past is so long that verifying it would take minutes
   */
  check(run: string, database: Database, answered: number, options?: { readonly withVerify: boolean }): Promise<Audit>
  sum(): { readonly runs: number; readonly answered: number; readonly oversold: number; readonly wrong: readonly string[] }
}

export const auditor = (): Auditor => {
  const audits: Audit[] = []
  return {
    check: async (run, database, answered, { withVerify } = { withVerify: true }) => {
      const out = await database.file(fromRoot('server/test/load/oversold.sql'))
      const found = JSON.parse(out) as { holds: number; oversold: number; astray: number } // answered by oversold.sql
      const verified = withVerify ? await verify(database) : { violations: 0, said: '' }
      const audit = {
        holds: found.holds,
        answered,
        oversold: found.oversold,
        wrong: [
          ...(found.oversold > 0 ? [`${run}: ${found.oversold} units were promised that are not there`] : []),
          ...(found.astray > 0 ? [`${run}: ${found.astray} levels differ from their receipts and holds`] : []),
          ...(found.holds < answered ? [`${run}: ${answered} holds were answered, ${found.holds} are there`] : []),
          ...(verified.violations > 0 ? [`${run}: verify found ${verified.violations} violations ${verified.said}`] : []),
        ],
      }
      audits.push(audit)
      return audit
    },
    sum: () => ({
      runs: audits.length,
      answered: audits.reduce((sum, audit) => sum + audit.answered, 0),
      oversold: audits.reduce((sum, audit) => sum + audit.oversold, 0),
      wrong: audits.flatMap((audit) => audit.wrong),
    }),
  }
}

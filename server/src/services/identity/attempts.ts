// What may be tried only so often: signing in and registering. Kept in the database, so that neither a restart nor another
// process gives more tries. A try counts before it is made: a thousand at once are a thousand tries, and not one.
import { isIPv6 } from 'node:net'
import type { AttemptLimits } from '../../platform/limits.ts'
import { transaction, type Connection, type Pool } from '../../storage/pool.ts'
import { digestOf } from './recall.ts'

export type Tried = {
  readonly what: 'account' | 'address' | 'registration'
  /** Whose: an e-mail address, or where the request came from. */ readonly whose: string
}

export type Attempts = {
  /** Counts a try at all of these, or, when one of them has to wait, at none. Answers the seconds to wait, 0 for none. */
  count(tried: readonly Tried[]): Promise<number>
  /** It was no guess: the tries at an account are forgotten, and elsewhere this one is not counted. */
  forgive(connection: Connection, tried: readonly Tried[]): Promise<void>
  /** Forgets what is long ago. */
  upkeep(): Promise<void>
}

export const attempts = ({ pool, limits }: { readonly pool: Pool; readonly limits: AttemptLimits }): Attempts => ({
  count: async (tried) => {
    const subjects = inOrder(tried, limits)
    const digests = subjects.map(({ subject }) => subject)
    // Who has to wait anyway takes no lock: a flood of tries would otherwise keep all connections waiting for one row.
    const early = await pool.query<{ wait: number | null }>(
      'select ceil(extract(epoch from max(a.blocked_until) - clock_timestamp()))::int as wait from attempts as a where a.subject = any($1)',
      [digests],
    )
    const sooner = early.rows[0]?.wait ?? 0
    if (sooner > 0) return sooner
    return transaction(pool, async (connection) => {
      await connection.query('insert into attempts (subject) select unnest($1::bytea[]) on conflict (subject) do nothing', [digests])
      await connection.query('select from attempts as a where a.subject = any($1) order by a.subject for update', [digests])
      // The clock is read when the rows are locked: read before, it would be behind what somebody wrote while we waited.
      const { rows } = await connection.query<{ subject: Buffer; tries: number; wait: number | null }>(
        `
select a.subject,
       case when a.latest_at < clock.now - make_interval(secs => $2::float8 / 1000) then 0 else a.tries end as tries,
       ceil(extract(epoch from a.blocked_until - clock.now))::int as wait
  from attempts as a, (select clock_timestamp() as now) as clock
 where a.subject = any($1)
 order by a.subject`,
        [digests, limits.forgottenMs],
      )
      const wait = Math.max(0, ...rows.map((row) => row.wait ?? 0))
      if (wait > 0) return wait
      for (const { subject, patience } of subjects) {
        const before = rows.find((row) => row.subject.equals(subject))?.tries ?? 0
        await connection.query(
          `
update attempts as a
   set tries = $2, latest_at = clock_timestamp(), blocked_until = clock_timestamp() + make_interval(secs => $3::float8 / 1000)
 where a.subject = $1`,
          [subject, before + 1, waitAfter(before + 1, patience)],
        )
      }
      return 0
    })
  },
  forgive: async (connection, tried) => {
    for (const { what, subject, patience } of inOrder(tried, limits))
      if (what === 'account') await connection.query('delete from attempts as a where a.subject = $1', [subject])
      else
        await connection.query(
          `
update attempts as a
   set tries = greatest(0, a.tries - 1), blocked_until = case when a.tries <= $2 then null else a.blocked_until end
 where a.subject = $1`,
          [subject, patience.free],
        )
  },
  upkeep: async () => {
    await pool.query(
      `
delete from attempts as a
 where a.subject in (select old.subject from attempts as old
                      where old.latest_at < (select clock_timestamp()) - make_interval(secs => $1::float8 / 1000)
                      limit $2
                        for update skip locked)`,
      [Math.max(limits.forgottenMs, limits.registration.longestWaitMs), limits.forgottenAtOnce],
    )
  },
})

/** In one order: two tries would otherwise wait for each other's rows. */
const inOrder = (tried: readonly Tried[], limits: AttemptLimits) =>
  tried.map((one) => ({ what: one.what, subject: subjectOf(one), patience: limits[one.what] })).toSorted((a, b) => Buffer.compare(a.subject, b.subject))

/** Null while tries are free. */
const waitAfter = (tries: number, { free, firstWaitMs, longestWaitMs }: AttemptLimits['account']): number | null =>
  tries < free ? null : Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(tries - free, MOST_DOUBLINGS))
const MOST_DOUBLINGS = 30

const subjectOf = ({ what, whose }: Tried): Buffer => digestOf(`${what}:${what === 'account' ? whose.toLowerCase() : networkOf(whose)}`)

/** Whoever has an IPv6 address has at least 2^64 of them. */
export const networkOf = (address: string): string => {
  const [plain = ''] = address.split('%', 1)
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::', 2)
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === undefined || tail === '' ? [] : tail.split(':')
  const whole = tail === undefined ? groups : [...groups, ...Array.from({ length: Math.max(0, 8 - groups.length - rest.length) }, () => '0'), ...rest]
  return `${whole
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

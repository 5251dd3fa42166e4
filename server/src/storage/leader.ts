// One leader among all processes: a lock in PostgreSQL that ends with its session, so that a dead leader is none. A leader may be
// asleep while another one is made, and wake up believing that it still leads; so each has a term, a number that grows, and what
// it writes is written only while that is the latest.
import { connect, type Connection, type Pool } from './pool.ts'

/** What is led. The number is the lock's, the same in every release. */
const leaderships = { relay: 7_001, timers: 7_002, monitor: 7_011, verification: 7_012 } as const
export type Leadership = keyof typeof leaderships

export type Leader = {
  /** The term of this process, when it leads; tries to become leader when nobody is. */
  term(): Promise<number | undefined>
  resign(): Promise<void>
}

export const leader = (pool: Pool, leadership: Leadership): Leader => {
  let session: Connection | undefined
  let current: number | undefined
  let trying: Promise<number | undefined> | undefined

  /** Gives the connection back, once, whoever notices first that it broke. */
  const drop = (error: unknown) => {
    const broken = session
    session = undefined
    broken?.release(error instanceof Error ? error : true)
  }
  /** The lock is this session's as long as the session answers. */
  const stillLeads = async (leading: Connection): Promise<number | undefined> => {
    try {
      await leading.query('select 1')
      return session === leading ? current : undefined
    } catch (error) {
      if (session === leading) drop(error)
      return undefined
    }
  }
  const tryToLead = async (): Promise<number | undefined> => {
    const connection = await connect(pool)
    try {
      const { rows } = await connection.query('select pg_try_advisory_lock($1, hashtext(current_schema())) as leads', [leaderships[leadership]])
      if (rows[0].leads !== true) {
        connection.release()
        return undefined
      }
      const term = await connection.query(
        'insert into leaderships as l (name, term) values ($1, 1) on conflict (name) do update set term = l.term + 1 returning l.term',
        [leadership],
      )
      current = term.rows[0].term
    } catch (error) {
      connection.release(error instanceof Error ? error : true)
      throw error
    }
    session = connection
    connection.once('error', (error) => {
      if (session === connection) drop(error)
    })
    return current
  }

  return {
    term: () => (session ? stillLeads(session) : (trying ??= tryToLead().finally(() => (trying = undefined)))),
    resign: async () => {
      // Whoever is about to become leader becomes it first.
      await trying?.catch(() => undefined)
      // The connection is closed, and the lock goes with it.
      drop(undefined)
    },
  }
}

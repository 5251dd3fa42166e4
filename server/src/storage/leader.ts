// One leader among all processes: a lock in PostgreSQL that ends with its session, so that a dead leader is none.
import { connect, type Connection, type Pool } from './pool.ts'

/** What is led. The number is the lock's, the same in every release. */
const leaderships = { relay: 7_001, timers: 7_002 } as const
export type Leadership = keyof typeof leaderships

export type Leader = {
  /** Whether this process leads now; tries to become leader when nobody is. */
  isLeader(): Promise<boolean>
  resign(): Promise<void>
}

export const leader = (pool: Pool, leadership: Leadership): Leader => {
  let session: Connection | undefined

  /** Gives the connection back, once, whoever notices first that it broke. */
  const drop = (error: unknown) => {
    const broken = session
    session = undefined
    broken?.release(error instanceof Error ? error : true)
  }
  /** The lock is this session's as long as the session answers. */
  const stillLeads = async (leading: Connection): Promise<boolean> => {
    try {
      await leading.query('select 1')
      return session === leading
    } catch (error) {
      if (session === leading) drop(error)
      return false
    }
  }
  const tryToLead = async (): Promise<boolean> => {
    const connection = await connect(pool)
    try {
      const { rows } = await connection.query('select pg_try_advisory_lock($1, hashtext(current_schema())) as leads', [leaderships[leadership]])
      if (rows[0].leads !== true) {
        connection.release()
        return false
      }
    } catch (error) {
      connection.release(error instanceof Error ? error : true)
      throw error
    }
    session = connection
    connection.once('error', (error) => {
      if (session === connection) drop(error)
    })
    return true
  }

  return {
    isLeader: () => (session ? stillLeads(session) : tryToLead()),
    resign: async () => {
      // The connection is closed, and the lock goes with it.
      drop(undefined)
    },
  }
}

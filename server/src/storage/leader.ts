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
  const lost = () => {
    session = undefined
  }
  return {
    isLeader: async () => {
      if (session) {
        // The lock is this session's as long as the session answers.
        try {
          await session.query('select 1')
          return true
        } catch (error) {
          session?.release(error instanceof Error ? error : true)
          session = undefined
          return false
        }
      }
      const connection = await connect(pool)
      connection.once('error', lost)
      try {
        const { rows } = await connection.query('select pg_try_advisory_lock($1, hashtext(current_schema())) as leads', [leaderships[leadership]])
        if (rows[0].leads === true) {
          session = connection
          return true
        }
      } catch (error) {
        connection.release(error instanceof Error ? error : true)
        throw error
      }
      connection.removeListener('error', lost)
      connection.release()
      return false
    },
    resign: async () => {
      // The connection is closed, and the lock goes with it.
      session?.release(true)
      session = undefined
    },
  }
}

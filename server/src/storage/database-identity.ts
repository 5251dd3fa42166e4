// Which database this is, for what is kept elsewhere on its behalf.
import { createHash } from 'node:crypto'
import type { Pool } from './pool.ts'

/** The same for every process and through a failover; another for any other database, but not for a copy of this one's files. */
export const databaseIdentity = async (pool: Pool): Promise<string> => {
  const { rows } = await pool.query(`
select s.system_identifier::text as server, d.oid::text as database
  from pg_control_system() as s
 cross join pg_database as d
 where d.datname = current_database()`)
  return createHash('sha256').update(`${rows[0].server} ${rows[0].database}`).digest('hex').slice(0, LETTERS)
}

const LETTERS = 16

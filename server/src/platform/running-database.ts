// The PostgreSQL of another Holdfast that serves from the same data directory, for a command that is run beside it. It is used,
// and left to its owner.
import pg from 'pg'
import { DATABASE, DATABASE_USER, hasData, locateCluster, prepareDataDirectory, readLogin } from './postgres-cluster.ts'
import type { Logger } from './log.ts'

const CONNECT_LIMIT_MS = 5_000

/** Its address; nothing when none answers. */
export const runningDatabase = async ({
  dataDir,
  log,
}: {
  readonly dataDir: string
  readonly log: Pick<Logger, 'info' | 'warn'>
}): Promise<string | undefined> => {
  const cluster = locateCluster(prepareDataDirectory(dataDir), log)
  const login = hasData(cluster) ? readLogin(cluster) : undefined
  if (login === undefined) return undefined
  const url = `postgres://${DATABASE_USER}:${login.password}@127.0.0.1:${login.port}/${DATABASE}`
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS })
  client.on('error', () => {})
  try {
    await client.connect()
    return url
  } catch {
    // Not running, or somebody else's by now: the caller says why it could not start one of its own.
    return undefined
  } finally {
    await client.end().catch(() => {})
  }
}

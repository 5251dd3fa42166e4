// Connections to PostgreSQL: how values are read, which limits the server keeps for us, and what becomes of a broken one.
import type { Socket } from 'node:net'
import pg from 'pg'
import { databaseServers } from '../platform/database-servers.ts'
import { Fault, faultOf } from './fault.ts'

export type PoolOptions = {
  readonly url: string
  readonly size: number
  /** Sends statements without waiting for the answer of the one before. For the ledger's batches. */
  readonly pipeline?: boolean
  /** The server ends a statement after this. 0: no limit (verification, rebuild). */
  readonly statementTimeoutMs: number
  readonly lockTimeoutMs: number
  readonly applicationName: string
  /** Told of connections that broke while nobody used them. */
  readonly onBroken?: (error: Error) => void
}
export type Pool = pg.Pool
export type Connection = pg.PoolClient

/** A transaction that its process forgot is ended by the server, so that its locks are not kept. */
const IDLE_IN_TRANSACTION_MS = 5_000
const CONNECT_TIMEOUT_MS = 2_000
/** The server ends a statement by itself. A server that cannot even do that is given up a little later, and its connection with it. */
const SILENCE_MS = 2_000
/** A connection on which nothing is said for this long is probed; a machine that is gone is noticed some ten seconds later. */
const KEEP_ALIVE_MS = 10_000

export const openPool = ({ url, size, pipeline, statementTimeoutMs, lockTimeoutMs, applicationName, onBroken }: PoolOptions): Pool => {
  const servers = databaseServers(url)
  const pool = new pg.Pool({
    Client: servers.Client,
    connectionString: servers.url,
    max: size,
    ...(pipeline ? { pipeline } : {}),
    types: { getTypeParser: parserOf },
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 30_000,
    application_name: applicationName,
    statement_timeout: statementTimeoutMs,
    ...(statementTimeoutMs > 0 ? { query_timeout: statementTimeoutMs + SILENCE_MS } : {}),
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    lock_timeout: lockTimeoutMs,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    onConnect: prepareSession,
  })
  const broke = (error: Error) => {
    servers.lost()
    onBroken?.(error)
  }
  pool.on('error', broke)
  pool.on('connect', (connection) => {
    // A connection that is in use emits its own errors, and without a listener they would end the process.
    connection.on('error', broke)
    breakWhereStandbyIsPassedOver(connection)
  })
  // Whoever gave it back found that it was lost, or that its server takes no writes.
  pool.on('release', (error: Error | boolean | undefined) => {
    if (error === true || (error && faultOf(error)?.connectionLost)) servers.lost()
  })
  return pool
}

/**
 * Requests take a few milliseconds. Where nothing is known of a table yet, PostgreSQL believes that they take minutes, and compiles
 * them for 60 ms and more, each time. Said as a statement: poolers refuse what they do not know when a connection is made. The pool
 * waits for what is answered here, which its types do not say.
 */
const prepareSession = (connection: pg.ClientBase): unknown => connection.query('set jit = off')

/**
 * When the wait for a synchronous standby is cut short, PostgreSQL warns and answers as if all were well, although the commit is
 * not where it was to be. Whoever is about to be told so is told that it is unknown, whatever the statement was.
 */
const breakWhereStandbyIsPassedOver = (connection: pg.ClientBase): void => {
  const { connection: inside } = connection as unknown as { connection: { readonly stream: Socket; emit(event: 'error', error: Error): void } } // the driver's own
  connection.on('notice', (notice) => {
    // Its text is in the server's language; the name of the function is not.
    if (notice.routine !== 'SyncRepWaitForLSN') return
    // As if the socket had broken before the answer, which is on its way already.
    inside.emit('error', new Fault('unknown', true, notice.code, new Error(notice.message)))
    inside.stream.destroy()
  })
}

/**
 * Runs `body` in one transaction and looks at what COMMIT said: a transaction that had failed answers ROLLBACK without an
 * error. The body may be run again by its caller, so it must have no effect but its statements.
 */
export const transaction = async <Result>(pool: Pool, body: (connection: Connection) => Promise<Result>): Promise<Result> => {
  const connection = await connect(pool)
  let broken: Error | undefined
  try {
    await connection.query('begin')
    const result = await body(connection)
    await commit(connection)
    return result
  } catch (error) {
    const fault = faultOf(error)
    if (fault?.connectionLost) broken = fault
    else await connection.query('rollback').catch((rollbackError: Error) => (broken = rollbackError))
    throw fault ?? error
  } finally {
    connection.release(broken)
  }
}

/**
 * Sends all that `send` asks for in one write to the socket. A pipeline is otherwise a write a statement, and these were a
 * quarter of the server's time under load.
 */
export const inOneWrite = <Result>(connection: Connection, send: () => Result): Result => {
  const { stream } = (connection as unknown as { connection: { stream: Socket } }).connection // the driver's own, which its types do not show
  stream.cork()
  try {
    return send()
  } finally {
    stream.uncork()
  }
}

export const connect = async (pool: Pool): Promise<Connection> => {
  try {
    return await pool.connect()
  } catch (error) {
    throw faultOf(error, 'connect') ?? error
  }
}

/** Commits, or throws: `unknown` when the answer was lost. */
export const commit = async (connection: Connection): Promise<void> => {
  let tag: string
  try {
    tag = (await connection.query('commit')).command
  } catch (error) {
    throw faultOf(error, 'commit') ?? error
  }
  if (tag !== 'COMMIT') throw new Error(`COMMIT answered ${tag}: the transaction had failed before`)
}

/** `bigint` columns are whole numbers that JavaScript can hold, or refused: never rounded. */
const safeInteger = (text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} is beyond what can be counted exactly`)
  return value
}
const INT8 = 20
const INT8_ARRAY = 1016
const JSON_TYPE = 114
const JSONB_TYPE = 3802

const parserOf = (oid: number, format?: 'text' | 'binary'): ((value: string) => unknown) => {
  if (oid === INT8) return safeInteger
  if (oid === INT8_ARRAY) return (text) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(safeInteger))
  if (oid === JSON_TYPE || oid === JSONB_TYPE) return (text) => JSON.parse(text) as unknown
  return pg.types.getTypeParser(oid, format ?? 'text') as (value: string) => unknown // the overloads differ by format only
}

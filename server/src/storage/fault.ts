// What failed outside of us when we spoke to PostgreSQL, and what that means for the transaction.

/**
 * refused      the database said no and rolled back: run it again, or let the command at fault stand alone
 * busy         a lock or a statement took too long, and it was rolled back
 * unavailable  the database could not be reached, or went away before a commit was asked for: nothing happened
 * unknown      the answer of a commit was lost: it may stand or not
 */
export type FaultKind = 'refused' | 'busy' | 'unavailable' | 'unknown'

export class Fault extends Error {
  readonly kind: FaultKind
  readonly connectionLost: boolean
  readonly sqlState: string | undefined
  constructor(kind: FaultKind, connectionLost: boolean, sqlState: string | undefined, cause: unknown) {
    super(`${kind}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.name = 'Fault'
    this.kind = kind
    this.connectionLost = connectionLost
    this.sqlState = sqlState
  }
}

/** As the unique constraint says it, but before a number of the sequence is used up for nothing. */
export const taken = (name: string): Fault => new Fault('refused', false, UNIQUE_VIOLATION, new Error(`${name} is there already`))
export const UNIQUE_VIOLATION = '23505'

/** Nothing when the error is a defect of ours (a statement that cannot run), which must not be retried. */
export const faultOf = (error: unknown, during: 'connect' | 'statement' | 'commit' = 'statement'): Fault | undefined => {
  if (error instanceof Fault) return error
  const sqlState = codeOf(error)
  const away = during === 'commit' ? 'unknown' : 'unavailable'
  if (sqlState === undefined) {
    // The driver's own errors have no SQLSTATE: a socket that closed, a connection that was not made in time. They are plain: what has a
    // name, such as a SyntaxError of an unterminated string, was never about a connection.
    const message = error instanceof Error && error.name === 'Error' ? error.message : ''
    return /connection|socket|terminated|timeout|not queryable|ended/i.test(message) ? new Fault(away, true, undefined, error) : undefined
  }
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOENT|ENOTFOUND|EAI_)/.test(sqlState)) return new Fault(away, true, sqlState, error)
  if (sqlState === '55P03' || sqlState === '57014') return new Fault('busy', false, sqlState, error)
  // 25P03: idle in transaction for too long. 25006: a server that is no longer the primary. Class 53: out of resources.
  if (sqlState.startsWith('08') || sqlState.startsWith('57P') || sqlState === '25P03' || sqlState === '25006') return new Fault(away, true, sqlState, error)
  // A database that takes nobody in for now. By itself the state says little: a statement that came at the wrong time has it, too.
  if (sqlState === '55000' && isOfTheDoor(error)) return new Fault('unavailable', true, sqlState, error)
  if (sqlState.startsWith('53')) return new Fault('unavailable', false, sqlState, error)
  if (sqlState.startsWith('40') || sqlState.startsWith('23')) return new Fault('refused', false, sqlState, error)
  return undefined
}

/** Whether a statement failed only because one before it, in the same transaction, had. */
export const isAftermath = (error: unknown): boolean => codeOf(error) === '25P02'

/** Whether an error says that the database could not be asked. */
export const isAway = (error: unknown): boolean => {
  const kind = faultOf(error)?.kind
  return kind === 'unavailable' || kind === 'unknown'
}

/** Whether an error says that the database is away or busy for now, and nothing of what was asked of it. */
export const isPassing = (error: unknown): boolean => {
  const fault = faultOf(error)
  return fault !== undefined && (fault.kind !== 'refused' || fault.sqlState?.startsWith('40') === true)
}

/** PostgreSQL's own function that looks whether one may come in; all else that it says of an error is in the server's language. */
const isOfTheDoor = (error: unknown): boolean => typeof error === 'object' && error !== null && 'routine' in error && error.routine === 'CheckMyDatabase'

const codeOf = (error: unknown): string | undefined => {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

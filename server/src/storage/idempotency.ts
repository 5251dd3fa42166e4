// Idempotency keys of operations that do not move stock. Those that do are written with their batch (ledger-store.ts).
import { hash } from 'node:crypto'
import type { Uuid } from '../domain/ids.ts'
import { Fault, UNIQUE_VIOLATION } from './fault.ts'
import type { Remembered } from './ledger-store.ts'
import { transaction, type Connection, type Pool } from './pool.ts'

export type Key = { readonly key: Uuid; readonly fingerprint: Uuid }

/** As much of a call as a key is made of. */
type Keyed = { readonly caller: { readonly principal: string }; readonly idempotencyKey?: string }

/** The key of a caller: two callers may use the same words for their keys. */
export const keyOf = ({ operation, input, call }: { readonly operation: string; readonly input: unknown; readonly call: Keyed }): Key | undefined =>
  call.idempotencyKey === undefined
    ? undefined
    : { key: digest(`${call.caller.principal}\n${call.idempotencyKey}`), fingerprint: digest(`${operation}\n${canonical(input)}`) }

export type Once<Made> =
  | { readonly was: 'done'; readonly made: Made }
  /** It was done before under this key; this is what was remembered of it. */
  | { readonly was: 'remembered'; readonly answer: unknown }
  /** The key stands for another request, and nothing was done. */
  | { readonly was: 'reused' }

/**
 * Does something once for its key, which is written with it in one transaction. Two that come at the same time with one key
 * do it once: the second finds what the first has left.
 * @param remember  what is kept of it, to be answered again
 * @param wasFirst  whether an error may mean that somebody with the same key was first
 */
export const once = async <Made>(
  pool: Pool,
  {
    key,
    work,
    remember,
    wasFirst = isTaken,
  }: {
    readonly key: Key | undefined
    readonly work: (connection: Connection) => Promise<Made>
    readonly remember: (made: Made) => unknown
    readonly wasFirst?: (error: unknown) => boolean
  },
): Promise<Once<Made>> => {
  const attempt = () =>
    transaction(pool, async (connection): Promise<Once<Made>> => {
      const before = key && (await lookUpKey(connection, key))
      if (before === 'reused') return { was: 'reused' }
      if (before) return { was: 'remembered', answer: before.answer }
      const made = await work(connection)
      if (key) await rememberKey(connection, key, remember(made))
      return { was: 'done', made }
    })
  return attempt().catch((error: unknown) => (key !== undefined && wasFirst(error) ? attempt() : Promise.reject(error)))
}

/** Whether something was refused because it, or its key, is there already. */
export const isTaken = (error: unknown): boolean => error instanceof Fault && error.sqlState === UNIQUE_VIOLATION

/** The remembered answer; `reused` when the key stands for another request. */
export const lookUpKey = async (connection: Connection, { key, fingerprint }: Key): Promise<{ answer: unknown } | 'reused' | undefined> => {
  const { rows } = await connection.query('update idempotency_keys as k set replays = k.replays + 1 where k.key = $1 returning k.fingerprint, k.answer', [key])
  if (rows[0] === undefined) return undefined
  return rows[0].fingerprint === fingerprint && rows[0].answer !== null ? { answer: rows[0].answer } : 'reused'
}

export const rememberKey = async (connection: Connection, { key, fingerprint }: Key, answer: unknown): Promise<void> => {
  await connection.query(
    "insert into idempotency_keys (key, fingerprint, answer, created_at) values ($1, $2, $3, date_trunc('milliseconds', clock_timestamp()))",
    [key, fingerprint, JSON.stringify(answer)],
  )
}

/** What the ledger remembers under a key, when it stands for this very request. */
export const rememberedOutcome = async (pool: Pool, { key, fingerprint }: Key): Promise<{ outcome: Remembered['outcome']; sequence: number } | undefined> => {
  const { rows } = await pool.query(
    `
update idempotency_keys as k
   set replays = k.replays + 1
 where k.key = $1 and k.fingerprint = $2
returning k.sequence, k.answer, (select e.data from events as e where e.sequence = k.sequence and e.occurred_at = k.created_at) as data`,
    [key, fingerprint],
  )
  const row = rows[0]
  return row === undefined ? undefined : { outcome: row.answer ?? { ok: true, answer: row.data }, sequence: row.sequence ?? 0 }
}

/** Forgets keys older than `ageMs`, at most `limit` at a time. Answers how many. */
export const forgetOldKeys = async (pool: Pool, ageMs: number, limit: number): Promise<number> => {
  const { rowCount } = await pool.query(
    `
delete from idempotency_keys as k
 where k.ctid = any(array(select old.ctid from idempotency_keys as old
                           where old.created_at < (select clock_timestamp()) - make_interval(secs => $1::float8 / 1000)
                           limit $2))`,
    [ageMs, limit],
  )
  return rowCount ?? 0
}

/** 128 bits of SHA-256, as a uuid: long enough that nobody finds two requests with one. */
export const digest = (text: string): Uuid => {
  const hex = hash('sha256', text, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}` as Uuid // made of 32 hex digits
}

/** JSON with sorted keys: the same request written in another order is the same request. */
const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`
}

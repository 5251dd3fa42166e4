// API keys over the API: made, narrowed, rotated and revoked by whoever may do at least as much as they can.
import type { OutputOf, Operations, Scope } from '@holdfast/contract'
import { encodeId, type Uuid } from '../../domain/ids.ts'
import { uuidV7 } from '../../platform/random.ts'
import { audit, changesBetween, type AskedBy } from '../../storage/audit.ts'
import { keyOf } from '../../storage/idempotency.ts'
import { transaction, type Connection } from '../../storage/pool.ts'
import { Refused, byId, guarded, invalid, iso, namedId, noSuch, pageOf, placeOf } from '../answer.ts'
import type { Call, Handlers } from '../service.ts'
import { newApiKey } from './api-keys.ts'
import { checkGiving, checkLocations, givenRate, isWithin, orderedLocations, orderedScopes, withinOf } from './giving.ts'
import type { Parts } from './parts.ts'
import { once } from './once.ts'
import { digestOf } from './recall.ts'
import { expireKey, insertKey, keyById, keysPage, lockKey, revoke, updateKey, type KeyRow, type NewKey } from './store.ts'

type WireKey = OutputOf<Operations['api_keys']['get']>

export const keyHandlers = ({ pool, keys }: Parts): Handlers['api_keys'] => {
  /** A key that the caller may change: it is there for them, and can do no more than they can. */
  const locked = async (connection: Connection, id: string, { caller }: Call): Promise<KeyRow & { readonly live: boolean }> => {
    const row = await lockKey(connection, namedId('api_key', id))
    if (row === undefined || !isWithin(caller, row.locations)) throw noSuch('api_key', id)
    checkGiving(caller, row)
    return row
  }
  const forgotten = (row: KeyRow) => keys.forget(({ apiKey }) => apiKey?.id === encodeId('api_key', row.id as Uuid)) // the column is a uuid

  return guarded({
    create: async ({ body }, call) => {
      const scopes = orderedScopes(body.scopes)
      const locations = body.locations === undefined ? withinOf(call.caller) : orderedLocations(body.locations)
      checkGiving(call.caller, { scopes, locations })
      const rateLimit = givenRate(call.caller, body.rate_limit)
      await checkLocations(pool, body.locations)
      return once(pool, keyOf({ operation: 'api_keys.create', input: body, call }), async (connection) => {
        const made = await makeKey(connection, call, { name: body.name, scopes, locations, rateLimit, expiresInSeconds: body.expires_in_seconds })
        return { now: { ...render(made.row), key: made.key }, again: render(made.row) }
      })
    },
    list: ({ query }, { caller }) =>
      pageOf(
        query,
        byId(async (limit) =>
          (
            await keysPage(pool, {
              principal: query.principal ?? null,
              within: withinOf(caller),
              before: placeOf('api_key', query.starting_after),
              limit,
            })
          ).map(render),
        ),
      ),
    get: async ({ params }, { caller }) => {
      const row = await keyById(pool, namedId('api_key', params.id))
      if (row === undefined || !isWithin(caller, row.locations)) throw noSuch('api_key', params.id)
      return { ok: true, body: render(row) }
    },
    update: async ({ params, body }, call) => {
      await checkLocations(pool, body.locations)
      const row = await transaction(pool, async (connection) => {
        const before = await locked(connection, params.id, call)
        const scopes = body.scopes === undefined ? before.scopes : orderedScopes(body.scopes)
        const locations = body.locations === undefined ? before.locations : orderedLocations(body.locations)
        if (scopes.some((scope) => !before.scopes.includes(scope))) throw invalid('scopes', 'must be among those that the key has; for more, make a new key')
        if (before.locations !== null && (locations === null || locations.some((code) => !before.locations?.includes(code))))
          throw invalid('locations', 'must be among those that the key has; for more, make a new key')
        const rateLimit = body.rate_limit === undefined ? before.rate_limit : givenRate(call.caller, body.rate_limit)
        const after = await updateKey(connection, before.id, { name: body.name ?? before.name, scopes, locations, rate_limit: rateLimit })
        await told(connection, call, 'api_key.updated', before, after)
        return after
      })
      forgotten(row)
      return { ok: true, body: render(row) }
    },
    revoke: async ({ params }, call) => {
      const row = await transaction(pool, async (connection) => {
        const before = await locked(connection, params.id, call)
        if (before.revoked_at !== null) return before
        const after = await revoke(connection, before.id)
        if (after === undefined) throw new Error(`key ${before.id} was locked and is gone`)
        await told(connection, call, 'api_key.revoked', before, after)
        return after
      })
      forgotten(row)
      return { ok: true, body: render(row) }
    },
    rotate: async ({ params, body }, call) => {
      let old: KeyRow | undefined
      const answer = await once(pool, keyOf({ operation: 'api_keys.rotate', input: { id: params.id, ...body }, call }), async (connection) => {
        const before = await locked(connection, params.id, call)
        if (!before.live) throw new Refused('invalid_request', `${params.id} is revoked or has expired; make a new key`)
        const made = await makeKey(connection, call, {
          name: before.name,
          principal: before.principal,
          scopes: before.scopes,
          locations: before.locations,
          rateLimit: before.rate_limit,
          // Made for as long as the one that it replaces was.
          expiresInSeconds: before.expires_at === null ? null : (before.expires_at.getTime() - before.created_at.getTime()) / 1_000,
        })
        old = await expireKey(connection, before.id, body.overlap_seconds ?? DEFAULT_OVERLAP_SECONDS)
        await told(connection, call, 'api_key.rotated', before, old)
        return { now: { ...render(made.row), key: made.key }, again: render(made.row) }
      })
      if (old) forgotten(old)
      return answer
    },
  })
}

/** A day: time to put the new key in its place, and to notice when that was forgotten somewhere. */
const DEFAULT_OVERLAP_SECONDS = 86_400

export type KeyWanted = Omit<NewKey, 'id' | 'digest' | 'principal'> & { readonly principal?: string | undefined }

/** Makes a key and tells of it. `key` is the only copy there will ever be. */
export const makeKey = async (
  connection: Connection,
  by: AskedBy,
  { principal, ...wanted }: KeyWanted,
): Promise<{ readonly row: KeyRow; readonly key: string }> => {
  const id = uuidV7()
  const key = newApiKey(id)
  const row = await insertKey(connection, { ...wanted, id, principal: principal ?? id, digest: digestOf(key) })
  if (row === undefined) throw new Error('a key with this digest exists: the random numbers of this machine repeat')
  await told(connection, by, 'api_key.created', null, row)
  return { row, key }
}

/** Tells of what became of a key, by the fields that others see. */
export const told = (connection: Connection, by: AskedBy, action: string, before: KeyRow | null, after: KeyRow): Promise<void> => {
  const { id } = render(after)
  return audit(connection, by, { action, subject: { kind: 'api_key', id }, changes: changesBetween(before && render(before), render(after)) })
}

const render = (row: KeyRow): WireKey => ({
  object: 'api_key',
  id: encodeId('api_key', row.id as Uuid), // the column is a uuid
  name: row.name,
  principal: row.principal,
  scopes: orderedScopes(row.scopes as Scope[]), // only what is of the table comes through
  locations: row.locations === null ? null : [...row.locations],
  rate_limit: row.rate_limit === null || row.rate_limit === 'unlimited' ? row.rate_limit : { ...row.rate_limit },
  created_at: iso(row.created_at),
  expires_at: row.expires_at && iso(row.expires_at),
  revoked_at: row.revoked_at && iso(row.revoked_at),
  last_used_at: row.last_used_at && iso(row.last_used_at),
})

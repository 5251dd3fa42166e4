// Endpoints: making, changing, rotating, disabling. Every change is an event, and has the next version.
import type { Uuid } from '../../domain/ids.ts'
import { decodeId, encodeId } from '../../domain/ids.ts'
import { messageOf } from '../../platform/error.ts'
import type { WebhookLimits } from '../../platform/limits.ts'
import type { SecretBox } from '../../platform/secret-box.ts'
import { appendEvent, headSequence, sequenceBefore } from '../../storage/events.ts'
import { audit, changesBetween } from '../../storage/audit.ts'
import { keyOf, lookUpKey, once, type Key } from '../../storage/idempotency.ts'
import { transaction, type Connection, type Pool } from '../../storage/pool.ts'
import { Refused, guarded, invalid, pageOf, keyReused } from '../answer.ts'
import type { Answer, Call, Handlers } from '../service.ts'
import type { Doorkeeper } from './address.ts'
import type { deliverer } from './deliver.ts'
import { renderDelivery, renderEndpoint, toldOf, type WireEndpoint } from './render.ts'
import { newSecret } from './sign.ts'
import {
  allSecrets,
  askReplay,
  changeEndpoint,
  countEndpoints,
  deleteEndpoint,
  disableEndpoint,
  enableEndpoint,
  getDelivery,
  getEndpoint,
  insertEndpoint,
  listDeliveries,
  listEndpoints,
  lockEndpoint,
  replaceSecrets,
  rotateSecret,
  sendAgain,
  setSinceSequence,
  setVersion,
  type Endpoint,
  type Secrets,
} from './store.ts'

export type EndpointDeps = {
  readonly pool: Pool
  /** Without it there is nothing to lock secrets with, and no endpoint can be made. */
  readonly box: SecretBox | undefined
  readonly doorkeeper: Pick<Doorkeeper, 'faultOf'>
  readonly deliver: ReturnType<typeof deliverer>
  readonly newId: () => Uuid
  readonly limits: Pick<WebhookLimits, 'endpoints'>
  /** Something is due now. */
  readonly wake: () => void
  /** A replay was asked for. */
  readonly wakeReplays: () => void
}

type EventType = 'webhook_endpoint.created' | 'webhook_endpoint.updated' | 'webhook_endpoint.disabled' | 'webhook_endpoint.deleted'
type Teller = Pick<Call, 'requestId'> & { readonly actor: string }
const tellerOf = ({ caller, requestId }: Call): Teller => ({ actor: caller.principal, requestId })

/** Tells what became of an endpoint, as the last thing in its transaction. Answers the sequence. */
const tell = (connection: Connection, type: EventType, endpoint: Endpoint, { actor, requestId }: Teller): Promise<number> =>
  appendEvent(connection, {
    type,
    subject: { kind: 'webhook_endpoint', id: encodeId('webhook_endpoint', endpoint.id), version: endpoint.version },
    actor,
    requestId,
    data: toldOf(endpoint),
  })

/** Tells by whom it was done, and from where. As its event, it says of the url only whether it changed: the rest may be a secret. */
const audited = (connection: Connection, call: Call, action: string, before: Endpoint | null, after: Endpoint): Promise<void> =>
  audit(connection, call, {
    action: `webhook_endpoint.${action}`,
    subject: { kind: 'webhook_endpoint', id: encodeId('webhook_endpoint', after.id) },
    changes: {
      ...changesBetween(before && toldOf(before), toldOf(after)),
      ...(before === null || before.url === after.url ? {} : { url: { before: HIDDEN, after: HIDDEN } }),
    },
  })
const HIDDEN = 'not shown'

/** Because of what its receiver answered, or did not. Done once, whoever notices first. */
export const disabler =
  (pool: Pool) =>
  (id: Uuid, reason: 'gone' | 'failing'): Promise<void> =>
    transaction(pool, async (connection) => {
      const before = await lockEndpoint(connection, id)
      if (before?.status !== 'enabled') return
      await disableEndpoint(connection, id, reason)
      await tell(connection, 'webhook_endpoint.disabled', await setVersion(connection, id), { actor: 'system', requestId: 'webhooks' })
    })

export const secretsOpener =
  (box: SecretBox | undefined) =>
  (endpoint: Uuid, { secret, previousSecret }: Secrets): readonly string[] => {
    const keyed = boxOrRefusal(box)
    try {
      return [secret, previousSecret].flatMap((sealed) => (sealed === null ? [] : [keyed.open(sealed, placeOf(endpoint))]))
    } catch (error) {
      const detail = 'the secret was locked with a key that this server does not have; give it back, or rotate the secret with an overlap of 0'
      throw new Refused('unavailable', `${detail} (${messageOf(error)})`, { retryAfterSeconds: 60 })
    }
  }

/** When the key was replaced, what the one before had locked is locked anew, so that the one before can go. */
export const relockSecrets = async (pool: Pool, box: SecretBox | undefined): Promise<void> => {
  if (box === undefined) return
  for (const { id, ...before } of await allSecrets(pool)) {
    if (box.isCurrent(before.secret) && (before.previousSecret === null || box.isCurrent(before.previousSecret))) continue
    const relock = (sealed: string) => box.seal(box.open(sealed, placeOf(id)), placeOf(id))
    await replaceSecrets(pool, id, before, {
      secret: relock(before.secret),
      previousSecret: before.previousSecret === null ? null : relock(before.previousSecret),
    })
  }
}

const placeOf = (id: Uuid) => ({ table: 'webhook_endpoints', row: id })
const boxOrRefusal = (box: SecretBox | undefined): SecretBox => {
  if (box === undefined)
    throw new Refused('unavailable', 'this server has no key to lock secrets with; its operator sets HOLDFAST_SECRET_KEY', { retryAfterSeconds: 60 })
  return box
}

export const endpointHandlers = (deps: EndpointDeps): Pick<Handlers, 'webhook_endpoints' | 'webhook_deliveries'> => {
  const { pool, box, doorkeeper, deliver, newId, limits, wake, wakeReplays } = deps
  const openSecrets = secretsOpener(box)

  const named = (id: string): Uuid => {
    const uuid = decodeId('webhook_endpoint', id)
    if (uuid === undefined) throw noEndpoint(id)
    return uuid
  }
  const existing = async (id: string): Promise<Endpoint & Secrets> => {
    const endpoint = await getEndpoint(pool, named(id))
    if (endpoint === undefined) throw noEndpoint(id)
    return endpoint
  }
  const locked = async (connection: Connection, id: string): Promise<Endpoint & Secrets> => {
    const endpoint = await lockEndpoint(connection, named(id))
    if (endpoint === undefined) throw noEndpoint(id)
    return endpoint
  }
  const checkUrl = async (url: string): Promise<void> => {
    const fault = await doorkeeper.faultOf(url)
    if (fault !== undefined) throw invalid('url', fault)
  }

  /** A secret that is answered again is remembered as it is kept: locked. */
  type Shown = { readonly endpoint: WireEndpoint; readonly secret: string }
  /** Not when it has been replaced, or its endpoint deleted, or the key that locked it is gone: then nobody is to have it any more. */
  const stillSecret = async (id: string, open: () => string): Promise<string | undefined> => {
    const endpoint = await getEndpoint(pool, named(id))
    if (endpoint === undefined) return undefined
    try {
      const secret = open()
      return openSecrets(endpoint.id, endpoint).includes(secret) ? secret : undefined
    } catch {
      return undefined
    }
  }
  const rememberedSecret = (key: Key | undefined) => ({ table: 'idempotency_keys', row: key?.key ?? '' })
  const showOnce = async (key: Key | undefined, work: (connection: Connection, secret: string) => Promise<Endpoint>): Promise<Answer<WireEndpoint>> => {
    const keyed = boxOrRefusal(box)
    const done = await once<Shown>(pool, {
      key,
      work: async (connection) => {
        const secret = newSecret()
        return { endpoint: renderEndpoint(await work(connection, secret)), secret }
      },
      remember: ({ endpoint, secret }) => ({ endpoint, secret: keyed.seal(secret, rememberedSecret(key)) }),
    })
    if (done.was === 'reused') throw keyReused()
    if (done.was === 'done') return { ok: true, body: { ...done.made.endpoint, secret: done.made.secret } }
    const { endpoint, secret } = done.answer as Shown // remembered above, under the same fingerprint
    const again = await stillSecret(endpoint.id, () => keyed.open(secret, rememberedSecret(key)))
    return { ok: true, body: again === undefined ? endpoint : { ...endpoint, secret: again }, replayed: true }
  }
  const doOnce = async <Body>(key: Key | undefined, work: (connection: Connection) => Promise<Body>): Promise<Answer<Body>> => {
    const done = await once(pool, { key, work, remember: (body) => body })
    if (done.was === 'reused') throw keyReused()
    return done.was === 'done' ? { ok: true, body: done.made } : { ok: true, body: done.answer as Body, replayed: true } // remembered under the same fingerprint
  }

  return {
    webhook_endpoints: guarded({
      create: async (input, call) => {
        const { url, events, description = null, metadata = {} } = input.body
        await checkUrl(url)
        return showOnce(keyOf({ operation: 'webhook_endpoints.create', input, call }), async (connection, secret) => {
          if ((await countEndpoints(connection)) >= limits.endpoints)
            throw new Refused('invalid_request', `there are ${limits.endpoints} endpoints, which is as many as there may be; delete one first`)
          const id = newId()
          const sealed = boxOrRefusal(box).seal(secret, placeOf(id))
          const made = await insertEndpoint(connection, { id, url, events, description, metadata, secret: sealed })
          await audited(connection, call, 'created', null, made)
          await setSinceSequence(connection, id, await tell(connection, 'webhook_endpoint.created', made, tellerOf(call)))
          return made
        })
      },
      list: async ({ query }) =>
        pageOf(query, {
          read: (limit) => listEndpoints(pool, { status: query.status ?? null, before: cursorOf('webhook_endpoint', query.starting_after), limit }),
          render: renderEndpoint,
          cursorOf: ({ id }) => encodeId('webhook_endpoint', id),
        }),
      get: async ({ params }) => ({ ok: true, body: renderEndpoint(await existing(params.id)) }),
      update: async ({ params, body }, call) => {
        if (body.url !== undefined) await checkUrl(body.url)
        const changed = await transaction(pool, async (connection) => {
          const before = await locked(connection, params.id)
          const { if_version: ifVersion, status = before.status, ...changes } = body
          if (ifVersion !== undefined && ifVersion !== before.version)
            throw new Refused('version_conflict', `${params.id} has version ${before.version}, not ${ifVersion}`, { current_version: before.version })
          if (status === 'enabled' && before.status === 'disabled') await enableEndpoint(connection, before.id)
          if (status === 'disabled' && before.status === 'enabled') await disableEndpoint(connection, before.id, 'asked')
          const after = await changeEndpoint(connection, before.id, { ...before, ...changes })
          const wasDisabled = after.status === 'disabled' && before.status === 'enabled'
          await audited(connection, call, wasDisabled ? 'disabled' : 'updated', before, after)
          const sequence = await tell(connection, wasDisabled ? 'webhook_endpoint.disabled' : 'webhook_endpoint.updated', after, tellerOf(call))
          // What happened while it was disabled it is not told, even if the outbox still has to tell of it.
          if (after.status === 'enabled' && before.status === 'disabled') await setSinceSequence(connection, before.id, sequence)
          return after
        })
        wake()
        wakeReplays()
        return { ok: true, body: renderEndpoint(changed) }
      },
      delete: async ({ params }, call) => {
        const deleted = await transaction(pool, async (connection) => {
          const before = await locked(connection, params.id)
          const after = await deleteEndpoint(connection, before.id)
          await audited(connection, call, 'deleted', before, after)
          await tell(connection, 'webhook_endpoint.deleted', after, tellerOf(call))
          return after
        })
        return { ok: true, body: renderEndpoint(deleted) }
      },
      rotate_secret: async (input, call) =>
        showOnce(keyOf({ operation: 'webhook_endpoints.rotate_secret', input, call }), async (connection, secret) => {
          const before = await locked(connection, input.params.id)
          const { id } = before
          const overlapSeconds = input.body.overlap_seconds ?? USUAL_OVERLAP_SECONDS
          const rotated = await rotateSecret(connection, id, { secret: boxOrRefusal(box).seal(secret, placeOf(id)), overlapSeconds })
          await audited(connection, call, 'secret_rotated', before, rotated)
          await tell(connection, 'webhook_endpoint.updated', rotated, tellerOf(call))
          return rotated
        }),
      test: async (input, call) => {
        const endpoint = await existing(input.params.id)
        const key = keyOf({ operation: 'webhook_endpoints.test', input, call })
        const before = await remembered(pool, key)
        if (before !== undefined) return { ok: true, body: before as never, replayed: true } // what was remembered below
        const event = encodeId('event', newId())
        const { delivered, attempt } = await deliver({
          url: endpoint.url,
          id: event,
          payload: testEvent(event, endpoint, call),
          secrets: openSecrets(endpoint.id, endpoint),
          number: 1,
          signal: call.signal ?? new AbortController().signal,
        })
        // It has been sent, and no transaction could have held that back: so it is remembered after.
        return doOnce(key, async () => ({ object: 'webhook_test' as const, endpoint: input.params.id, event, delivered, attempt }))
      },
      replay: async (input, call) => {
        const { after_sequence: given, since, until } = input.body
        if ((given === undefined) === (since === undefined)) throw invalid('since', 'or after_sequence must say where the replay begins, one of the two')
        if (since !== undefined && until !== undefined && instantOf(until) <= instantOf(since)) throw invalid('until', 'must be later than since')
        const head = await headSequence(pool)
        const after = given ?? (await sequenceBefore(pool, instantOf(since)))
        const last = until === undefined ? head : await sequenceBefore(pool, instantOf(until))
        const answer = await doOnce(keyOf({ operation: 'webhook_endpoints.replay', input, call }), async (connection) => {
          const endpoint = await locked(connection, input.params.id)
          await audited(connection, call, 'replayed', endpoint, endpoint)
          return renderEndpoint(last > after ? await askReplay(connection, endpoint.id, { after, until: last }) : endpoint)
        })
        wakeReplays()
        return answer
      },
      deliveries: async ({ params, query }) => {
        const endpoint = await existing(params.id)
        const place = cursorOf('webhook_delivery', query.starting_after)
        const before = place === null ? null : await getDelivery(pool, place)
        if (before === undefined || (before !== null && before.endpoint !== endpoint.id)) throw noPlace(query.starting_after)
        return pageOf(query, {
          read: (limit) => listDeliveries(pool, { endpoint: endpoint.id, status: query.status ?? null, before: before?.event ?? null, limit }),
          render: renderDelivery,
          cursorOf: ({ id }) => encodeId('webhook_delivery', id),
        })
      },
    }),
    webhook_deliveries: guarded({
      get: async ({ params }) => {
        const uuid = decodeId('webhook_delivery', params.id)
        const delivery = uuid && (await getDelivery(pool, uuid))
        if (!delivery) throw noDelivery(params.id)
        return { ok: true, body: renderDelivery(delivery) }
      },
      retry: async (input, call) => {
        const answer = await doOnce(keyOf({ operation: 'webhook_deliveries.retry', input, call }), async (connection) => {
          const uuid = decodeId('webhook_delivery', input.params.id)
          const delivery = uuid && (await getDelivery(connection, uuid))
          if (!delivery) throw noDelivery(input.params.id)
          return renderDelivery(await sendAgain(connection, delivery.id))
        })
        wake()
        return answer
      },
    }),
  }
}

const USUAL_OVERLAP_SECONDS = 86_400

const noEndpoint = (id: string) => new Refused('not_found', `there is no webhook endpoint ${id}`)
const noDelivery = (id: string) => new Refused('not_found', `there is no webhook delivery ${id}`)
const noPlace = (cursor: string | undefined) =>
  new Refused('invalid_request', 'starting_after is no place in this list', {
    errors: [{ param: 'starting_after', message: `${cursor} is neither an id nor a next_cursor of this list` }],
  })
const cursorOf = (kind: 'webhook_endpoint' | 'webhook_delivery', cursor: string | undefined): Uuid | null => {
  if (cursor === undefined) return null
  const uuid = decodeId(kind, cursor)
  if (uuid === undefined) throw noPlace(cursor)
  return uuid
}

/** An instant that the gateway has checked. */
const instantOf = (text: string | undefined): number => Date.parse(text ?? '')

const remembered = async (pool: Pool, key: Key | undefined): Promise<unknown> => {
  if (key === undefined) return undefined
  const found = await transaction(pool, (connection) => lookUpKey(connection, key))
  if (found === 'reused') throw keyReused()
  return found?.answer
}

/** Looks like any other event, and says that it is none of the ledger's: its sequence is 0. */
const testEvent = (id: string, endpoint: Endpoint, { caller, requestId }: Call) => ({
  object: 'event',
  id,
  type: 'webhook_endpoint.test',
  occurred_at: new Date().toISOString(),
  sequence: 0,
  subject: { object: 'webhook_endpoint', id: encodeId('webhook_endpoint', endpoint.id), version: endpoint.version },
  actor: caller.principal,
  request_id: requestId,
  data: toldOf(endpoint),
})

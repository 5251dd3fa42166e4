// The webhooks role: tells other systems what happened. What the relay brings becomes deliveries, which stand in the database until
// they have been made; from there they are sent.
import type { WrittenEvent } from '../../domain/event.ts'
import { eventUuid, type Uuid } from '../../domain/ids.ts'
import type { Bus } from '../../messaging/bus.ts'
import type { WebhookLimits } from '../../platform/limits.ts'
import { loop, stateOf } from '../../platform/loop.ts'
import { uuidV7 } from '../../platform/random.ts'
import type { SecretBox } from '../../platform/secret-box.ts'
import { eventsAfter } from '../../storage/events.ts'
import { transaction, type Pool } from '../../storage/pool.ts'
import type { Service } from '../service.ts'
import { dnsResolver, doorkeeper, type Resolve } from './address.ts'
import { deliverer } from './deliver.ts'
import { disabler, endpointHandlers, relockSecrets, secretsOpener } from './endpoints.ts'
import { eventReader, type Dispatch } from './read-events.ts'
import { sender } from './sender.ts'
import {
  forgetDeliveries,
  forgetEndpoints,
  hasListeners,
  insertAgain,
  insertDeliveries,
  listeners,
  nextReplay,
  replayedTo,
  type Listener,
  type NewDelivery,
  type Replay,
} from './store.ts'

export type WebhooksDeps = {
  /** For requests. */
  readonly readPool: Pool
  /** For what is done between them. */
  readonly pool: Pool
  readonly bus: Bus
  readonly dispatch: Dispatch
  readonly box: SecretBox | undefined
  readonly allowHttp: boolean
  readonly allowPrivate: readonly string[]
  readonly limits: WebhookLimits
  readonly onFault: (error: unknown) => void
  readonly onAttempt?: (delivered: boolean) => void
  /** Tests have names of their own. */
  readonly resolve?: Resolve
}

export const webhooks = (deps: WebhooksDeps): Service<'webhooks'> & { underWay(): number } => {
  const { readPool, pool, bus, dispatch, box, allowHttp, allowPrivate, limits, onFault, onAttempt = () => undefined } = deps
  const door = doorkeeper({ allowHttp, allowPrivate, resolve: deps.resolve ?? dnsResolver(limits), limits })
  const deliver = deliverer({ agent: door.agent, limits })
  const sending = sender({
    pool,
    limits,
    readEvents: eventReader(dispatch),
    deliver,
    openSecrets: secretsOpener(box),
    disable: disabler(pool),
    onFault,
    onAttempt,
    random: Math.random,
  })

  /** One delivery for each event and each endpoint that wants it. Told again, the same events make no others. */
  const take = async (events: readonly WrittenEvent[]): Promise<void> => {
    const told = await listeners(pool)
    const deliveries = told.flatMap((listener) => events.filter((event) => wants(listener, event)).map((event) => deliveryOf(listener.id, event)))
    if (deliveries.length === 0) return
    await insertDeliveries(pool, deliveries)
    sending.wake()
  }

  /** Queues the next part of a replay that was asked for. Answers whether there was one. */
  const replaySome = async (): Promise<boolean> => {
    const replay = await nextReplay(pool)
    if (replay === undefined) return false
    const events = await eventsAfter(pool, { after: replay.after, upTo: replay.until, types: null, limit: limits.replayed })
    const deliveries = events.filter((event) => isWanted(replay.events, event.type)).map((event) => deliveryOf(replay.id, event))
    await transaction(pool, async (connection) => {
      const isStillThere = await replayedTo(connection, replay, endOf(replay, events, limits.replayed))
      if (isStillThere && deliveries.length > 0) await insertAgain(connection, deliveries)
    })
    sending.wake()
    return true
  }
  const replays = loop({ step: async () => ((await replaySome()) ? 0 : limits.pollMs * REPLAY_POLLS), onFault, afterFaultMs: limits.pollMs })

  const upkeep = loop({
    step: async () => {
      const forgotten = await forgetDeliveries(pool, { before: oldest(limits.ageMs), ageMs: limits.ageMs, limit: limits.forgotten })
      await forgetEndpoints(pool)
      await relockSecrets(pool, box)
      return forgotten >= limits.forgotten ? 0 : limits.upkeepMs
    },
    onFault,
    // Sooner than it is due: until it has been tried again, it is said to fail.
    afterFaultMs: limits.pollMs * UPKEEP_POLLS,
  })
  let leave: () => void = () => undefined

  return {
    name: 'webhooks',
    handlers: endpointHandlers({
      pool: readPool,
      box,
      doorkeeper: door,
      deliver,
      newId,
      limits,
      wake: sending.wake,
      wakeReplays: replays.wake,
    }),
    // Before the relay: what it finds nobody listening to is gone.
    start: async () => {
      leave = bus.subscribe('webhooks', take, () => hasListeners(pool))
      sending.start()
      replays.start()
      upkeep.start()
    },
    stop: async () => {
      leave()
      await Promise.all([replays.stop(), upkeep.stop(), sending.stop()])
      await door.agent.destroy()
    },
    state: () => stateOf({ sending, replays, upkeep }),
    underWay: sending.underWay,
  }
}

/** Replays are rare, and the process that was asked for one begins at once. */
const REPLAY_POLLS = 4
/** A few seconds. */
const UPKEEP_POLLS = 10

const newId = (): Uuid => uuidV7() as Uuid // made as one

const wants = ({ events, since }: Listener, event: WrittenEvent): boolean => event.sequence > since && isWanted(events, event.type)
const isWanted = (patterns: readonly string[], type: string): boolean =>
  patterns.some((pattern) => pattern === '*' || pattern === type || (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1))))

const deliveryOf = (endpoint: Uuid, { sequence, type, occurredAt }: WrittenEvent): NewDelivery => ({
  id: newId(),
  endpoint,
  event: eventUuid(occurredAt, 0, sequence),
  eventType: type,
})

const endOf = ({ until }: Replay, events: readonly WrittenEvent[], limit: number): number =>
  events.length < limit ? until : (events.at(-1)?.sequence ?? until)

/** The least id that a delivery of this age can have: ids begin with their time. */
const oldest = (ageMs: number): Uuid => {
  const hex = (Date.now() - ageMs).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000` as Uuid // made as one
}

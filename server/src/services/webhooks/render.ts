// Rows to wire.
import type { OutputOf, Operations } from '@holdfast/contract'
import { encodeId, sequenceOf } from '../../domain/ids.ts'
import type { Delivery, Endpoint } from './store.ts'
import { iso } from '../answer.ts'

export type WireEndpoint = OutputOf<Operations['webhook_endpoints']['get']>
export type WireDelivery = OutputOf<Operations['webhook_deliveries']['get']>

const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms))

export const renderEndpoint = (endpoint: Endpoint): WireEndpoint => ({
  object: 'webhook_endpoint',
  id: encodeId('webhook_endpoint', endpoint.id),
  url: endpoint.url,
  events: [...endpoint.events] as WireEndpoint['events'], // were checked at the door
  description: endpoint.description,
  metadata: { ...endpoint.metadata },
  status: endpoint.status,
  disabled: endpoint.disabledReason === null || endpoint.disabledAt === null ? null : { reason: endpoint.disabledReason, at: iso(endpoint.disabledAt) },
  failing_since: isoOrNull(endpoint.failingSince),
  previous_secret_expires_at: isoOrNull(endpoint.previousSecretExpiresAt),
  replay:
    endpoint.replayAfter === null || endpoint.replayUntil === null ? null : { after_sequence: endpoint.replayAfter, until_sequence: endpoint.replayUntil },
  version: endpoint.version,
  created_at: iso(endpoint.createdAt),
  updated_at: iso(endpoint.updatedAt),
})

/**
 * What its event tells of an endpoint. Events are for ever, and are read by whoever may read all of them, so they tell neither
 * its secret nor the rest of its url, which for many receivers is one.
 */
export const toldOf = (endpoint: Endpoint) => {
  const { object, id, events, description, metadata, status, disabled, version, created_at, updated_at } = renderEndpoint(endpoint)
  return { object, id, host: new URL(endpoint.url).host, events, description, metadata, status, disabled, version, created_at, updated_at }
}

export const renderDelivery = (delivery: Delivery): WireDelivery => ({
  object: 'webhook_delivery',
  id: encodeId('webhook_delivery', delivery.id),
  endpoint: encodeId('webhook_endpoint', delivery.endpoint),
  event: encodeId('event', delivery.event),
  event_type: delivery.eventType as WireDelivery['event_type'], // written from the same list
  sequence: sequenceOf(delivery.event),
  status: delivery.status,
  next_attempt_at: isoOrNull(delivery.nextAttemptAt),
  attempts: delivery.log.map((attempt) => ({ ...attempt })),
  created_at: iso(delivery.createdAt),
  ended_at: isoOrNull(delivery.endedAt),
})

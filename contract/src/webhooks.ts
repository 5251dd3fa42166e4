// Webhooks: what other systems are told, where, and what became of it.
import { Type } from 'typebox'
import { eventTypes } from './events.ts'
import { operation } from './operation.ts'
import { closed, count, id, instant, list, metadata, nullable, oneOf, page, sequence, version } from './schema.ts'

const families = [...new Set(eventTypes.map((type) => `${type.slice(0, type.indexOf('.'))}.*` as const))]
/** What an endpoint may ask for: everything, a family, or one type of event. */
export const eventPatterns = ['*', ...families, ...eventTypes] as const

const url = Type.String({
  minLength: 1,
  maxLength: 2_048,
  description: 'https, to a public address. No user name, no fragment. Redirects are not followed.',
  examples: ['https://shop.example/hooks/holdfast'],
})
const events = Type.Array(oneOf(eventPatterns), {
  minItems: 1,
  maxItems: 100,
  uniqueItems: true,
  description: 'Types of events, families such as `hold.*`, or `*` for everything.',
  examples: [['hold.*', 'stock.received']],
})
const description = Type.Optional(nullable(Type.String({ maxLength: 1_000 })))

export const endpointStatus = oneOf(['enabled', 'disabled'])
export const deliveryStatus = oneOf(['pending', 'delivered', 'failed'])
const disabledReason = oneOf(['asked', 'gone', 'failing'], 'By a caller; because the receiver answered 410; or because it had only failed for days.')

export const webhookEndpoint = Type.Object({
  object: Type.Literal('webhook_endpoint'),
  id: Type.String(),
  url: Type.String(),
  events: Type.Array(oneOf(eventPatterns)),
  description: nullable(Type.String()),
  metadata,
  status: oneOf(['enabled', 'disabled', 'deleted']),
  disabled: nullable(Type.Object({ reason: disabledReason, at: instant })),
  failing_since: nullable(instant),
  previous_secret_expires_at: nullable(instant),
  replay: nullable(
    Type.Object({ after_sequence: sequence, until_sequence: sequence }, { description: 'What is still to be queued of a replay that was asked for.' }),
  ),
  secret: Type.Optional(
    Type.String({
      description: 'Shown once: in the answer that made it. Its receiver verifies signatures with it.',
      examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwQ5Vd4h2X7yE='],
    }),
  ),
  version,
  created_at: instant,
  updated_at: instant,
})
export const webhookAttempt = Type.Object({
  number: Type.Integer(),
  started_at: instant,
  duration_ms: count,
  response_status: nullable(Type.Integer()),
  response_body: nullable(Type.String({ description: 'The first 1,024 bytes of what was answered.' })),
  error: nullable(Type.String({ description: 'What went wrong before there was an answer, or why it was not taken.' })),
})

export const webhookDelivery = Type.Object({
  object: Type.Literal('webhook_delivery'),
  id: Type.String(),
  endpoint: Type.String(),
  event: Type.String({ description: 'The id of the event; it is sent as `webhook-id`.' }),
  event_type: oneOf(eventTypes),
  sequence,
  status: deliveryStatus,
  next_attempt_at: nullable(instant),
  attempts: Type.Array(webhookAttempt, { description: 'The latest 20, oldest first.' }),
  created_at: instant,
  ended_at: nullable(instant),
})

const params = closed({ id: id('whe') })
const deliveryParams = closed({ id: id('whd') })
const body = closed({})

export const webhookEndpoints = {
  create: operation({
    name: 'webhook_endpoints.create',
    summary: 'Tell a url of events; the secret is shown once',
    method: 'POST',
    path: '/v1/webhook_endpoints',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: { body: closed({ url, events, description, metadata: Type.Optional(metadata) }) },
    output: webhookEndpoint,
    status: 201,
    rejections: ['idempotency_key_reused'],
    movesStock: false,
  }),
  list: operation({
    name: 'webhook_endpoints.list',
    summary: 'List webhook endpoints, newest first',
    method: 'GET',
    path: '/v1/webhook_endpoints',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: { query: page({ status: Type.Optional(endpointStatus) }) },
    output: list(webhookEndpoint),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'webhook_endpoints.get',
    summary: 'Read a webhook endpoint',
    method: 'GET',
    path: '/v1/webhook_endpoints/{id}',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: { params },
    output: webhookEndpoint,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  update: operation({
    name: 'webhook_endpoints.update',
    summary: 'Change a webhook endpoint; enabled again, it is told what happens from then on, and what had been waiting',
    method: 'PATCH',
    path: '/v1/webhook_endpoints/{id}',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: {
      params,
      body: closed({
        url: Type.Optional(url),
        events: Type.Optional(events),
        description,
        metadata: Type.Optional(metadata),
        status: Type.Optional(endpointStatus),
        if_version: Type.Optional(version),
      }),
    },
    output: webhookEndpoint,
    status: 200,
    rejections: ['not_found', 'version_conflict'],
    movesStock: false,
  }),
  delete: operation({
    name: 'webhook_endpoints.delete',
    summary: 'Delete a webhook endpoint, its secret and its deliveries',
    method: 'DELETE',
    path: '/v1/webhook_endpoints/{id}',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: { params },
    output: webhookEndpoint,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  test: operation({
    name: 'webhook_endpoints.test',
    summary: 'Send a test event now, once, and tell what came back',
    method: 'POST',
    path: '/v1/webhook_endpoints/{id}/test',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: { params, body },
    output: Type.Object({
      object: Type.Literal('webhook_test'),
      endpoint: Type.String(),
      event: Type.String(),
      delivered: Type.Boolean(),
      attempt: webhookAttempt,
    }),
    status: 200,
    rejections: ['not_found', 'idempotency_key_reused'],
    movesStock: false,
  }),
  rotate_secret: operation({
    name: 'webhook_endpoints.rotate_secret',
    summary: 'Make a new secret, shown once; the one before signs beside it for a while',
    method: 'POST',
    path: '/v1/webhook_endpoints/{id}/rotate_secret',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: {
      params,
      body: closed({
        overlap_seconds: Type.Optional(
          Type.Integer({ minimum: 0, maximum: 604_800, default: 86_400, description: 'How long the secret before still signs, beside the new one.' }),
        ),
      }),
    },
    output: webhookEndpoint,
    status: 200,
    rejections: ['not_found', 'idempotency_key_reused'],
    movesStock: false,
  }),
  replay: operation({
    name: 'webhook_endpoints.replay',
    summary: 'Send a range of what happened once more, or for the first time',
    method: 'POST',
    path: '/v1/webhook_endpoints/{id}/replay',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: {
      params,
      body: closed({
        after_sequence: Type.Optional(sequence),
        since: Type.Optional(instant),
        until: Type.Optional(Type.String({ format: 'date-time', description: 'Up to, but not, this instant. Without it: what has happened until now.' })),
      }),
    },
    output: webhookEndpoint,
    status: 200,
    rejections: ['not_found', 'idempotency_key_reused'],
    movesStock: false,
  }),
  deliveries: operation({
    name: 'webhook_endpoints.deliveries',
    summary: 'List the deliveries to an endpoint, the newest events first',
    method: 'GET',
    path: '/v1/webhook_endpoints/{id}/deliveries',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: { params, query: page({ status: Type.Optional(deliveryStatus) }) },
    output: list(webhookDelivery),
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}

export const webhookDeliveries = {
  get: operation({
    name: 'webhook_deliveries.get',
    summary: 'Read a delivery, with its attempts',
    method: 'GET',
    path: '/v1/webhook_deliveries/{id}',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: { params: deliveryParams },
    output: webhookDelivery,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  retry: operation({
    name: 'webhook_deliveries.retry',
    summary: 'Send a delivery again, now',
    method: 'POST',
    path: '/v1/webhook_deliveries/{id}/retry',
    service: 'webhooks',
    scope: 'webhooks:manage',
    reach: 'everywhere',
    input: { params: deliveryParams, body },
    output: webhookDelivery,
    status: 200,
    rejections: ['not_found', 'idempotency_key_reused'],
    movesStock: false,
  }),
}

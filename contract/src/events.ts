import { Type } from 'typebox'
import { operation } from './operation.ts'
import { closed, id, instant, list, oneOf, page, sequence } from './schema.ts'

export const eventTypes = [
  'item.created',
  'item.updated',
  'item.archived',
  'location.created',
  'location.updated',
  'location.deactivated',
  'stock.received',
  'stock.adjusted',
  'stock.moved',
  'stock.shipped',
  'stock.returned',
  'hold.placed',
  'hold.executed',
  'hold.released',
  'hold.extended',
  'hold.expired',
  'hold.canceled',
  'integrity.verified',
  'integrity.violated',
] as const

export const event = Type.Object({
  object: Type.Literal('event'),
  id: Type.String(),
  type: oneOf(eventTypes),
  occurred_at: instant,
  sequence,
  subject: Type.Object({ object: Type.String(), id: Type.String(), version: Type.Integer() }),
  actor: Type.String(),
  request_id: Type.String(),
  data: Type.Unknown({ description: 'The whole object after the fact.' }),
})

const type = Type.Optional(Type.Union([oneOf(eventTypes), Type.Array(oneOf(eventTypes))], { description: 'One type, or several.' }))

export const events = {
  list: operation({
    name: 'events.list',
    summary: 'List events; oldest first after a sequence, else newest first',
    method: 'GET',
    path: '/v1/events',
    service: 'inventory',
    scope: 'audit:read',
    reach: 'everywhere',
    input: { query: page({ type, after_sequence: Type.Optional(sequence) }) },
    output: list(event),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  stream: operation({
    name: 'events.stream',
    summary: 'Follow the events as server-sent events',
    method: 'GET',
    path: '/v1/events/stream',
    service: 'inventory',
    scope: 'audit:read',
    reach: 'everywhere',
    input: { query: closed({ type, after_sequence: Type.Optional(sequence) }) },
    output: event,
    status: 200,
    rejections: [],
    movesStock: false,
    streams: true,
  }),
  get: operation({
    name: 'events.get',
    summary: 'Read an event',
    method: 'GET',
    path: '/v1/events/{id}',
    service: 'inventory',
    scope: 'audit:read',
    reach: 'everywhere',
    input: { params: closed({ id: id('evt') }) },
    output: event,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}

// Messages that nobody could take: commands that were refused with nobody to hear it, and whatever failed again and again.
import { Type } from 'typebox'
import { operation } from './operation.ts'
import { closed, count, id, instant, list, nullable, oneOf, page } from './schema.ts'

export const parkedMessage = Type.Object({
  object: Type.Literal('parked_message'),
  id: id('msg'),
  queue: Type.String({ description: 'Where it was: `commands.stock`, `events.webhooks`; `commands` when it led to no queue.' }),
  operation: nullable(Type.String({ description: 'The operation that it asks for, or the type of the event.' })),
  message: Type.String({ description: 'The message, as JSON. In a list, and of an unknown sender, its first 2,000 characters.' }),
  sender: nullable(Type.String({ description: 'The principal that sent it, in whose name it is sent again. Null: nobody is known.' })),
  reason: Type.String(),
  attempts: count,
  parked_at: instant,
  resent_at: nullable(instant),
})

const entry = { service: 'inventory', scope: 'messages:manage', reach: 'everywhere', movesStock: false } as const
const input = { params: closed({ id: id('msg') }), body: closed({}) }

export const parkedMessages = {
  list: operation({
    ...entry,
    name: 'parked_messages.list',
    summary: 'List messages that nobody could take, newest first',
    method: 'GET',
    path: '/v1/parked_messages',
    input: {
      query: page({
        queue: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
        status: Type.Optional(oneOf(['parked', 'resent'])),
      }),
    },
    output: list(parkedMessage),
    status: 200,
    rejections: [],
  }),
  resend: operation({
    ...entry,
    name: 'parked_messages.resend',
    summary: 'Send a parked message again, in the name of its sender; one that fails again comes back',
    method: 'POST',
    path: '/v1/parked_messages/{id}/resend',
    input,
    output: parkedMessage,
    status: 200,
    rejections: ['not_found', 'invalid_state'],
  }),
  discard: operation({
    ...entry,
    name: 'parked_messages.discard',
    summary: 'Throw a parked message away; the audit log keeps who did',
    method: 'POST',
    path: '/v1/parked_messages/{id}/discard',
    input,
    output: parkedMessage,
    status: 200,
    rejections: ['not_found'],
  }),
}

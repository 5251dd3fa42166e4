// Who did what: every administrative act, written with it in one transaction and never changed.
import { Type } from 'typebox'
import { operation } from './operation.ts'
import { id, instant, list, nullable, page } from './schema.ts'

const word = Type.String({ minLength: 1, maxLength: 256 })

export const auditEntry = Type.Object({
  object: Type.Literal('audit_entry'),
  id: id('aud'),
  occurred_at: instant,
  actor: Type.String({ description: 'The principal that did it.' }),
  action: Type.String({ description: 'What was done: user.created, api_key.revoked, …' }),
  subject: Type.Object({ object: Type.String(), id: nullable(Type.String()) }),
  address: Type.String({ description: 'From where it was asked.' }),
  request_id: Type.String(),
  changes: Type.Record(Type.String(), Type.Unknown(), { description: 'The fields that changed, each with `before` and `after`. Never a secret.' }),
})

export const auditLog = {
  list: operation({
    name: 'audit_log.list',
    summary: 'List what was done by whom, newest first',
    method: 'GET',
    path: '/v1/audit_log',
    service: 'identity',
    scope: 'audit:read',
    reach: 'everywhere',
    input: {
      query: page({
        actor: Type.Optional(word),
        action: Type.Optional(word),
        subject: Type.Optional(word),
        since: Type.Optional(instant),
        until: Type.Optional(instant),
      }),
    },
    output: list(auditEntry),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
}

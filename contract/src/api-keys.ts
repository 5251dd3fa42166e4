// Keys of programs. A key is shown once, in the answer that makes it; what is kept is a digest.
import { Type } from 'typebox'
import { operation } from './operation.ts'
import { scopes } from './permissions.ts'
import { closed, id, instant, list, name, nullable, oneOf, page } from './schema.ts'
import { restriction } from './users.ts'

/** Ten years. */
const LONGEST_LIFE_SECONDS = 315_360_000
/** A month: who needs longer to change a key has forgotten it. */
const LONGEST_OVERLAP_SECONDS = 2_592_000

const rateLimit = Type.Union(
  [
    closed({ limit: Type.Integer({ minimum: 1, maximum: 1_000_000 }), window_seconds: Type.Integer({ minimum: 1, maximum: 86_400 }) }),
    Type.Literal('unlimited'),
    Type.Null(),
  ],
  { description: 'How many requests in how long a time; or `unlimited`; or null for the limit that everybody has.' },
)
const scope = oneOf(scopes)
const locations = Type.Optional(restriction('The only locations that it may work with. Null: all of them. Not said of a new one: those of the caller.'))

export const apiKey = Type.Object({
  object: Type.Literal('api_key'),
  id: id('key'),
  name: Type.String(),
  principal: Type.String({ description: 'The same for all that replaced one another, so that idempotency keys outlive a rotation.' }),
  scopes: Type.Array(scope),
  locations: nullable(Type.Array(Type.String(), { description: 'The only ones that it may work with. Null: all of them.' })),
  rate_limit: rateLimit,
  created_at: instant,
  expires_at: nullable(instant),
  revoked_at: nullable(instant),
  last_used_at: nullable(Type.String({ format: 'date-time', description: 'To the minute.' })),
  key: Type.Optional(
    Type.String({ description: 'The key itself. Only in the answer that made it: a repeated answer is without it, because only its digest is kept.' }),
  ),
})

const params = closed({ id: id('key') })

export const apiKeys = {
  create: operation({
    name: 'api_keys.create',
    summary: 'Make an API key; it is shown this once',
    method: 'POST',
    path: '/v1/api_keys',
    service: 'identity',
    scope: 'keys:manage',
    reach: 'own_locations',
    input: {
      body: closed({
        name,
        scopes: Type.Array(scope, { minItems: 1, maxItems: scopes.length }),
        locations,
        expires_in_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: LONGEST_LIFE_SECONDS })),
        rate_limit: Type.Optional(rateLimit),
      }),
    },
    output: apiKey,
    status: 201,
    rejections: ['not_found', 'idempotency_key_reused'],
    movesStock: false,
  }),
  list: operation({
    name: 'api_keys.list',
    summary: 'List API keys, newest first',
    method: 'GET',
    path: '/v1/api_keys',
    service: 'identity',
    scope: 'keys:manage',
    reach: 'own_locations',
    input: { query: page({ principal: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })) }) },
    output: list(apiKey),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'api_keys.get',
    summary: 'Read an API key',
    method: 'GET',
    path: '/v1/api_keys/{id}',
    service: 'identity',
    scope: 'keys:manage',
    reach: 'own_locations',
    input: { params },
    output: apiKey,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  update: operation({
    name: 'api_keys.update',
    summary: 'Rename an API key, or narrow what it may do; for more, make a new one',
    method: 'PATCH',
    path: '/v1/api_keys/{id}',
    service: 'identity',
    scope: 'keys:manage',
    reach: 'own_locations',
    input: {
      params,
      body: closed({
        name: Type.Optional(name),
        scopes: Type.Optional(Type.Array(scope, { minItems: 1, maxItems: scopes.length })),
        locations,
        rate_limit: Type.Optional(rateLimit),
      }),
    },
    output: apiKey,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  revoke: operation({
    name: 'api_keys.revoke',
    summary: 'Revoke an API key: every process refuses it within five seconds',
    method: 'DELETE',
    path: '/v1/api_keys/{id}',
    service: 'identity',
    scope: 'keys:manage',
    reach: 'own_locations',
    input: { params },
    output: apiKey,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  rotate: operation({
    name: 'api_keys.rotate',
    summary: 'Make a new key in place of one, which goes on for the overlap',
    method: 'POST',
    path: '/v1/api_keys/{id}/rotate',
    service: 'identity',
    scope: 'keys:manage',
    reach: 'own_locations',
    input: {
      params,
      body: closed({
        overlap_seconds: Type.Optional(
          Type.Integer({ minimum: 0, maximum: LONGEST_OVERLAP_SECONDS, default: 86_400, description: 'How long the old key is still taken.' }),
        ),
      }),
    },
    output: apiKey,
    status: 201,
    rejections: ['not_found', 'idempotency_key_reused'],
    movesStock: false,
  }),
}

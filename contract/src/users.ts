// People: who may sign in, with which role, and for which locations.
import { Type } from 'typebox'
import { operation } from './operation.ts'
import { roles } from './permissions.ts'
import { closed, id, instant, list, locationCode, name, nullable, oneOf, page } from './schema.ts'

/** Letters in another case are the same address. */
export const email = Type.String({
  minLength: 3,
  maxLength: 254,
  pattern: "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\\.[A-Za-z0-9-]{1,63})*$",
  examples: ['ada@example.com'],
})
/** No rules of composition: a sentence is a good password. */
export const password = Type.String({
  minLength: 15,
  maxLength: 128,
  description: 'What everybody knows is refused, and so is the e-mail address itself.',
  examples: ['seven ducks cross the canal'],
})
/** Whose restriction is not null works with these locations and no others. */
export const restriction = (description: string) => Type.Union([Type.Array(locationCode, { minItems: 1, maxItems: 100 }), Type.Null()], { description })

export const user = Type.Object({
  object: Type.Literal('user'),
  id: id('user'),
  email: Type.String(),
  name: nullable(Type.String()),
  role: oneOf(roles),
  locations: nullable(Type.Array(Type.String(), { description: 'The only ones that they may work with. Null: all of them.' })),
  disabled: Type.Boolean(),
  created_at: instant,
  updated_at: instant,
})

const params = closed({ id: id('user') })
const locations = Type.Optional(restriction('The only locations that they may work with. Null: all of them. Not said of a new one: those of the caller.'))

export const users = {
  create: operation({
    name: 'users.create',
    summary: 'Make a user',
    method: 'POST',
    path: '/v1/users',
    service: 'identity',
    scope: 'users:manage',
    reach: 'own_locations',
    input: { body: closed({ email, password, role: oneOf(roles), name: Type.Optional(name), locations }) },
    output: user,
    status: 201,
    rejections: ['already_exists', 'not_found', 'idempotency_key_reused'],
    movesStock: false,
  }),
  list: operation({
    name: 'users.list',
    summary: 'List users, newest first',
    method: 'GET',
    path: '/v1/users',
    service: 'identity',
    scope: 'users:manage',
    reach: 'own_locations',
    input: { query: page({ email: Type.Optional(email), role: Type.Optional(oneOf(roles)), disabled: Type.Optional(Type.Boolean()) }) },
    output: list(user),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'users.get',
    summary: 'Read a user',
    method: 'GET',
    path: '/v1/users/{id}',
    service: 'identity',
    scope: 'users:manage',
    reach: 'own_locations',
    input: { params },
    output: user,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  update: operation({
    name: 'users.update',
    summary: 'Change a user; with another role or other locations they sign in anew',
    method: 'PATCH',
    path: '/v1/users/{id}',
    service: 'identity',
    scope: 'users:manage',
    reach: 'own_locations',
    input: {
      params,
      body: closed({
        name: Type.Optional(nullable(name)),
        role: Type.Optional(oneOf(roles)),
        locations,
        disabled: Type.Optional(Type.Boolean({ description: 'Who is disabled cannot sign in, and their sessions end.' })),
      }),
    },
    output: user,
    status: 200,
    rejections: ['not_found', 'last_administrator'],
    movesStock: false,
  }),
  disable: operation({
    name: 'users.disable',
    summary: 'Disable a user: kept, for the audit log names them, and let in no more',
    method: 'DELETE',
    path: '/v1/users/{id}',
    service: 'identity',
    scope: 'users:manage',
    reach: 'own_locations',
    input: { params },
    output: user,
    status: 200,
    rejections: ['not_found', 'last_administrator'],
    movesStock: false,
  }),
  set_password: operation({
    name: 'users.set_password',
    summary: 'Give a user a new password; their sessions end',
    method: 'POST',
    path: '/v1/users/{id}/password',
    service: 'identity',
    scope: 'users:manage',
    reach: 'own_locations',
    input: { params, body: closed({ password }) },
    output: user,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
}

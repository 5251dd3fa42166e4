// How the parts of Holdfast do, in the words of those who use it: what is down, since when, why, and what that means for them.
import { Type } from 'typebox'
import { operation } from './operation.ts'
import { closed, count, instant, nullable, oneOf, sequence } from './schema.ts'

export const partStates = ['up', 'degraded', 'down'] as const
export const componentKinds = ['role', 'database', 'broker', 'cache', 'ledger'] as const

const state = oneOf(partStates, '`degraded`: it works, and somebody should look.')
const why = nullable(Type.String({ description: 'What was found; null while it is up.' }))
const name = Type.String({ examples: ['item-commands'] })

export const component = Type.Object({
  object: Type.Literal('component'),
  name,
  kind: oneOf(componentKinds),
  state,
  since: instant,
  why,
  affects: Type.Array(Type.Object({ function: Type.String(), means: Type.String({ description: 'What users notice when it is down.' }) })),
  processes: Type.Array(Type.Object({ where: Type.String(), state, why })),
})

export const status = Type.Object({
  object: Type.Literal('status'),
  state: oneOf(partStates, 'Of the functions: the worst of them.'),
  checked_at: instant,
  components: Type.Array(component),
  functions: Type.Array(
    Type.Object({
      name: Type.String(),
      state,
      means: nullable(Type.String({ description: 'What users notice now; null while it is up.' })),
      because: Type.Array(name, { description: 'The components that are not up.' }),
    }),
  ),
})

export const integrity = Type.Object({
  object: Type.Literal('integrity'),
  state: oneOf(['not_verified', 'verified', 'violated'], 'Whether the last verification found that the books agree.'),
  verified_at: nullable(instant),
  sequence: nullable(sequence),
  duration_ms: nullable(count),
  levels: count,
  entries: count,
  holds: count,
  violations: Type.Array(Type.Object({ rule: Type.String(), found: Type.String() })),
})

export const statuses = {
  get: operation({
    name: 'status.get',
    summary: 'Read what is up and what is down, and what that means for users',
    method: 'GET',
    path: '/v1/status',
    service: 'monitor',
    scope: 'status:read',
    reach: 'nowhere',
    input: {},
    output: status,
    status: 200,
    rejections: [],
    movesStock: false,
  }),
}

export const integrities = {
  get: operation({
    name: 'integrity.get',
    summary: 'Read what the last verification of the books found',
    method: 'GET',
    path: '/v1/integrity',
    service: 'monitor',
    scope: 'audit:read',
    reach: 'everywhere',
    input: {},
    output: integrity,
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  verify: operation({
    name: 'integrity.verify',
    summary: 'Verify the books now',
    method: 'POST',
    path: '/v1/integrity/verify',
    service: 'monitor',
    scope: 'audit:read',
    reach: 'everywhere',
    input: { body: closed({}) },
    output: integrity,
    status: 200,
    rejections: [],
    movesStock: false,
  }),
}

// One entry of the table of operations. Routes, validation, OpenAPI, the SDK's types and calls between roles all come from it.
import type { Static, TObject, TSchema } from 'typebox'
import type { RejectionCode } from './problems.ts'

export type Scope = 'items:read' | 'items:write' | 'stock:read' | 'stock:adjust' | 'holds:read' | 'holds:write' | 'audit:read'

export const scopes: readonly Scope[] = ['items:read', 'items:write', 'stock:read', 'stock:adjust', 'holds:read', 'holds:write', 'audit:read']

export type Operation = {
  /** `resource.verb`, unique: `holds.place`. */
  readonly name: string
  readonly summary: string
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With parameters in braces: `/v1/holds/{id}/execute`. */
  readonly path: string
  /** The role that answers it. */
  readonly service: 'inventory'
  readonly scope: Scope
  /** A body that requires nothing may be left out: the handler is given `{}`. */
  readonly input: { readonly params?: TObject; readonly query?: TObject; readonly body?: TSchema }
  readonly output: TSchema
  /** The status of a success. */
  readonly status: 200 | 201
  /** What this operation may refuse, beyond what every operation may (see `everywhere` in problems.ts). */
  readonly rejections: readonly RejectionCode[]
  /** True: needs an Idempotency-Key, takes `dry_run`. */
  readonly movesStock: boolean
  /** True: the answer is a stream of server-sent events, not one JSON document. */
  readonly streams?: true
}

type Read<Schema> = Schema extends TSchema ? Static<Schema> : object

/** What a handler is given: parameters, query and body, each as its schema says. */
export type InputOf<O extends Operation> = {
  params: Read<O['input']['params']>
  query: Read<O['input']['query']>
  body: Read<O['input']['body']>
}
export type OutputOf<O extends Operation> = Static<O['output']>

export const operation = <const O extends Operation>(entry: O): O => entry

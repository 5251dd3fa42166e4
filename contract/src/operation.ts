// One entry of the table of operations. Routes, validation, OpenAPI, the SDK's types and calls between roles all come from it.
import type { Static, TObject, TSchema } from 'typebox'
import type { Scope } from './permissions.ts'
import type { RejectionCode } from './problems.ts'

export type Operation = {
  /** `resource.verb`, unique: `holds.place`. */
  readonly name: string
  readonly summary: string
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With parameters in braces: `/v1/holds/{id}/execute`. */
  readonly path: string
  /** The role that answers it. */
  readonly service: 'inventory' | 'identity' | 'webhooks' | 'monitor'
  /**
   * What the caller needs. `anyone` needs no credentials; `caller` needs to be known, by a key or a session, and no more;
   * `person` needs to be signed in, whatever their role.
   */
  readonly scope: Scope | 'anyone' | 'caller' | 'person'
  /**
   * What of the organisation it concerns, for callers who are restricted to some locations.
   * `own_locations`  the handler answers for the caller's locations and no others
   * `everywhere`     stock or settings of all locations: refused to callers who are restricted
   * `nowhere`        no location's stock: the restriction does not matter
   */
  readonly reach: 'own_locations' | 'everywhere' | 'nowhere'
  /** A body that requires nothing may be left out: the handler is given `{}`. */
  readonly input: { readonly params?: TObject; readonly query?: TObject; readonly body?: TSchema }
  /** The body is a file in one of these media types, which is read as it arrives. `input.body` is absent then. */
  readonly bodyTypes?: readonly string[]
  readonly output: TSchema
  /** The status of a success. */
  readonly status: 200 | 201
  /** What this operation may refuse, beyond what every operation may (see `everywhere` in problems.ts). */
  readonly rejections: readonly RejectionCode[]
  /** True: needs an Idempotency-Key, takes `dry_run`. */
  readonly movesStock: boolean
  /**
   * True: it tells what has physically happened, and nothing depends on the answer. While the database is away it is taken all the
   * same, answered 202 `accepted`, and done once afterwards.
   */
  readonly deferrable?: true
  /** True: the answer is a stream of server-sent events, not one JSON document. */
  readonly streams?: true
  /** It will go: from when it is discouraged, when it ends, and what to use instead. Told in headers with every answer. */
  readonly deprecated?: { readonly since: string; readonly sunset?: string; readonly successor?: string }
}

/** A body that is read as it arrives, and never whole. Who stops reading stops the sender. */
export type Upload = { readonly mediaType: string; readonly bytes: AsyncIterable<Uint8Array> }

type Read<Schema> = Schema extends TSchema ? Static<Schema> : object

/** What a handler is given: parameters, query and body, each as its schema says. */
export type InputOf<O extends Operation> = {
  params: Read<O['input']['params']>
  query: Read<O['input']['query']>
  body: O extends { bodyTypes: readonly string[] } ? Upload : Read<O['input']['body']>
}
export type OutputOf<O extends Operation> = Static<O['output']>

export const operation = <const O extends Operation>(entry: O): O => entry

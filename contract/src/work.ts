// The operations that every document with a life of its own has: make, list, read, and the actions that lead it on.
import { Type, type TObject, type TProperties, type TSchema } from 'typebox'
import type { Scope } from './permissions.ts'
import { operation, type Operation } from './operation.ts'
import type { RejectionCode } from './problems.ts'
import { closed, count, dryRun, id, instant, list, MAX_LINES, metadata, nullable, reference, version } from './schema.ts'

export const linesOf = <Line extends TProperties>(line: Line) => Type.Array(closed(line), { minItems: 1, maxItems: MAX_LINES })
/** What a caller may add to any document. */
export const documentCaller = { reference: Type.Optional(reference), metadata: Type.Optional(metadata) }
/** What every document with a life of its own tells of itself. */
export const documentFields = { reference: nullable(Type.String()), metadata, created_at: instant, version }

/** What of a line that was on its way has arrived. */
export const expectedLine = { sku: Type.String(), quantity: count, outstanding: count, received: count, missing: count, excess: count, withdrawn: count }

type Action = {
  readonly summary: string
  readonly body: TSchema
  readonly scope: Scope
  readonly rejections: readonly RejectionCode[]
  readonly deferrable?: true
}

type Described<Output, Query, Create, Actions> = {
  readonly resource: string
  readonly what: string
  readonly prefix: string
  readonly output: Output
  readonly create: { readonly summary: string; readonly body: Create; readonly rejections: readonly RejectionCode[] }
  readonly query: Query
  readonly actions: Actions
}

export const workOperations = <
  const Output extends TSchema,
  const Query extends TObject,
  const Create extends TSchema,
  const Actions extends Readonly<Record<string, Action>>,
>({
  resource,
  what,
  prefix,
  output,
  create,
  query,
  actions,
}: Described<Output, Query, Create, Actions>) => {
  const common = { service: 'inventory', reach: 'own_locations' } as const
  const params = closed({ id: id(prefix) })
  const path = `/v1/${resource}`
  const action = ([verb, { summary, body, scope, rejections, deferrable }]: [string, Action]) => [
    verb,
    operation({
      ...common,
      name: `${resource}.${verb}`,
      summary,
      method: 'POST',
      path: `${path}/{id}/${verb}`,
      scope,
      input: { params, query: closed({ ...dryRun }), body },
      output,
      status: 200,
      rejections: ['not_found', ...rejections],
      movesStock: true,
      ...(deferrable ? { deferrable } : {}),
    }),
  ]
  return {
    create: operation({
      ...common,
      name: `${resource}.create`,
      summary: create.summary,
      method: 'POST',
      path,
      scope: 'stock:adjust',
      input: { query: closed({ ...dryRun }), body: create.body },
      output,
      status: 201,
      rejections: ['not_found', ...create.rejections],
      movesStock: true,
    }),
    list: operation({
      ...common,
      name: `${resource}.list`,
      summary: `List ${resource.replaceAll('_', ' ')}, newest first`,
      method: 'GET',
      path,
      scope: 'stock:read',
      input: { query },
      output: list(output),
      status: 200,
      rejections: ['not_found'],
      movesStock: false,
    }),
    get: operation({
      ...common,
      name: `${resource}.get`,
      summary: `Read ${what}`,
      method: 'GET',
      path: `${path}/{id}`,
      scope: 'stock:read',
      input: { params },
      output,
      status: 200,
      rejections: ['not_found'],
      movesStock: false,
    }),
    ...(Object.fromEntries(Object.entries(actions).map(action)) as {
      readonly [Verb in keyof Actions]: Omit<Operation, 'method' | 'input' | 'output'> & {
        readonly method: 'POST'
        readonly input: { readonly params: typeof params; readonly query: ReturnType<typeof dryRunQuery>; readonly body: Actions[Verb]['body'] }
        readonly output: Output
      }
    }), // the same verbs, each made by operation()
  }
}

const dryRunQuery = () => closed({ ...dryRun })

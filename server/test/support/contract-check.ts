// What a server says of itself in /openapi.json, held against what it answers.
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { rejectionCodes } from '@holdfast/contract'
import type { Answered, TestServer } from './server.ts'

export type Schema = { readonly [word: string]: unknown }
export type DescribedOperation = {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly scope: string
  readonly parameters: readonly { readonly name: string; readonly in: 'path' | 'query' | 'header'; readonly required: boolean; readonly schema: Schema }[]
  /** References are filled in. */
  readonly body: Schema | undefined
  /** What a body may be besides JSON, as the content types say. */
  readonly otherBodies: readonly string[]
  readonly streams: boolean
}

export type ContractCheck = {
  readonly operations: readonly DescribedOperation[]
  /** What is wrong with an answer of an operation; nothing when it is as the document says. */
  faultOf(operation: DescribedOperation, answer: Answered): string | undefined
  /** The same of the events of a stream, each on its own. */
  faultOfEvent(operation: DescribedOperation, event: unknown): string | undefined
}

type Document = {
  readonly paths: { readonly [path: string]: { readonly [method: string]: Described } }
  readonly components: { readonly schemas: { readonly [name: string]: Schema } }
}
type Described = {
  readonly operationId: string
  readonly 'x-scope': string
  readonly parameters: DescribedOperation['parameters']
  readonly requestBody?: { readonly content: { readonly [type: string]: { readonly schema: Schema } } }
  readonly responses: { readonly [status: string]: { readonly content: { readonly [type: string]: { readonly schema: Schema } } } }
}

export const readContract = async (server: TestServer): Promise<ContractCheck> => {
  const { body } = await server.request('GET', '/openapi.json', { apiKey: null })
  const document = body as Document // checked by what follows: a document without these has no operations
  const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { 'date-time': isInstant } })
  ajv.addSchema(document, 'openapi.json')
  const pointer = (...steps: readonly string[]) =>
    `openapi.json#/${steps.map((step) => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`
  const validators = new Map<string, ValidateFunction>()
  const validatorAt = (place: string) => {
    const validate = validators.get(place) ?? ajv.compile({ $ref: place })
    validators.set(place, validate)
    return validate
  }
  const said = ({ path, method }: DescribedOperation) => {
    const described = document.paths[path]?.[method.toLowerCase()]
    if (described === undefined) throw new Error(`${method} ${path} is not described`)
    return described
  }
  const faultAt = (operation: DescribedOperation, status: string, type: string, value: unknown): string | undefined => {
    if (said(operation).responses[status]?.content[type] === undefined) return `${status} as ${type} is not described`
    const validate = validatorAt(pointer('paths', operation.path, operation.method.toLowerCase(), 'responses', status, 'content', type, 'schema'))
    return validate(value) ? undefined : `is not as described: ${ajv.errorsText(validate.errors)}`
  }

  return {
    operations: Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, described]) => ({
        id: described.operationId,
        method: method.toUpperCase(),
        path,
        scope: described['x-scope'],
        parameters: described.parameters.map((parameter) => ({ ...parameter, schema: filledIn(parameter.schema, document) })),
        body: jsonBody(described) && filledIn(jsonBody(described) ?? {}, document),
        otherBodies: Object.keys(described.requestBody?.content ?? {}).filter((type) => type !== 'application/json'),
        streams: Object.values(described.responses).some(({ content }) => 'text/event-stream' in content),
      })),
    ),
    faultOf: (operation, answer) => {
      const type = (answer.headers.get('content-type') ?? '').split(';')[0] ?? ''
      const fault =
        (answer.status >= 400 && problemFault(answer)) ||
        (answer.headers.get('request-id') === null && 'has no Request-Id') ||
        faultAt(operation, String(answer.status), type, valueIn(type, answer)) ||
        // Each line of a whole list is a row of its pages.
        (type === 'application/x-ndjson' && faultAt(operation, String(answer.status), 'application/json', pageOf(answer.text)))
      return fault ? `${operation.method} ${operation.path} answered ${answer.status}, which ${fault}: ${answer.text.slice(0, SHOWN)}` : undefined
    },
    faultOfEvent: (operation, event) => faultAt(operation, '200', 'text/event-stream', event),
  }
}

/** What is wrong with a problem, whoever answered it: not of the closed list, not the status of its code, or not whole. */
export const problemFault = ({ status, headers, body }: Answered): string | undefined => {
  const type = headers.get('content-type')
  if (type?.split(';')[0] !== 'application/problem+json') return `is ${type}, not a problem`
  if (typeof body !== 'object' || body === null) return 'is no object'
  const problem = new Map(Object.entries(body))
  const code = problem.get('code')
  if (!rejectionCodes.some((known) => known === code)) return `has the code ${String(code)}, which is not of the list`
  if (problem.get('status') !== status) return `says that its status is ${String(problem.get('status'))}`
  if (problem.get('type') !== `/docs/problems/${String(code)}`) return `has the type ${String(problem.get('type'))}`
  if (problem.get('request_id') !== headers.get('request-id')) return 'has another request id than its header'
  if (code === 'invalid_request' && problem.get('detail') === '') return 'does not say what is wrong'
  return undefined
}

/** JSON is looked into; any other text is a text. */
const valueIn = (type: string, { body, text }: Answered): unknown => (/[/+]json$/.test(type) ? body : text)

const pageOf = (lines: string): unknown => ({
  object: 'list',
  data: lines
    .split('\n')
    .slice(0, -1)
    .map((line): unknown => JSON.parse(line)),
  has_more: false,
  next_cursor: null,
})

const jsonBody = ({ requestBody }: Described): Schema | undefined => requestBody?.content['application/json']?.schema

const SHOWN = 500
const isInstant = (text: string): boolean => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && !Number.isNaN(Date.parse(text))

const filledIn = (schema: Schema, document: Document): Schema => {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== 'object' || value === null) return value
    if ('$ref' in value && typeof value.$ref === 'string') return walk(document.components.schemas[value.$ref.split('/').at(-1) ?? ''])
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, walk(inner)]))
  }
  return walk(schema) as Schema // an object goes in
}

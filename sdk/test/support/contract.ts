// The contract's table, used from outside: does a request fit it, and what could an answer look like?
import { allOperations, type Operation } from '@holdfast/contract'
import type { Asked, Reply } from './server.ts'

/** As much of JSON Schema as the contract speaks. */
type Schema = {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly string[]
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
}

export function operationOf(asked: Asked): Operation | undefined {
  const fits = (path: string) => new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`).test(asked.path)
  const found = allOperations.filter(({ method, path }) => method === asked.method && fits(path))
  // `/v1/events/stream` is also an event's path in form.
  return found.find(({ path }) => path === asked.path) ?? found[0]
}

/** What the server would refuse about a request; nothing when it fits. */
export function faultsOf(asked: Asked, { input, movesStock, bodyTypes }: Operation): string[] {
  const query = Object.fromEntries(
    [...new Set(asked.query.keys())].map((name) => [name, fromQuery(asked.query.getAll(name), schemaOf(input.query).properties?.[name])]),
  )
  return [
    ...faults(schemaOf(input.query), query, 'query'),
    ...(bodyTypes !== undefined
      ? bodyTypes.includes(String(asked.headers['content-type']))
        ? []
        : ['body: not a file']
      : input.body === undefined
        ? asked.body === undefined
          ? []
          : ['body: not wanted']
        : faults(schemaOf(input.body), asked.body, 'body')),
    ...(movesStock && asked.headers['idempotency-key'] === undefined ? ['no Idempotency-Key'] : []),
  ]
}

/** Any answer the contract allows. */
export const answerOf = (operation: Operation): Reply => ({ status: operation.status, body: sample(schemaOf(operation.output)) })

/** No query or body in the contract means an empty one. TypeBox's schemas are JSON Schema. */
const schemaOf = (schema: object | undefined): Schema => schema ?? { type: 'object', properties: {}, additionalProperties: false }

function fromQuery(values: readonly string[], schema: Schema | undefined): unknown {
  if (values.length > 1) return values
  const [value] = values
  if (schema?.type === 'integer') return Number(value)
  if (schema?.type === 'boolean') return value === 'true'
  return value
}

function faults(schema: Schema, value: unknown, at: string): string[] {
  const wrong = (what: string) => [`${at}: ${JSON.stringify(value)} ${what}`]
  if (schema.anyOf !== undefined) return schema.anyOf.some((one) => faults(one, value, at).length === 0) ? [] : wrong('fits none of its forms')
  if (schema.enum !== undefined) return schema.enum.includes(String(value)) ? [] : wrong('is no such word')

  switch (schema.type) {
    case 'object': {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('is not an object')
      const { properties = {}, required = [] } = schema
      const free = Object.values(schema.patternProperties ?? {})[0]
      return [
        ...required.filter((name) => !(name in value)).map((name) => `${at}.${name} is missing`),
        ...Object.entries(value).flatMap(([name, inner]) => {
          const known = properties[name] ?? free
          return known === undefined ? [`${at}.${name} is not known`] : faults(known, inner, `${at}.${name}`)
        }),
      ]
    }
    case 'array':
      return Array.isArray(value) ? value.flatMap((each, index) => faults(schema.items ?? {}, each, `${at}[${index}]`)) : wrong('is not a list')
    case 'integer':
    case 'number': {
      if (typeof value !== 'number' || (schema.type === 'integer' && !Number.isInteger(value))) return wrong(`is not a ${schema.type}`)
      return value < (schema.minimum ?? -Infinity) || value > (schema.maximum ?? Infinity) ? wrong('is out of range') : []
    }
    case 'string':
      return typeof value === 'string' && new RegExp(schema.pattern ?? '').test(value) ? [] : wrong('is not such a string')
    case 'boolean':
      return typeof value === 'boolean' ? [] : wrong('is not true or false')
    case 'null':
      return value === null ? [] : wrong('is not null')
    default:
      return []
  }
}

function sample(schema: Schema): unknown {
  if (schema.const !== undefined) return schema.const
  if (schema.anyOf !== undefined) return sample(schema.anyOf[0] ?? {})
  if (schema.enum !== undefined) return schema.enum[0]
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, sample(inner)]))
    case 'array':
      return [sample(schema.items ?? {})]
    case 'integer':
    case 'number':
      return 1
    case 'boolean':
      return false
    default:
      return 'word'
  }
}

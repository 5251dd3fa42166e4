// Is a request what its operation takes? A quick look first; when it is not, a thorough one that names everything that is wrong.
import type { Operation } from '@holdfast/contract'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'

export type Fault = { readonly param: string; readonly message: string }
export type Input = { readonly params: unknown; readonly query: unknown; readonly body: unknown }
/** Nothing when the request is as it should be. */
export type Validator = (input: Input) => readonly Fault[] | undefined

export type ValidatorLimits = { readonly faultsTold: number; readonly faultsSoughtInValues: number }

export const validatorOf = ({ input }: Operation, { faultsTold, faultsSoughtInValues }: ValidatorLimits): Validator => {
  const params = partOf(input.params ?? nothing)
  const query = partOf(input.query ?? nothing)
  const body = input.body === undefined ? undefined : partOf(input.body)

  return (given) => {
    if (params.isRight(given.params) && query.isRight(given.query) && (body === undefined ? given.body === undefined : body.isRight(given.body)))
      return undefined
    const faults = [...params.faultsOf(given.params, faultsSoughtInValues), ...query.faultsOf(given.query, faultsSoughtInValues)]
    if (body !== undefined) faults.push(...body.faultsOf(given.body, faultsSoughtInValues))
    else if (given.body !== undefined) faults.push({ param: '', message: 'this operation takes no body' })
    return faults.slice(0, faultsTold)
  }
}

/** What is wrong with a value by itself. */
export const faultFinder = (schema: object, { faultsTold, faultsSoughtInValues }: ValidatorLimits): ((value: unknown) => readonly Fault[]) => {
  const part = partOf(schema)
  return (value) => (part.isRight(value) ? [] : part.faultsOf(value, faultsSoughtInValues).slice(0, faultsTold))
}

/** May the body be left out? Then the handler is given `{}`. */
export const bodyMayBeMissing = ({ input }: Operation): boolean => input.body !== undefined && partOf(input.body).isRight({})

// No defaults are filled in: a PATCH would otherwise change what was not named. And nothing is coerced: "3" is no quantity.
const options = {
  strict: true,
  strictTypes: false,
  strictRequired: false,
  coerceTypes: false,
  useDefaults: false,
  removeAdditional: false,
  verbose: true,
} as const
const quick = new Ajv({ ...options, allErrors: false })
const thorough = new Ajv({ ...options, allErrors: true })

const instantShape = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/
/** An instant that exists: JavaScript takes the 30th of February for the 2nd of March. */
const isInstant = (text: string): boolean => {
  const parts = instantShape.exec(text)
  if (parts === null || Number.isNaN(Date.parse(text))) return false
  const [, year, month, day] = parts.map(Number)
  return day !== undefined && month !== undefined && year !== undefined && new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day
}
for (const ajv of [quick, thorough]) ajv.addFormat('date-time', isInstant)

const nothing = { type: 'object', properties: {}, additionalProperties: false }

type Part = { isRight(value: unknown): boolean; faultsOf(value: unknown, soughtInValues: number): Fault[] }
const parts = new WeakMap<object, Part>()

/** Compiled when it is first needed: a server that starts needs none of a hundred schemas yet. */
const partOf = (schema: object): Part => {
  const known = parts.get(schema)
  if (known !== undefined) return known
  let first: ValidateFunction | undefined
  let all: ValidateFunction | undefined
  const quickly = () => (first ??= quick.compile(plain(schema)))
  const part: Part = {
    isRight: (value) => quickly()(value),
    faultsOf: (value, soughtInValues) => {
      // A megabyte of wrong values would make a hundred megabytes of faults.
      const check = hasMoreValuesThan(value, soughtInValues) ? quickly() : (all ??= thorough.compile(plain(schema)))
      return check(value) ? [] : faultsOf(check.errors ?? [], value)
    },
  }
  parts.set(schema, part)
  return part
}

/** The schema as plain JSON. A record of strings matches its keys with `^.*$`, which a key with a line break escapes; so any key is meant. */
const plain = (schema: object): object =>
  JSON.parse(JSON.stringify(schema), (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('patternProperties' in value)) return value
    const { patternProperties, ...rest } = value as { patternProperties: Record<string, unknown> } // JSON schema's own word
    const [pattern, ...others] = Object.keys(patternProperties)
    return pattern === '^.*$' && others.length === 0 ? { ...rest, additionalProperties: patternProperties[pattern] } : value
  }) as object // an object went in

const hasMoreValuesThan = (value: unknown, most: number): boolean => {
  const open: unknown[] = [value]
  let seen = 0
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== 'object' || next === null) continue
    const inner: unknown[] = Object.values(next)
    seen += inner.length
    if (seen > most) return true
    for (const each of inner) if (typeof each === 'object' && each !== null) open.push(each)
  }
  return false
}

const faultsOf = (errors: readonly ErrorObject[], value: unknown): Fault[] => {
  const unions = errors.filter((error) => error.keyword === 'anyOf')
  const told = errors.filter((error) => error.keyword !== 'anyOf' && error.keyword !== 'propertyNames' && !unions.some((union) => isBranchOf(union, error)))
  return [
    ...told.map((error) => ({ param: paramOf(error, value), message: messageOf(error) })),
    ...unions.flatMap((union) =>
      unionFaults(
        union,
        errors.filter((error) => error !== union && isBranchOf(union, error)),
        value,
      ),
    ),
  ]
}

const isBranchOf = (union: ErrorObject, error: ErrorObject): boolean =>
  error !== union &&
  error.schemaPath.startsWith(`${union.schemaPath}/`) &&
  (error.instancePath === union.instancePath || error.instancePath.startsWith(`${union.instancePath}/`))

/** Of a union, only what is wrong with the branch that was meant: the one whose type the value has. */
const unionFaults = (union: ErrorObject, branches: readonly ErrorObject[], value: unknown): Fault[] => {
  const branchOf = (error: ErrorObject) => error.schemaPath.slice(union.schemaPath.length + 1).split('/')[0] ?? ''
  const wrongType = branches.filter((error) => error.keyword === 'type' && error.instancePath === union.instancePath)
  const ruledOut = new Set(wrongType.map(branchOf))
  const meant = branches.filter((error) => !ruledOut.has(branchOf(error)))
  if (meant.length > 0) return faultsOf(meant, value)
  return [{ param: paramOf(union, value), message: `must be ${wrongType.map((error) => typeName(String(error.params['type']))).join(' or ')}` }]
}

/** `/lines/0/quantity` → `lines[0].quantity`; with the field's name when it is missing or not known. */
const paramOf = ({ instancePath, keyword, params }: ErrorObject, value: unknown): string => {
  const field =
    keyword === 'required' ? String(params['missingProperty']) : keyword === 'additionalProperties' ? String(params['additionalProperty']) : undefined
  let param = ''
  let current = value
  for (const segment of instancePath.split('/').slice(1)) {
    const key = segment.replaceAll('~1', '/').replaceAll('~0', '~')
    param += Array.isArray(current) ? `[${key}]` : param === '' ? key : `.${key}`
    current = typeof current === 'object' && current !== null ? (current as Record<string, unknown>)[key] : undefined // its own key, says Ajv
  }
  if (field === undefined) return param
  return param === '' ? field : `${param}.${field}`
}

const messageOf = ({ keyword, params, message, parentSchema, propertyName }: ErrorObject): string => {
  if (propertyName !== undefined) return `has the name ${propertyName.slice(0, 80)}…, which is too long: 64 characters at most`
  const limit = String(params['limit'])
  switch (keyword) {
    case 'required':
      return 'is required'
    case 'additionalProperties':
      return 'is not known'
    case 'type':
      return `must be ${typeName(String(params['type']))}`
    case 'enum':
      return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}` // Ajv gives the list of the schema
    case 'minimum':
      return `must be ${limit} or more`
    case 'maximum':
      return `must be ${limit} or less`
    case 'minLength':
      return limit === '1' ? 'must not be empty' : `must have ${limit} characters or more`
    case 'maxLength':
      return `must have ${limit} characters or less`
    case 'minItems':
      return limit === '1' ? 'must not be empty' : `must have ${limit} entries or more`
    case 'maxItems':
      return `must have ${limit} entries or less`
    case 'maxProperties':
      return `must have ${limit} fields or less`
    case 'format':
      return 'must be an instant such as 2026-11-21T10:15:00.000Z'
    case 'pattern':
      return `is not well formed${exampleIn(parentSchema)}`
    default:
      return message ?? 'is not right'
  }
}

const exampleIn = (schema: unknown): string => {
  if (typeof schema !== 'object' || schema === null || !('examples' in schema) || !Array.isArray(schema.examples)) return ''
  return `; one that is: ${String(schema.examples[0])}`
}

const typeNames: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  number: 'a number',
  string: 'a string',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
}
const typeName = (type: string): string => typeNames[type] ?? type

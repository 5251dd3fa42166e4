// Query strings hold only text. What their schema says is a number, a yes or a list is read as such here, and nothing else is.
import type { Operation } from '@holdfast/contract'

export type QueryReader = (raw: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>

export const queryReaderOf = ({ input }: Operation): QueryReader => {
  const kinds = new Map(Object.entries(input.query?.properties ?? {}).map(([name, schema]) => [name, kindOf(schema)]))
  return (raw) => {
    let query: Record<string, unknown> | undefined
    for (const written in raw) {
      query ??= Object.create(null) as Record<string, unknown> // a name like __proto__ is then a name like others
      const kind = kinds.get(written)
      const listed = written.endsWith('[]') ? written.slice(0, -2) : undefined
      const text = raw[written]
      if (listed !== undefined && kind === undefined && kinds.get(listed)?.list) query[listed] = [...asList(query[listed]), ...asList(text)]
      else if (kind?.list === 'only' || (kind?.list === 'also' && query[written] !== undefined)) query[written] = [...asList(query[written]), ...asList(text)]
      // Named twice, a parameter that is no list stays a list and is refused as such.
      else query[written] = typeof text === 'string' && kind?.read ? kind.read(text) : text
    }
    return query ?? NO_QUERY
  }
}

const NO_QUERY = Object.freeze({})

type Kind = { readonly list: false | 'also' | 'only'; readonly read?: (text: string) => unknown }

const kindOf = (schema: unknown): Kind => {
  if (typeof schema !== 'object' || schema === null) return { list: false }
  if ('anyOf' in schema && Array.isArray(schema.anyOf)) return { list: schema.anyOf.some((branch) => kindOf(branch).list) ? 'also' : false }
  switch ('type' in schema ? schema.type : undefined) {
    case 'array':
      return { list: 'only' }
    case 'integer':
      return { list: false, read: (text) => (/^-?\d{1,15}$/.test(text) ? Number(text) : text) }
    case 'number':
      return { list: false, read: (text) => (/^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : text) }
    case 'boolean':
      return { list: false, read: (text) => (text === 'true' ? true : text === 'false' ? false : text) }
    default:
      return { list: false }
  }
}

const asList = (value: unknown): unknown[] => (value === undefined ? [] : Array.isArray(value) ? value : [value])

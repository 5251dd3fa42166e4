// Answers as JSON, by their schema.
import fastJson from 'fast-json-stringify'

/** Compiled when it first answers: a server that starts answers nothing yet. */
export const answerSerializer = (schema: object): ((answer: unknown) => string) => {
  let serialize: ((answer: unknown) => string) | undefined
  return (answer) => (serialize ??= fastJson(schema))(answer)
}

/**
 * The output schema of an operation as fast-json-stringify likes it: same answers, without the unions that it would have to try. What is
 * null or something becomes that something, nullable; a record of strings has additional properties of strings.
 */
export const serializable = (schema: unknown): object => {
  if (typeof schema !== 'object' || schema === null) return {}
  if ('anyOf' in schema && Array.isArray(schema.anyOf)) {
    const others = schema.anyOf.filter((branch) => !isNull(branch))
    const [only] = others
    if (others.length === 1 && others.length < schema.anyOf.length) return { ...serializable(only), nullable: true }
    return { anyOf: schema.anyOf.map(serializable) }
  }
  const { type, const: constant, properties, required, items, patternProperties } = schema as Readonly<Record<string, unknown>> // JSON schema's own words
  const plain: Record<string, unknown> = {}
  if (type !== undefined) plain['type'] = type
  if (constant !== undefined) plain['const'] = constant
  if (required !== undefined) plain['required'] = required
  if (items !== undefined) plain['items'] = serializable(items)
  if (typeof properties === 'object' && properties !== null) {
    plain['properties'] = Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, serializable(property)]))
  }
  if (typeof patternProperties === 'object' && patternProperties !== null) {
    const [values] = Object.values(patternProperties)
    plain['additionalProperties'] = serializable(values)
  }
  return plain
}

const isNull = (schema: unknown): boolean => typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'null'

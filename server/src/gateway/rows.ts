// Rows of an upload, read and checked as bodies are: the same rules, the same words.
import { readJson } from './json.ts'
import { Refused } from './problem.ts'
import { faultFinder, type Fault, type ValidatorLimits } from './validate.ts'

export type RowReader = {
  /** What is wrong with a row; nothing when it is as it should be. */
  faultsOf(row: unknown): readonly Fault[]
  parse(text: string): { readonly row: unknown } | { readonly faults: readonly Fault[] }
}

export const rowReader = (schema: object, limits: ValidatorLimits): RowReader => ({
  faultsOf: faultFinder(schema, limits),
  parse: (text) => {
    try {
      return { row: readJson(Buffer.from(text), limits) }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return { faults: error.refusal.errors ?? [{ param: '', message: error.refusal.detail.replace(/^The body /, '') }] }
    }
  },
})

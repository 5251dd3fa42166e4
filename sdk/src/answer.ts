// What came with an answer besides its body, kept beside the answer so that the answer itself is nothing but what it says.

export type ResponseFacts = {
  readonly status: number
  /** Stands in the server's log lines of this request. */
  readonly requestId: string | undefined
  /** How new the stock was that was read. Given back as `minSequence`, a later read is at least as new. */
  readonly sequence: number | undefined
  /** True: this had been done before under the same key, and this is what was answered then. */
  readonly replayed: boolean
  /** True: served from a cache because the database cannot be reached. */
  readonly stale: boolean
  /** The key it was sent with, given or made. */
  readonly idempotencyKey: string | undefined
  /** How often it was sent until it was answered. */
  readonly attempts: number
}

const facts = new WeakMap<object, ResponseFacts>()

/**
 * What came with an answer. Asks for the very object that a method answered (for lists: what `page()` answered), not for a copy.
 * @example
 * const level = await stock.stockLevels.get('TEA-1')
 * const { sequence } = responseOf(level)
 * const later = await stock.availability.get('TEA-1', { minSequence: sequence })
 */
export function responseOf(answer: object): ResponseFacts {
  const found = facts.get(answer)
  if (found === undefined) throw new TypeError('responseOf was given something that is not an answer itself; was it copied or taken from a list?')
  return found
}

export function remember<Answer extends object>(answer: Answer, response: ResponseFacts): Answer {
  facts.set(answer, response)
  return answer
}

// Questions that arrive in one turn of the event loop are asked together, so that a thousand of them are a few statements.

export type Together<Key, Answer> = (keys: readonly Key[]) => Promise<Answer>

type Waiting<Key, Answer> = { readonly keys: readonly Key[]; readonly resolve: (answer: Answer) => void; readonly reject: (error: unknown) => void }

/**
 * @param ask  is given the keys of all who asked, each once; everybody gets its whole answer
 * @param limits.keys  in one question; a caller's keys are never split
 * @param limits.inFlight  questions at a time
 */
export const together = <Key, Answer>({
  ask,
  limits,
}: {
  readonly ask: (keys: readonly Key[]) => Promise<Answer>
  readonly limits: { readonly keys: number; readonly inFlight: number }
}): Together<Key, Answer> => {
  const waiting: Waiting<Key, Answer>[] = []
  let inFlight = 0
  let woken = false

  const wake = () => {
    if (woken) return
    woken = true
    setImmediate(() => {
      woken = false
      while (waiting.length > 0 && inFlight < limits.inFlight) {
        inFlight += 1
        void run(next()).finally(() => {
          inFlight -= 1
          if (waiting.length > 0) wake()
        })
      }
    })
  }
  const next = (): Waiting<Key, Answer>[] => {
    let keys = 0
    let count = 0
    for (const one of waiting) {
      keys += one.keys.length
      if (count > 0 && keys > limits.keys) break
      count += 1
    }
    return waiting.splice(0, count)
  }
  const run = async (batch: readonly Waiting<Key, Answer>[]): Promise<void> => {
    try {
      const answer = await ask([...new Set(batch.flatMap((one) => one.keys))])
      for (const { resolve } of batch) resolve(answer)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
  return (keys) =>
    new Promise((resolve, reject) => {
      waiting.push({ keys, resolve, reject })
      wake()
    })
}

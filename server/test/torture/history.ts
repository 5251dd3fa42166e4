// What the callers asked, and what they heard: everything that the checker may believe of them. Written down before a request is
// sent and again when it has ended, so that what was on its way when everything broke is known as well.
import { createWriteStream, type WriteStream } from 'node:fs'

export type Action =
  | 'hold'
  | 'execute'
  | 'release'
  | 'receive'
  | 'adjust'
  | 'ship'
  | 'transfer'
  | 'dispatch'
  | 'arrive'
  | 'availability'
  | 'levels'
  | 'level-list'
  | 'hold-list'

/** ok: done. fail: a definite no of Holdfast's. unknown: anything else, whatever became of it. */
export type Outcome = 'ok' | 'fail' | 'unknown'

export type Attempt = {
  readonly try: number
  readonly node: string
  /** Goes along as Request-Id, and stands in the event that the attempt made, if it made one. */
  readonly requestId: string
  readonly invNs: number
  /** Null: it has not ended. */
  compNs: number | null
  outcome: Outcome
  status: number | null
  /** What was answered, read as JSON. */
  body: unknown
  /** As the headers say it: Stock-Sequence and Idempotent-Replayed. */
  sequence: number | null
  replayed: boolean
}

/** Taken to be done later, and not done yet: Holdfast has promised it, and nobody knows what will become of it. */
export const isKept = ({ status }: Pick<Attempt, 'status'>): boolean => status === 202

/** One wish, under one key, asked for until the answer is definite. */
export type Operation = {
  readonly i: number
  readonly action: Action
  /** Null for reads, which have none. */
  readonly key: string | null
  /** What was asked: the path and the body. */
  readonly args: { readonly path: string; readonly body: unknown }
  /** The hold it is about, or the transfer. */
  readonly subject: string | null
  /** Another request under a key that stands for one already: the first operation of that key. */
  readonly again: { readonly of: number; readonly changed: boolean } | null
  /** The operations that were sent at one instant to meet at the end of a hold have one number. */
  readonly race: number | null
  readonly attempts: Attempt[]
}

export type History = {
  readonly operations: readonly Operation[]
  add(operation: Omit<Operation, 'i' | 'attempts'>): Operation
  began(operation: Operation, node: string): Attempt
  ended(operation: Operation, attempt: Attempt, answer: Pick<Attempt, 'outcome' | 'status' | 'body' | 'sequence' | 'replayed'>): void
  /** Nanoseconds since it began, by a clock that nobody sets. */
  nowNs(): number
  /** What the wall's clock said when `nowNs` was 0, in milliseconds. */
  readonly startedAtMs: number
  close(): Promise<void>
}

/** @param file  where it is written as it happens, a line for each beginning and each end; nowhere when it is not asked for */
export const openHistory = (file?: string): History => {
  const operations: Operation[] = []
  const from = process.hrtime.bigint()
  const startedAtMs = Date.now()
  const stream: WriteStream | undefined = file === undefined ? undefined : createWriteStream(file)
  const write = (line: object) => stream?.write(`${JSON.stringify(line)}\n`)
  const nowNs = () => Number(process.hrtime.bigint() - from)
  return {
    operations,
    nowNs,
    startedAtMs,
    add: (operation) => {
      const made: Operation = { ...operation, i: operations.length, attempts: [] }
      operations.push(made)
      return made
    },
    began: (operation, node) => {
      const number = operation.attempts.length + 1
      const attempt: Attempt = {
        try: number,
        node,
        requestId: `torture-${operation.i}-${number}`,
        invNs: nowNs(),
        compNs: null,
        outcome: 'unknown',
        status: null,
        body: undefined,
        sequence: null,
        replayed: false,
      }
      operation.attempts.push(attempt)
      const { i, action, key, args, again, race } = operation
      write({ i, op: action, key, args, again, race, try: number, node, invNs: attempt.invNs })
      return attempt
    },
    ended: (operation, attempt, answer) => {
      Object.assign(attempt, answer, { compNs: nowNs() })
      write({ i: operation.i, try: attempt.try, compNs: attempt.compNs, ...answer })
    },
    close: async () => {
      if (stream === undefined) return
      await new Promise<void>((resolve) => stream.end(resolve))
    },
  }
}

/** The request that an event says it was made by; nothing when it is none of ours. */
export const operationOf = (requestId: string): { readonly i: number; readonly try: number } | undefined => {
  const [, i, number] = /^torture-(\d+)-(\d+)$/.exec(requestId) ?? []
  return i === undefined || number === undefined ? undefined : { i: Number(i), try: Number(number) }
}

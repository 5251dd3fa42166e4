// The one way in which stock changes. Requests that arrive while a transaction is under way form the next one.
import { needsOf } from '../domain/decide.ts'
import type { ItemNumber, Uuid } from '../domain/ids.ts'
import { levelKey, type Thresholds } from '../domain/level.ts'
import { Fault } from '../storage/fault.ts'
import type { LedgerStore } from '../storage/ledger-store.ts'
import { runBatch, type LedgerRejection, type OnStood, type Outcome, type Request } from './batch.ts'

export type LedgerLimits = {
  /** Requests that wait at most. One more is answered `overloaded`. */
  readonly queue: number
  /** Requests in one batch at most. */
  readonly batch: number
  /** Lines in one batch at most; a single request may have more. */
  readonly batchLines: number
  readonly inFlight: number
  /** Due holds that one command which is short has expired at a time. */
  readonly due: number
  /** Times that one command is decided again because holds of its items were due. */
  readonly deferrals: number
  /** Times that a batch is run while the database is away or busy. */
  readonly attempts: number
  /** How long after its first failure another one is begun. */
  readonly patienceMs: number
}

export type LedgerDeps = {
  readonly store: LedgerStore
  readonly thresholdsOf: (item: ItemNumber) => Thresholds
  readonly limits: LedgerLimits
  /** Waits before another attempt. The simulation has its own. */
  readonly wait: (ms: number) => Promise<void>
  /** Calls back when what has arrived by now has been read. */
  readonly soon: (callback: () => void) => void
  readonly onBatch?: (facts: { readonly requests: number; readonly attempts: number }) => void
  readonly onFault?: (fault: unknown) => void
  readonly onStood?: OnStood
  /** Told before the answers to requests whose commit had lost its answer: what it did, it did without a word to `onStood`. */
  readonly onUnsure?: () => void
}

/**
 * No answer. `overloaded`: nothing was written. `unavailable`: nothing, or all of it, when the answer of a commit was lost and
 * the database did not come back in time to be asked. The same request with the same key finds out.
 */
export type NotTaken = {
  readonly ok: false
  readonly rejection: { readonly code: 'overloaded' | 'unavailable' }
  readonly sequence: 0
  readonly replayed: false
}
export type LedgerOutcome = Outcome | NotTaken

export type Ledger = {
  /** Answers after the commit, or says that it was not taken. Throws only for a defect. */
  submit(request: Request): Promise<LedgerOutcome>
  /** Takes nothing more, and resolves when all that was taken has been answered. */
  stop(): Promise<void>
  /** Requests that wait, and batches under way. */
  load(): { readonly waiting: number; readonly inFlight: number }
}

export type { LedgerRejection, Outcome, Request }

/** What a batch will lock or write, as far as a request names it: a hold, a document, a caller's key, a customer, and levels by their number. */
type Lock = string | number

type Waiting = {
  readonly request: Request
  readonly locks: readonly Lock[]
  readonly answer: (outcome: LedgerOutcome) => void
  readonly fail: (error: unknown) => void
  deferrals: number
}

export const ledger = ({ store, thresholdsOf, limits, wait, soon, onBatch, onFault, onStood, onUnsure }: LedgerDeps): Ledger => {
  let waiting: Waiting[] = []
  /** What is to be decided again, with the expiries it waits for: before everything else. */
  const again: Waiting[][] = []
  /** What each batch under way has locked, or is about to. */
  const locked = new Set<ReadonlySet<Lock>>()
  let inFlight = 0
  let woken = false
  let stopped = false
  let idle: (() => void)[] = []
  const deps = { store, thresholdsOf, dueLimit: limits.due, onStood }

  const wake = () => {
    if (woken) return
    woken = true
    soon(() => {
      woken = false
      while (inFlight < limits.inFlight && (again.length > 0 || waiting.length > 0)) {
        inFlight += 1
        const batch = again.shift() ?? nextBatch()
        const locks = new Set(batch.flatMap((entry) => entry.locks))
        locked.add(locks)
        void run(batch).finally(() => {
          inFlight -= 1
          locked.delete(locks)
          if (again.length > 0 || waiting.length > 0) wake()
          else if (inFlight === 0) for (const resolve of idle.splice(0)) resolve()
        })
      }
    })
  }

  /**
   * What waits longest. While another batch is under way, what needs nothing that it has locked goes first, so that the two work
   * side by side; the few that were passed over lead the next one, and nobody behind them takes what they wait for. If that leaves
   * less than half a batch, everybody wants the same, and the batch is made in order: to stand behind those locks is better than
   * to begin when they are given back.
   */
  const nextBatch = (): Waiting[] => {
    const inOrder = taken(() => true)
    if (locked.size === 0) return leave(inOrder)
    const passedOver = new Set<Lock>()
    const busy = [...locked, passedOver]
    const free = taken(({ locks }) => {
      const isFree = !locks.some((lock) => busy.some((set) => set.has(lock)))
      if (!isFree) for (const lock of locks) passedOver.add(lock)
      return isFree
    })
    return leave(free.length * 2 < inOrder.length ? inOrder : free)
  }

  /** The first of those that wait, as many as fit into one batch. */
  const taken = (fits: (entry: Waiting) => boolean): Waiting[] => {
    const batch: Waiting[] = []
    let lines = 0
    for (const entry of waiting) {
      if (batch.length === limits.batch) break
      if (!fits(entry)) continue
      lines += linesOf(entry.request)
      if (batch.length > 0 && lines > limits.batchLines) break
      batch.push(entry)
    }
    return batch
  }

  const leave = (batch: Waiting[]): Waiting[] => {
    const going = new Set(batch)
    waiting = waiting.filter((entry) => !going.has(entry))
    return batch
  }

  /**
   * Never rejects: everything that can go wrong is somebody's answer.
   * @param lost  the answer of a commit of these requests was lost before
   */
  const run = async (batch: readonly Waiting[], lost = false): Promise<void> => {
    const patience = { isAsked: false, isOver: false }
    for (let attempt = 1; ; attempt += 1) {
      try {
        const outcomes = await runBatch(
          batch.map(({ request }) => request),
          deps,
        )
        onBatch?.({ requests: batch.length, attempts: attempt })
        if (lost) onUnsure?.()
        answer(batch, outcomes)
        return
      } catch (error) {
        onFault?.(error)
        const refused = error instanceof Fault && error.kind === 'refused'
        lost ||= error instanceof Fault && error.kind === 'unknown'
        // Refused twice: one of them is at fault, or two of them cannot go together. Halves find out which.
        if ((refused && attempt >= 2) || !(error instanceof Fault)) {
          if (batch.length > 1) return halves(batch, lost)
          if (!(error instanceof Fault)) return batch[0]?.fail(error)
        }
        // An unknown commit is no exception: run again, the batch waits for the locks of the lost one, and then finds the
        // keys if it stands. What has no key asks for what is so already.
        if (!patience.isAsked) {
          patience.isAsked = true
          void wait(limits.patienceMs).then(() => (patience.isOver = true))
        }
        if (attempt >= limits.attempts || patience.isOver) {
          if (lost) onUnsure?.()
          // A check refuses what was decided: the rules let through what must not be. (A unique key is only a lost race.)
          if (error.sqlState === CHECK_VIOLATION) return batch[0]?.fail(new Error('the database refuses what was decided', { cause: error }))
          return notTaken(batch, lost || error.kind === 'unavailable' ? 'unavailable' : 'overloaded')
        }
        await wait(2 ** attempt * FIRST_WAIT_MS)
      }
    }
  }

  const halves = async (batch: readonly Waiting[], lost: boolean): Promise<void> => {
    const middle = Math.ceil(batch.length / 2)
    await run(batch.slice(0, middle), lost)
    await run(batch.slice(middle), lost)
  }

  const answer = (batch: readonly Waiting[], outcomes: Awaited<ReturnType<typeof runBatch>>) => {
    const due = new Set<Uuid>()
    const deferred: Waiting[] = []
    for (const [index, entry] of batch.entries()) {
      const outcome = outcomes[index]
      if (outcome === undefined) entry.fail(new Error('a batch answered fewer requests than it was given'))
      else if (!('deferred' in outcome)) entry.answer(outcome)
      else if (entry.deferrals >= limits.deferrals) entry.answer(NOT_TAKEN.overloaded)
      else {
        entry.deferrals += 1
        for (const id of outcome.due) due.add(id)
        deferred.push(entry)
      }
    }
    if (deferred.length > 0) again.push([...Array.from(due, expiry), ...deferred])
  }

  const notTaken = (batch: readonly Waiting[], code: 'overloaded' | 'unavailable') => {
    for (const entry of batch) entry.answer(NOT_TAKEN[code])
  }

  return {
    submit: (request) => {
      if (stopped) return Promise.resolve(NOT_TAKEN.unavailable)
      if (waiting.length >= limits.queue) return Promise.resolve(NOT_TAKEN.overloaded)
      return new Promise((resolve, reject) => {
        waiting.push({ request, locks: locksOf(request), answer: resolve, fail: reject, deferrals: 0 })
        wake()
      })
    },
    stop: () => {
      stopped = true
      if (inFlight === 0 && waiting.length === 0 && again.length === 0) return Promise.resolve()
      return new Promise((resolve) => idle.push(resolve))
    },
    load: () => ({ waiting: waiting.length, inFlight }),
  }
}

const FIRST_WAIT_MS = 5
const CHECK_VIOLATION = '23514'

const NOT_TAKEN = {
  overloaded: { ok: false, rejection: { code: 'overloaded' }, sequence: 0, replayed: false },
  unavailable: { ok: false, rejection: { code: 'unavailable' }, sequence: 0, replayed: false },
} as const

/** Nobody waits for the answer of an expiry: if it fails, the hold is still due and the next one who looks expires it. */
const expiry = (id: Uuid): Waiting => ({
  request: { command: { type: 'ExpireHold', id }, actor: 'system', requestId: 'expiry' },
  locks: [id],
  answer: () => undefined,
  fail: () => undefined,
  deferrals: 0,
})

const locksOf = ({ command, key }: Request): Lock[] => {
  const { hold, work, unique, purchases, levels } = needsOf(command)
  const locks: Lock[] = levels.map(({ item, location }) => levelKey(item, location))
  if (hold !== null) locks.push(hold)
  if (work !== null) locks.push(work)
  if (unique !== null) locks.push(unique)
  for (const { customer } of purchases) locks.push(`customer ${customer}`)
  if (key) locks.push(key.key)
  return locks
}

const linesOf = ({ command }: Request): number => {
  if (!('lines' in command) || command.lines === null) return 1
  return command.type === 'PlaceHold' ? command.lines.length * Math.max(1, command.candidates.length) : command.lines.length
}

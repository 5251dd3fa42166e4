// A simulated server process: the real ledger over its connections to the simulated database, and a sweeper. It dies and is
// started again, is stopped for a while, and has a clock of its own that is wrong.
import type { Hold } from '../../src/domain/hold.ts'
import type { ItemNumber } from '../../src/domain/ids.ts'
import type { Thresholds } from '../../src/domain/level.ts'
import { ledger, type Ledger, type LedgerLimits, type LedgerOutcome, type Request } from '../../src/ledger/ledger.ts'
import { Fault } from '../../src/storage/fault.ts'
import type { LedgerStore } from '../../src/storage/ledger-store.ts'
import type { Clock } from './clock.ts'
import { SWEEPER, type Database, type Host, type Rows } from './database.ts'
import type { Pace } from './faults.ts'
import type { Random } from './random.ts'
import type { Tally, Trace } from './tally.ts'

export type Server = {
  readonly number: number
  /** Calls back with nothing when it could not say what became of the request; never, if it dies meanwhile. */
  request(request: Request, answer: (outcome: LedgerOutcome | undefined) => void): void
  read<Answer>(statement: (rows: Rows) => Answer, answer: (answer: Answer) => void): void
  isUp(): boolean
  isIdle(): boolean
  /** Lets the process finish, and says when it has. */
  stop(stopped: () => void): void
}

/** What a mutant does in the place of the real thing. */
export type Wiring = {
  readonly store?: (store: LedgerStore, database: Database, host: Host) => LedgerStore
  readonly sweep?: (due: Hold, store: LedgerStore) => Promise<void>
}

export type ServerDeps = {
  readonly number: number
  readonly clock: Clock
  readonly random: Random
  readonly pace: Pace
  readonly database: Database
  readonly limits: LedgerLimits
  readonly thresholdsOf: (item: ItemNumber) => Thresholds
  readonly wiring: Wiring
  readonly tally: Tally
  readonly trace: Trace
  /** Told of what must never be thrown. */
  readonly onDefect: (error: unknown) => void
}

const LONGEST_START_MS = 80
const LONGEST_PAUSE_MS = 900
const SWEEP_EVERY_MS = { least: 50, most: 250 }
const SWEEP_LIMIT = 20

type Life = { alive: boolean; draining: boolean; pausedUntil: number; unanswered: number; readonly host: Host; readonly stock: Ledger }

export const server = ({ number, clock, random, pace, database, limits, thresholdsOf, wiring, tally, trace, onDefect }: ServerDeps): Server => {
  let life: Life

  const start = (): Life => {
    const skewMs = random.between(-pace.skewMs, pace.skewMs)
    const host: Host = {
      isAlive: () => born.alive,
      clock: () => database.now() + skewMs,
      deliver: (ms, happen) => {
        clock.after(ms, () => {
          if (!born.alive) return
          if (born.pausedUntil > clock.now()) host.deliver(born.pausedUntil - clock.now(), happen)
          else happen()
        })
      },
      crash: () => {
        if (!born.alive) return
        trace.say(() => `server ${number} died`)
        born.alive = false
        database.forget(host)
        clock.after(random.between(1, LONGEST_START_MS), () => {
          life = start()
          trace.say(() => `server ${number} started`)
        })
      },
      drain: () => {
        if (born.draining) return
        born.draining = true
        trace.say(() => `server ${number} takes nothing more`)
        void born.stock.stop().then(() => {
          tally.add('process drained')
          if (born.unanswered > 0) onDefect(new Error(`server ${number} stopped with ${born.unanswered} requests that it had taken and not answered`))
          host.crash()
        })
      },
      pause: () => {
        born.pausedUntil = clock.now() + random.between(1, LONGEST_PAUSE_MS)
        trace.say(() => `server ${number} stopped until ${born.pausedUntil}`)
      },
    }
    const ownStore = database.storeFor(host)
    const store = wiring.store?.(ownStore, database, host) ?? ownStore
    const born: Life = {
      alive: true,
      draining: false,
      pausedUntil: 0,
      unanswered: 0,
      host,
      stock: ledger({
        store,
        thresholdsOf,
        limits,
        wait: (ms) => new Promise((resolve) => host.deliver(ms, resolve)),
        soon: (callback) => host.deliver(0, callback),
        onBatch: () => tally.add('batches'),
        onFault: (fault) => {
          if (!(fault instanceof Fault)) onDefect(fault)
        },
      }),
    }
    const sweep = async () => {
      const due = await database.read(host, (rows, now) => {
        const holds: Hold[] = []
        for (const hold of rows.holds.values()) if (hold.status === 'active' && hold.expiresAt <= now && holds.length < SWEEP_LIMIT) holds.push(hold)
        return holds
      })
      const sweepOne = (hold: Hold): Promise<unknown> =>
        wiring.sweep?.(hold, store) ?? born.stock.submit({ command: { type: 'ExpireHold', id: hold.id }, actor: 'system', requestId: SWEEPER })
      await Promise.all(due.map(sweepOne))
    }
    const sweepAgain = () =>
      host.deliver(random.between(SWEEP_EVERY_MS.least, SWEEP_EVERY_MS.most), () => void sweep().catch(faultIsNobodys).finally(sweepAgain))
    sweepAgain()
    return born
  }

  /** What is still due is found by the next sweep. */
  const faultIsNobodys = (error: unknown) => {
    if (!(error instanceof Fault)) onDefect(error)
  }

  life = start()
  return {
    number,
    request: (request, answer) => {
      const own = life
      own.host.deliver(0, () => {
        own.unanswered += 1
        const answered = (outcome: LedgerOutcome | undefined) => {
          own.unanswered -= 1
          answer(outcome)
        }
        own.stock.submit(request).then(answered, (error: unknown) => {
          if (!(error instanceof Fault)) onDefect(error)
          answered(undefined)
        })
      })
    },
    read: (statement, answer) => {
      const { host } = life
      host.deliver(0, () => void database.read(host, statement).then(answer))
    },
    isUp: () => life.alive,
    isIdle: () => {
      const { waiting, inFlight } = life.stock.load()
      return life.alive && waiting === 0 && inFlight === 0
    },
    stop: (stopped) => void life.stock.stop().then(stopped),
  }
}

// Breaks things. Each kind of fault has a hand of its own, drawn from the seed, so that faults of different kinds overlap and the
// choice of one changes nothing for the others. Every fault ends by itself and is written down.
import { setTimeout as sleep } from 'node:timers/promises'
import { random as randomOf, type Random } from '../simulation/random.ts'
import { until } from '../support/until.ts'
import type { Direction, NetFault } from './fault-proxy.ts'
import { databaseLineOf, type Node, type Stack } from './stack.ts'

export const faultKinds = ['kill', 'stop', 'restart', 'database', 'broker', 'cache', 'net', 'clock'] as const
export type FaultKind = (typeof faultKinds)[number]

export type Fault = {
  readonly kind: FaultKind
  readonly what: string
  readonly beganNs: number
  /** When what was done on purpose had ended; what follows from it may take longer. */
  endedNs: number | null
}

export type Nemesis = {
  readonly faults: readonly Fault[]
  start(): void
  /** Resolves when every fault that had begun has ended. */
  stop(): Promise<void>
}

export type NemesisOptions = {
  readonly stack: Stack
  readonly seed: number
  readonly kinds: readonly FaultKind[]
  /** The mean time between two faults of one kind. */
  readonly everyMs: number
  readonly nowNs: () => number
  readonly log: (line: string) => void
}

/** How long is waited for somebody who can be spared. */
const PATIENCE_MS = 30_000
const LOOK_MS = 50
const REST_MS = 200
/** Processes that the same is done to at a time. */
const AT_ONCE = 3
const SHORTEST_STOP_MS = 100
const LONGEST_STOP_MS = 10_000
const LONGEST_SESSION_STOP_MS = 3_000
const NET_MS = { least: 200, most: 2_500 }
/** So often, what is killed was cut off from the database before. */
const CUT_OFF_FIRST = 0.25
const CACHE_STOP_MS = 3_000
const BROKER_STOP_MS = 6_000
const ALARM_MS = 4_000
/** It takes ten seconds to come back from a kill: more of what it gets over sooner finds more. */
const BROKER_FAULTS = ['kill', 'alarm', 'stop', 'stop', 'stop', 'stop', 'cut', 'cut', 'cut', 'cut'] as const
const END_MS = 30_000
const READY_MS = 60_000
/** As far ahead as a clock is set in all: keys of requests are forgotten after two days, and may then be used anew. */
const CLOCK_AHEAD_MS = 20 * 3_600_000
const HOUR_MS = 3_600_000

export const nemesis = ({ stack, seed, kinds, everyMs, nowNs, log }: NemesisOptions): Nemesis => {
  const faults: Fault[] = []
  const ending = new AbortController()
  const hands: Promise<void>[] = []
  let failed: unknown
  let clockMs = 0

  const wait = (ms: number) => sleep(ms, undefined, { signal: ending.signal }).catch(() => undefined)
  /** For short, mostly; now and then for long. */
  const spell = (random: Random, least: number, most: number) => least * (most / least) ** random.fraction()

  const did = async (kind: FaultKind, what: string, act: () => Promise<void> | void): Promise<void> => {
    const fault: Fault = { kind, what, beganNs: nowNs(), endedNs: null }
    faults.push(fault)
    log(`${kind}: ${what}`)
    await act()
    fault.endedNs = nowNs()
  }
  /** One that runs and that nobody else is at, while somebody else can do its work: what must always go on is seen to go on. */
  const target = (random: Random): Promise<Node | undefined> => {
    // First come, first served: where few can be spared, no kind of fault goes without.
    const found = turn.then(() => spared(random))
    turn = found
    return found
  }
  let turn: Promise<unknown> = Promise.resolve()
  const spared = async (random: Random): Promise<Node | undefined> => {
    // Now and then one that is just starting; mostly one that has something to lose.
    const mayBeStarting = random.chance(0.1)
    for (const began = performance.now(); performance.now() - began < PATIENCE_MS && !ending.signal.aborted; await wait(LOOK_MS)) {
      const answered = await Promise.all(stack.nodes.map(async (node) => !node.held && !node.child.isStopped() && (await node.isReady())))
      const ready = new Set(stack.nodes.filter((_, index) => answered[index]))
      const fit = stack.nodes.filter((node) => {
        const twins = stack.nodes.filter((other) => other !== node && twinName(other) === twinName(node))
        return node.child.pid() !== undefined && !node.held && !node.child.isStopped() && (twins.length === 0 || twins.some((twin) => ready.has(twin)))
      })
      const from = mayBeStarting ? fit : fit.filter((node) => ready.has(node))
      if (from.length > 0) return random.pick(from)
    }
    return undefined
  }

  const acts: Readonly<Record<FaultKind, (random: Random) => Promise<void>>> = {
    kill: async (random) => {
      const node = await target(random)
      if (node === undefined) return
      const kill = () => node.child.signal('SIGKILL')
      if (!random.chance(CUT_OFF_FIRST)) return did('kill', `kill -9 ${node.name}`, kill)
      // What it has in hand it cannot finish, and then it is gone: what it has said of it too early is lost.
      const proxy = stack.lines.find(({ name }) => name === databaseLineOf(node.name))?.proxy
      if (proxy === undefined) throw new Error(`${node.name} has no line to the database`)
      const ms = spell(random, NET_MS.least, NET_MS.most)
      await did('kill', `cut off ${node.name} from the database, and kill -9 after ${Math.round(ms)} ms`, async () => {
        node.held = true
        proxy.fault({ kind: 'stall', directions: ['there', 'back'] })
        await wait(ms)
        node.held = false
        kill()
        await node.child.gone()
        // What was on its way is lost with whoever had sent it.
        proxy.fault({ kind: 'refuse' })
        proxy.heal()
      })
    },
    stop: async (random) => {
      const node = await target(random)
      if (node === undefined) return
      const ms = spell(random, SHORTEST_STOP_MS, LONGEST_STOP_MS)
      const pid = node.child.pid()
      await did('stop', `stop ${node.name} for ${Math.round(ms)} ms`, async () => {
        node.child.signal('SIGSTOP')
        await wait(ms)
        if (node.child.pid() === pid) node.child.signal('SIGCONT')
      })
    },
    restart: async (random) => {
      const node = await target(random)
      if (node === undefined) return
      await did('restart', `restart ${node.name}`, async () => {
        node.held = true
        await node.child.end('SIGTERM', END_MS)
        node.held = false
        if (node.child.pid() === undefined) node.child.start()
        await until(`${node.name} is ready`, async () => ending.signal.aborted || (await node.isReady()), { withinMs: READY_MS })
      })
    },
    database: async (random) => {
      const { postgres } = stack
      const what = random.pick(['all', 'session', 'stop', 'stop', 'stop', 'stop', 'helper', 'helper'])
      if (what === 'all') {
        await did('database', 'kill -9 of all of PostgreSQL', async () => {
          await postgres.killAll()
          await wait(spell(random, 20, 1_000))
          await postgres.start()
        })
        return
      }
      const pids = what === 'helper' ? postgres.helpers() : postgres.sessions()
      if (pids.length === 0) return
      const pid = random.pick(pids)
      if (what === 'session') return did('database', `kill -9 of session ${pid}`, () => signal(pid, 'SIGKILL'))
      const ms = spell(random, SHORTEST_STOP_MS, LONGEST_SESSION_STOP_MS)
      await did('database', `stop ${what === 'helper' ? 'helper' : 'session'} ${pid} for ${Math.round(ms)} ms`, async () => {
        signal(pid, 'SIGSTOP')
        await wait(ms)
        signal(pid, 'SIGCONT')
      })
    },
    cache: async (random) => {
      const { redis } = stack
      if (redis === undefined) return
      const what = random.pick(['wipe', 'wipe', 'kill', 'stop'])
      if (what === 'wipe') return did('cache', 'wipe Redis', () => redis.wipe())
      if (what === 'kill')
        return did('cache', 'kill -9 of Redis', async () => {
          redis.child.signal('SIGKILL')
          await redis.child.gone()
          await wait(spell(random, 20, 1_000))
          await redis.start()
        })
      const ms = spell(random, SHORTEST_STOP_MS, CACHE_STOP_MS)
      await did('cache', `stop Redis for ${Math.round(ms)} ms`, async () => {
        redis.child.signal('SIGSTOP')
        await wait(ms)
        redis.child.signal('SIGCONT')
      })
    },
    broker: async (random) => {
      const { rabbit } = stack
      if (rabbit === undefined) return
      const what = random.pick(BROKER_FAULTS)
      if (what === 'kill')
        return did('broker', 'kill -9 of RabbitMQ', async () => {
          await rabbit.killAll()
          await rabbit.start()
        })
      if (what === 'stop') {
        const ms = spell(random, SHORTEST_STOP_MS, BROKER_STOP_MS)
        return did('broker', `stop RabbitMQ for ${Math.round(ms)} ms`, async () => {
          rabbit.signalAll('SIGSTOP')
          await wait(ms)
          rabbit.signalAll('SIGCONT')
        })
      }
      if (what === 'cut') {
        const { proxy } = random.pick(stack.lines.filter(({ kind }) => kind === 'broker'))
        if (proxy.connections() === 0) return
        const fault: NetFault = { kind: 'cut', afterBytes: random.between(0, 2_000), direction: random.chance(0.5) ? 'there' : 'back' }
        const ms = spell(random, NET_MS.least, NET_MS.most)
        return did('broker', `cut all connections to RabbitMQ for ${Math.round(ms)} ms`, async () => {
          proxy.fault(fault)
          await wait(ms)
          proxy.heal()
        })
      }
      await did('broker', 'disk alarm of RabbitMQ', async () => {
        await rabbit.alarm(true)
        await wait(ALARM_MS)
        await rabbit.alarm(false)
      })
    },
    net: async (random) => {
      const line = random.pick(stack.lines)
      const fault = netFault(random)
      const ms = spell(random, NET_MS.least, NET_MS.most)
      await did('net', `${fault.kind} ${line.name} for ${Math.round(ms)} ms`, async () => {
        line.proxy.fault(fault)
        await wait(ms)
        line.proxy.heal()
      })
    },
    clock: async (random) => {
      const { postgres } = stack
      if (random.chance(0.4)) {
        const ahead = clockMs + 2 * HOUR_MS <= CLOCK_AHEAD_MS && random.chance(0.3) ? 2 * HOUR_MS : 60_000
        clockMs += ahead
        return did('clock', `the database's clock jumps ahead by ${ahead / 1_000} s`, () => postgres.setClock(clockMs))
      }
      // Back, and then right again: what was decided before stays decided, and time stands still meanwhile.
      const ms = spell(random, 500, 4_000)
      await did('clock', `the database's clock jumps back by an hour for ${Math.round(ms)} ms`, async () => {
        postgres.setClock(clockMs - HOUR_MS)
        await wait(ms)
        postgres.setClock(clockMs)
      })
    },
  }

  const hand = async (kind: FaultKind): Promise<void> => {
    const random = randomOf(seed * 31 + faultKinds.indexOf(kind) + 1)
    // By a pace of its own, whatever the ones before took: who was late catches up. What is done to one process hinders nobody from
    // doing it to another one.
    const most = kind === 'stop' || kind === 'restart' ? AT_ONCE : 1
    const underWay = new Set<Promise<void>>()
    let due = performance.now()
    for (;;) {
      due += everyMs * (0.35 + 0.65 * 2 * random.fraction())
      await wait(Math.max(REST_MS, due - performance.now()))
      if (underWay.size === most) await Promise.race(underWay)
      if (ending.signal.aborted) return void (await Promise.all(underWay))
      // What cannot be mended again ends the run, and is told at its end.
      const act = acts[kind](randomOf(random.below(2 ** 31)))
        .catch((error: unknown) => void (failed ??= error))
        .finally(() => underWay.delete(act))
      underWay.add(act)
    }
  }

  return {
    faults,
    start: () => {
      for (const kind of kinds) hands.push(hand(kind))
    },
    stop: async () => {
      ending.abort()
      await Promise.all(hands)
      if (failed !== undefined) throw failed
    },
  }
}

/** gateway-1 and gateway-2 do the same. */
const twinName = ({ name }: Node) => name.replace(/-\d+$/, '')

const netFault = (random: Random): NetFault => {
  const direction: Direction = random.chance(0.5) ? 'there' : 'back'
  switch (random.below(6)) {
    case 0:
      return { kind: 'delay', ms: random.between(5, 200), jitterMs: random.between(0, 300) }
    case 1:
      return { kind: 'stall', directions: random.chance(0.5) ? ['there', 'back'] : [direction] }
    case 2:
    case 3:
      return { kind: 'cut', afterBytes: random.between(0, 2_000), direction }
    case 4:
      return random.chance(0.5) ? { kind: 'half-close', direction } : { kind: 'refuse' }
    default:
      return { kind: 'bandwidth', bytesPerSecond: random.between(5_000, 200_000) }
  }
}

const signal = (pid: number, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') => {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended meanwhile.
  }
}

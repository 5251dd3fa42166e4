// One run: everything real is started, asked and broken; then it is healed, becomes quiet, loses its database once more, and is
// checked.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { identifyProcess } from '../../src/platform/process.ts'
import { openPool } from '../../src/storage/pool.ts'
import { verifyLedger } from '../../src/storage/verification.ts'
import { random as randomOf } from '../simulation/random.ts'
import { caller } from './caller.ts'
import { checkAll, type Checked } from './check/check.ts'
import { checkEnough, tallyOf, type Least, type Tally } from './check/enough.ts'
import { digestOfKey, evidenceOf, type Violation } from './check/evidence.ts'
import { checkLiveness, longestSilenceMs, type Patience } from './check/liveness.ts'
import { readSnapshot } from './check/snapshot.ts'
import { isKept, openHistory, type History } from './history.ts'
import { nemesis, type Fault, type FaultKind } from './nemesis.ts'
import { startReceiver } from './receiver.ts'
import { API_KEY, startStack, type Stack, type Topology } from './stack.ts'
import { workload } from './workload.ts'

export type Options = {
  readonly seed: number
  /** How long it is asked and broken. */
  readonly seconds: number
  /** Operations a second. */
  readonly rate: number
  readonly topology: Topology
  readonly processes: number
  readonly kinds: readonly FaultKind[]
  /** The mean time between two faults of one kind. */
  readonly everyMs: number
  readonly amqp: boolean
  readonly faketime: string | undefined
  readonly least: Least
  /** Where the history and what the processes say are kept; nothing is kept when it is not said. */
  readonly out: string | undefined
  /** The root of the sources that are run. */
  readonly root: string
  /** By how much reads may be behind. */
  readonly staleMs: number
  readonly patience: Patience
  readonly log: (line: string) => void
}

export type Report = {
  readonly seed: number
  readonly violations: readonly Violation[]
  readonly tally: Tally
  readonly steps: Checked['steps']
  readonly faults: readonly Fault[]
  readonly perSecond: number
  readonly silenceMs: number
  readonly quietAfterMs: number | null
  readonly recovery: Readonly<Partial<Record<FaultKind, { readonly median: number; readonly most: number }>>>
  readonly webhooks: { readonly received: number; readonly taken: number }
}

const SUBSCRIBED = ['hold.*', 'stock.*', 'transfer.*']
const isSubscribed = (type: string) => /^(hold|stock|transfer)\./.test(type)
const LOOK_MS = 100
/** A machine that is busy takes longer to break things often enough, and may take this many times as long. */
const LONGER = 2.5
const DIRECTORY = /^holdfast-(torture|mutant)-(?<pid>\d+)-/

export const torture = async (options: Options): Promise<Report> => {
  const { seed, seconds, rate, topology, processes, kinds, everyMs, amqp, faketime, least, out, root, staleMs, patience, log } = options
  removeLeftovers()
  const directory = mkdtempSync(join(tmpdir(), `holdfast-torture-${process.pid}-`))
  // As root, PostgreSQL runs under another account, which has to get in here.
  chmodSync(directory, 0o711)
  const logs = join(out ?? directory, 'logs')
  mkdirSync(logs, { recursive: true })
  const history = openHistory(out === undefined ? undefined : join(out, 'history.jsonl'))
  const told: string[] = []
  const say = (line: string) => {
    told.push(`${(history.nowNs() / 1e9).toFixed(3)} ${line}`)
    log(line)
  }
  const net = randomOf(seed * 31 + 100)
  const closing: (() => Promise<void>)[] = [history.close]
  try {
    const stack = await startStack({ root, directory, logs, topology, processes, amqp, faketime, random: net.fraction })
    closing.push(stack.stop)
    const receiver = await startReceiver(randomOf(seed * 31 + 101))
    closing.push(receiver.close)
    receiver.secret(await subscribe(stack, receiver.url))
    const asking = caller({
      history,
      gateways: stack.gateways.map(({ name, url }) => ({ name, url: url ?? '' })),
      random: randomOf(seed * 31 + 102),
    })
    closing.push(asking.close)
    const shop = workload({ caller: asking, random: randomOf(seed * 31 + 103), rate, nowMs: () => history.nowNs() / 1e6 })
    await shop.prepare()

    const breaking = nemesis({ stack, seed, kinds, everyMs, nowNs: history.nowNs, log: say })
    closing.push(breaking.stop)
    say(`everything is ready: ${seconds} s of ${rate} operations a second`)
    const fromNs = history.nowNs()
    breaking.start()
    const running = shop.run()
    // What goes wrong in the shop itself is told at once.
    const isOver = () => {
      const tookMs = (history.nowNs() - fromNs) / 1e6
      const enough = kinds.every((kind) => breaking.faults.filter((fault) => fault.kind === kind).length >= least.faults)
      return tookMs > seconds * 1_000 && (enough || tookMs > LONGER * seconds * 1_000)
    }
    const timeOver = async () => {
      while (!isOver()) await sleep(LOOK_MS)
    }
    await Promise.race([timeOver(), running])
    const toNs = history.nowNs()
    await breaking.stop()
    shop.stop()
    await stack.heal()
    receiver.heal()
    await running
    say('healed, and everybody has been answered')

    const quiet = await untilQuiet(stack, { withinMs: patience.unrestMs, kept: keptOf(history) })
    say(quiet.afterMs === null ? `not quiet: ${quiet.unrest}` : `quiet after ${(quiet.afterMs / 1_000).toFixed(1)} s`)
    await stack.stopNodes()
    await stack.postgres.killAll()
    await stack.postgres.start()

    // From when nobody swept any more, who is due is nobody's fault.
    const snapshot = { ...(await withClient(stack, readSnapshot)), nowMs: quiet.nowMs }
    const books = await verifyBooks(stack)
    const evidence = evidenceOf(history, snapshot, { clockWasSet: kinds.includes('clock') })
    const { violations, steps } = checkAll(evidence, {
      staleNs: staleMs * 1e6,
      decidesItself: topology === 'single',
      log: receiver.log,
      isSubscribed,
      queuedUpTo: quiet.queuedUpTo,
      toldUpTo: quiet.toldUpTo,
      books,
    })
    const silenceMs = longestSilenceMs(history.operations, fromNs, toNs)
    const tally = tallyOf(evidence, breaking.faults)
    const taken = receiver.log.filter(({ answered }) => answered === 204).length
    return {
      seed,
      tally,
      steps,
      faults: breaking.faults,
      perSecond: (tally.acknowledged + tally.refused) / ((toNs - fromNs) / 1e9),
      silenceMs,
      quietAfterMs: quiet.afterMs,
      recovery: recoveryOf(breaking.faults, history),
      webhooks: { received: receiver.log.length, taken },
      violations: [
        ...violations,
        ...checkLiveness({ silenceMs, quietAfterMs: quiet.afterMs, unrest: quiet.unrest }, patience),
        ...complaints(stack, logs),
        ...checkEnough(tally, least, kinds, taken),
      ],
    }
  } finally {
    for (const close of closing.toReversed()) await close().catch((error: unknown) => log(`could not be closed: ${String(error)}`))
    if (out !== undefined) writeFileSync(join(out, 'faults.log'), `${told.join('\n')}\n`)
    rmSync(directory, { recursive: true, force: true })
  }
}

const subscribe = async (stack: Stack, url: string): Promise<string> => {
  const answer = await fetch(`${stack.gateways[0]?.url}/v1/webhook_endpoints`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ url, events: SUBSCRIBED }),
  })
  const { secret } = (await answer.json()) as { secret?: string }
  if (secret === undefined) throw new Error(`nobody could subscribe: ${answer.status}`)
  return secret
}

type Quiet = { readonly afterMs: number | null; readonly queuedUpTo: number; readonly toldUpTo: number; readonly nowMs: number; readonly unrest: string }

/** The keys of those who were promised that it will be done later, and believed it. */
const keptOf = ({ operations }: History): string[] =>
  operations.flatMap(({ key, attempts }) => {
    const last = attempts.at(-1)
    return key !== null && last !== undefined && isKept(last) ? [key] : []
  })

/** What has left the outbox may be on its way through the broker for so long, after everybody is well. */
const ON_ITS_WAY_MS = 10_000

/**
 * Nothing waits any more: all is told, all deliveries are made, what was kept is done or parked, and no hold is due. Holds that live
 * on may still end.
 */
const untilQuiet = async (stack: Stack, { withinMs, kept }: { readonly withinMs: number; readonly kept: readonly string[] }): Promise<Quiet> => {
  const from = performance.now()
  let unrest = 'the database could not be asked'
  let nowMs = 0
  /** When the outbox was empty, and up to where all had left it. */
  const emptied: { readonly at: number; readonly head: number }[] = []
  for (;;) {
    const at = performance.now()
    const found = await withClient(stack, (client) => unrestOf(client, kept)).catch(() => undefined)
    if (found !== undefined) {
      const { head, now, outbox, ...waiting } = found
      nowMs = now
      unrest = Object.entries({ outbox, ...waiting })
        .map(([what, count]) => `${count} ${what}`)
        .join(', ')
      if (outbox === 0) emptied.push({ at, head })
      if (outbox + Object.values(waiting).reduce((sum, count) => sum + count, 0) === 0)
        return { afterMs: performance.now() - from, queuedUpTo: head, toldUpTo: head, nowMs, unrest }
    }
    if (performance.now() - from > withinMs) {
      const arrived = stack.rabbit === undefined ? emptied : emptied.filter((one) => one.at < performance.now() - ON_ITS_WAY_MS)
      return { afterMs: null, queuedUpTo: arrived.at(-1)?.head ?? 0, toldUpTo: 0, nowMs, unrest }
    }
    await sleep(LOOK_MS)
  }
}

const unrestOf = async (client: pg.Client, kept: readonly string[]) => {
  const { rows } = await client.query(`
select h.sequence::float8 as head, extract(epoch from clock_timestamp())::float8 * 1000 as now, (select count(*)::int from outbox) as outbox,
       (select count(*)::int from events as e where e.type ~ '^(hold|stock|transfer)[.]') - (select count(*)::int from webhook_deliveries) as "events untold",
       (select count(*)::int from webhook_deliveries as d where d.status = 'pending' and not (d.failures >= 2 and d.next_attempt_at > now())) as deliveries,
       (select count(*)::int from holds as w where w.status = 'active' and w.expires_at < now() - interval '2 seconds') as "holds that are due"
  from ledger_head as h`)
  const found = rows[0] as { head: number; now: number; outbox: number } & Record<string, number> // the statement's own columns
  return { ...found, 'kept and not done': kept.length === 0 ? 0 : await keptAndNotDone(client, kept) }
}
const keptAndNotDone = async (client: pg.Client, kept: readonly string[]): Promise<number> => {
  const { rows } = await client.query(
    `
select k.key, (select min(e.actor) from events as e where e.request_id like 'torture-%' and e.actor <> 'system') as owner,
       exists (select from parked_messages as p where p.message ->> 'idempotency_key' = k.key) as parked
  from unnest($1::text[]) as k (key)`,
    [kept],
  )
  const left = (rows as { key: string; owner: string; parked: boolean }[]).filter(({ parked }) => !parked) // the statement's own columns
  const digests = left.map(({ owner, key }) => digestOfKey(owner, key))
  const done = await client.query('select k.key from idempotency_keys as k where k.key = any ($1::uuid[])', [digests])
  return left.length - done.rows.length
}

const withClient = async <Result>(stack: Stack, work: (client: pg.Client) => Promise<Result>): Promise<Result> => {
  const client = new pg.Client({ connectionString: stack.postgres.url(), connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const verifyBooks = async (stack: Stack) => {
  const pool = openPool({ url: stack.postgres.url(), size: 1, statementTimeoutMs: 0, lockTimeoutMs: 0, applicationName: 'torture' })
  try {
    return (await verifyLedger(pool, () => undefined)).violations
  } finally {
    await pool.end()
  }
}

/** How long after a fault had begun somebody who asked after that was answered. */
const recoveryOf = (faults: readonly Fault[], { operations }: History): Report['recovery'] => {
  const answered = operations
    .flatMap(({ attempts }) => attempts.filter(({ outcome, compNs }) => outcome === 'ok' && compNs !== null))
    .toSorted((a, b) => a.invNs - b.invNs)
  const soonest: number[] = []
  let least = Infinity
  for (let index = answered.length - 1; index >= 0; index -= 1) {
    least = Math.min(least, answered[index]?.compNs ?? Infinity)
    soonest[index] = least
  }
  const afterMs = (ns: number): number => {
    const index = answered.findIndex(({ invNs }) => invNs >= ns)
    return index < 0 ? Infinity : ((soonest[index] ?? Infinity) - ns) / 1e6
  }
  return Object.fromEntries(
    [...Map.groupBy(faults, ({ kind }) => kind)].map(([kind, of]) => {
      const times = of
        .map(({ beganNs }) => afterMs(beganNs))
        .filter(Number.isFinite)
        .toSorted((a, b) => a - b)
      return [kind, { median: times[times.length >> 1] ?? 0, most: times.at(-1) ?? 0 }]
    }),
  )
}

/** A server says "error" when a person must act, and ends only when it is asked to. */
const complaints = ({ nodes }: Stack, logs: string): Violation[] =>
  nodes.flatMap(({ name, crashes }) => {
    const file = join(logs, `${name}.log`)
    const errors = existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line.includes('"level":"error"'))
      : []
    return [
      ...errors.map((what) => ({ check: 'no server calls for a person', what: `${name}: ${what}` })),
      ...crashes.map((what) => ({ check: 'no server ends by itself', what })),
    ]
  })

/** A run that was killed could not clean up: its processes know that it is gone, but for the database, which is ended here. */
const removeLeftovers = (): void => {
  for (const name of readdirSync(tmpdir())) {
    const pid = DIRECTORY.exec(name)?.groups?.['pid']
    if (pid === undefined || identifyProcess(Number(pid)) !== undefined) continue
    const directory = join(tmpdir(), name)
    const note = join(directory, 'postgres/postmaster.pid')
    const server = existsSync(note) ? Number(readFileSync(note, 'utf8').split('\n')[0]) : 0
    try {
      if (server > 0 && readFileSync(`/proc/${server}/cmdline`, 'latin1').includes(directory)) process.kill(server, 'SIGQUIT')
    } catch {
      // It has ended by itself.
    }
    rmSync(directory, { recursive: true, force: true })
  }
}

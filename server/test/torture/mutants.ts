// Bugs planted by hand into a copy of the sources, each the kind that somebody makes. The checker must find every one of them, or
// its silence about the real thing means nothing.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FaultKind } from './nemesis.ts'
import { staleMsOf } from './profiles.ts'
import { torture, type Options } from './torture.ts'

/** What is found once in a file, and what stands there instead. */
export type Patch = { readonly file: string; readonly find: string; readonly put: string }
export type Mutant = {
  readonly name: string
  readonly patches: readonly Patch[]
  /** The faults that bring it to light; none: it shows by itself. */
  readonly kinds: readonly FaultKind[]
  /** Operations a second, where it takes a crowd. */
  readonly rate?: number
  /** It is in what goes by RabbitMQ. */
  readonly amqp?: true
}

const STORE = 'server/src/storage/ledger-store.ts'
const HOLD = 'server/src/domain/hold.ts'
const BATCH = 'server/src/ledger/batch.ts'

export const mutants: readonly Mutant[] = [
  {
    name: 'read-then-write',
    // Levels are read without a lock, and what follows from the reading is written over what stands.
    kinds: [],
    patches: [
      {
        file: STORE,
        find: `    on (l.item_id, l.location_id) = (wanted.item_id, wanted.location_id)
 order by l.item_id, l.location_id
   for update of l\`

// The places of a hold's`,
        put: `    on (l.item_id, l.location_id) = (wanted.item_id, wanted.location_id)
 order by l.item_id, l.location_id\`

// The places of a hold's`,
      },
      { file: STORE, find: '     and l.version = n.expected\n', put: '' },
    ],
  },
  {
    name: 'key-outside-the-transaction',
    // What was done is committed, and only then its key.
    kinds: ['kill', 'database'],
    patches: [
      {
        file: STORE,
        find: `          const statements = statementsOf(changes, now)
`,
        put: `          const everything = statementsOf(changes, now)
          const statements = everything.filter(([name]) => !name.startsWith('insert-keys'))
`,
      },
      {
        file: STORE,
        find: `          release()
          const head = results[statements.findIndex(([name]) => name === 'advance-head')]
          return head ? head.rows[0].first : 0
`,
        put: `          const head = results[statements.findIndex(([name]) => name === 'advance-head')]
          const first = head ? head.rows[0].first : 0
          for (const { key, fingerprint, remembers } of changes.newKeys)
            await connection
              .query("insert into idempotency_keys (key, fingerprint, sequence, answer, created_at) values ($1, $2, $3, $4, to_timestamp($5::float8 / 1000))", [
                key,
                fingerprint,
                'told' in remembers ? first + remembers.told : null,
                'outcome' in remembers ? JSON.stringify(remembers.outcome) : null,
                now,
              ])
              .catch(() => undefined)
          release()
          return first
`,
      },
    ],
  },
  {
    name: 'clock-before-the-locks',
    // What now() says in PostgreSQL: the instant at which the transaction began, however long it has waited since.
    kinds: ['stop'],
    rate: 150,
    patches: [
      {
        file: STORE,
        find: `          const begin = connection.query('begin')
`,
        put: `          const begin = connection.query('begin')
          const early = run(connection, 'read-clock', readClock, [])
`,
      },
      {
        file: STORE,
        find: `lookedUp, run(connection, 'read-clock', readClock, []), ...locked`,
        put: `lookedUp, early, ...locked`,
      },
    ],
  },
  {
    name: 'late-execute',
    // Whether a hold's time is over is left to the sweeper.
    kinds: [],
    patches: [
      {
        file: BATCH,
        find: `if (named !== null && command.type !== 'ExpireHold' && !request.dryRun) {`,
        put: `if (named !== null && command.type === 'ShipHold' && !request.dryRun) {`,
      },
      {
        file: HOLD,
        find: `  if (hold.status === 'executed') return already({ kind: 'hold', hold })
  if (hold.status === 'released' || hold.status === 'canceled') return reject({ code: 'hold_already_released', hold: hold.id })
  if (hold.status === 'expired' || isDue(hold, now)) return`,
        put: `  if (hold.status === 'executed') return already({ kind: 'hold', hold })
  if (hold.status === 'released' || hold.status === 'canceled') return reject({ code: 'hold_already_released', hold: hold.id })
  if (hold.status === 'expired') return`,
      },
    ],
  },
  {
    name: 'clock-of-the-process',
    // Each process decides by a clock of its own, which is up to two seconds off.
    kinds: [],
    patches: [
      { file: STORE, find: 'now: instant(clock?.rows[0].now),', put: 'now: instant(Date.now() + skewMs),' },
      { file: STORE, find: 'type Statement = readonly', put: 'const skewMs = Math.round(Math.random() * 4_000 - 2_000)\n\ntype Statement = readonly' },
    ],
  },
  {
    name: 'double-execute',
    // A hold that was executed is executed again: nobody looks at its state.
    kinds: [],
    patches: [
      {
        file: HOLD,
        find: `  if (hold.status === 'executed') return already({ kind: 'hold', hold })
  if (hold.status === 'released' || hold.status === 'canceled') return reject({ code: 'hold_already_released', hold: hold.id })
  if (hold.status === 'expired' || isDue(hold, now)) return`,
        put: `  if (hold.status === 'released' || hold.status === 'canceled') return reject({ code: 'hold_already_released', hold: hold.id })
  if (hold.status === 'expired' || isDue(hold, now)) return`,
      },
      { file: HOLD, find: 'const executed = wanted === null ? allocation.held :', put: 'const executed = wanted === null ? allocation.quantity :' },
    ],
  },
  {
    name: 'asynchronous-commit',
    // The database says yes before its disk has it.
    kinds: ['database'],
    patches: [
      {
        file: 'server/src/storage/pool.ts',
        find: "'set jit = off'",
        put: "'set jit = off; set synchronous_commit = off'",
      },
    ],
  },
  {
    name: 'stale-read',
    // What was read of a level is remembered for a second, and shown as if it were new.
    kinds: [],
    patches: [
      {
        file: 'server/src/services/inventory/level-reader.ts',
        find: `  return async (items) => {
    const { byItem, sequence, now } = await read(items)
`,
        put: `  const remembered = new Map<string, { at: number; found: Awaited<ReturnType<typeof read>> }>()
  return async (items) => {
    const before = remembered.get(items.join())
    const found = before !== undefined && Date.now() - before.at < 1_000 ? before.found : await read(items)
    if (found !== before?.found) remembered.set(items.join(), { at: Date.now(), found })
    const { byItem, sequence, now } = found
`,
      },
    ],
  },
  {
    name: 'outbox-row-lost',
    // One transaction in twenty forgets that others are to be told.
    kinds: [],
    patches: [
      {
        file: STORE,
        find: `  statements.push(['insert-outbox', insertOutbox, [told.length, now]])`,
        put: `  if (now % 20 !== 0) statements.push(['insert-outbox', insertOutbox, [told.length, now]])`,
      },
    ],
  },
  {
    name: 'removed-before-it-was-told',
    // The relay removes from the outbox what it is about to tell.
    kinds: ['database', 'net'],
    patches: [
      {
        file: 'server/src/services/relay/relay.ts',
        find: `      await bus.publish(events)
      const told = rows.filter((row) => row.last > after && row.last <= end.sequence)
      if (told.length > 0) await remove(told, term)
`,
        put: `      const told = rows.filter((row) => row.last > after && row.last <= end.sequence)
      if (told.length > 0) await remove(told, term)
      await bus.publish(events)
`,
      },
    ],
  },
  {
    name: 'sweeper-without-guard',
    // Who is due by the list of a moment ago is ended, whatever has become of it since.
    kinds: [],
    patches: [
      {
        file: HOLD,
        find: `if (!isDue(hold, now)) return already({ kind: 'hold', hold })`,
        put: `if (hold.expiresAt > now) return already({ kind: 'hold', hold })`,
      },
    ],
  },
  {
    name: 'part-keeps-the-rest-held',
    // Executing a part ends the hold, and nobody gives the rest back.
    kinds: [],
    patches: [
      { file: HOLD, find: 'const released = command.final ? allocation.held - executed : 0', put: 'const released = 0' },
      { file: HOLD, find: 'const after: Hold = rest === 0 ? ended(', put: 'const after: Hold = rest === 0 || command.final ? ended(' },
    ],
  },
  {
    name: 'remembered-though-it-failed',
    // A process remembers what it was about to do, and answers from that, though the transaction came to nothing.
    kinds: ['database', 'net'],
    patches: [
      { file: BATCH, find: 'const knownHere = new Map<Uuid, Known>()', put: 'const knownHere = everKnown' },
      {
        file: BATCH,
        find: '/** Collects what the batch will write. */',
        put: 'const everKnown = new Map<Uuid, Known>()\n\n/** Collects what the batch will write. */',
      },
    ],
  },
  {
    name: 'cached-though-newer-is-known',
    // What this process has changed itself it goes on showing as it was.
    kinds: [],
    patches: [
      {
        file: 'server/src/services/inventory/availability.ts',
        find: '    changed: (items, sequence) => cache.outdate([...items], sequence),',
        put: '    changed: () => undefined,',
      },
    ],
  },
  {
    name: 'cache-decides',
    // What is remembered shows too little, so nobody asks the ledger.
    kinds: [],
    patches: [
      {
        file: 'server/src/services/inventory/holds.ts',
        find: `        return {
          type: 'PlaceHold',`,
        put: `        const remembered = await deps.readAvailability(lines.map((line) => line.item))
        const shortages = lines.flatMap(({ item: number, location, quantity: requested }, place) => {
          const level = remembered.items[place]?.levels.find((one) => one.location === location)
          if (level === undefined || level.sellable >= requested) return []
          const [sku, code] = [catalog.sku(number), catalog.code(level.location)]
          return [{ sku, location: code, requested, available: level.sellable, held: 0, next_expiry_at: null, incoming: 0, level_version: level.version }]
        })
        if (shortages.length > 0) throw new Refused('insufficient_stock', 'there is too little, as far as is remembered', { shortages })
        return {
          type: 'PlaceHold',`,
      },
    ],
  },
  {
    name: 'no-inbox',
    // What comes by message is done as often as it comes: its key is forgotten on the way.
    kinds: ['database', 'net'],
    rate: 150,
    amqp: true,
    patches: [
      {
        file: 'server/src/gateway/command-gate.ts',
        find: 'call: { caller, requestId, origin, idempotencyKey } }',
        put: 'call: { caller, requestId, origin } }',
      },
    ],
  },
  {
    name: 'acknowledged-before-it-is-done',
    // RabbitMQ is told that a command is done when it has come.
    kinds: ['database', 'kill', 'restart', 'net'],
    rate: 150,
    amqp: true,
    patches: [
      {
        file: 'server/src/messaging/rabbit-commands.ts',
        find: `          await tried(() => handle(delivery), { limits: { ...limits, tries: Number.POSITIVE_INFINITY }, isPassing: () => true, over: over.signal, onFault })
          channel.ack(message)
`,
        put: `          channel.ack(message)
          await tried(() => handle(delivery), { limits: { ...limits, tries: Number.POSITIVE_INFINITY }, isPassing: () => true, over: over.signal, onFault })
`,
      },
    ],
  },
  {
    name: 'event-acknowledged-before-it-is-taken',
    // RabbitMQ is told that an event is taken when it has come.
    kinds: ['kill', 'net'],
    rate: 150,
    amqp: true,
    patches: [
      {
        file: 'server/src/messaging/rabbit-bus.ts',
        find: `          await deliver(some, signal)
          acknowledge(channel, some.at(-1))
`,
        put: `          acknowledge(channel, some.at(-1))
          await deliver(some, signal)
`,
      },
    ],
  },
  {
    name: 'told-before-the-broker-has-it',
    // What was sent to RabbitMQ is taken for kept, and removed from the outbox.
    kinds: ['broker', 'net'],
    rate: 150,
    amqp: true,
    patches: [
      {
        file: 'server/src/messaging/rabbit-publisher.ts',
        find: `      await Promise.all(sent)
      if (failure !== undefined) throw failure
`,
        put: '',
      },
    ],
  },
]

const repository = fileURLToPath(new URL('../../..', import.meta.url))

/** The sources with the bug in them, in a directory of their own. */
export const plant = ({ patches }: Mutant): string => {
  const root = mkdtempSync(join(tmpdir(), `holdfast-mutant-${process.pid}-`))
  cpSync(join(repository, 'server/src'), join(root, 'server/src'), { recursive: true, filter: (path) => !path.endsWith('.test.ts') })
  for (const file of ['package.json', 'server/package.json']) cpSync(join(repository, file), join(root, file))
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'))
  for (const { file, find, put } of patches) {
    const path = join(root, file)
    const source = readFileSync(path, 'utf8')
    const times = source.split(find).length - 1
    if (times !== 1) throw new Error(`what is to be changed in ${file} stands there ${times} times:\n${find}`)
    writeFileSync(
      path,
      source.replace(find, () => put),
    )
  }
  return root
}

export type Hunted = { readonly caught: boolean; readonly seconds: number; readonly by: readonly string[]; readonly runs: number }

/** A bug that lives longer has not been found. */
const HUNT_MS = 180_000
const RUN_SECONDS = 25
const PATIENCE = { silenceMs: 15_000, unrestMs: 5_000 }
/** A broker, and who listens to it, takes longer to be well again. */
const BROKER_PATIENCE = { silenceMs: 15_000, unrestMs: 20_000 }
/** These say that a run was too short, or was cut short, and nothing of a bug. */
const NO_FINDING = /^(enough was tried|somebody is always answered|it becomes quiet)$/

/** Runs it, with one seed after the other, until it is found or its time is over. */
export const hunt = async (mutant: Mutant, options: Options): Promise<Hunted> => {
  const root = plant(mutant)
  const from = performance.now()
  try {
    for (let runs = 1; ; runs += 1) {
      const { violations } = await torture({
        ...options,
        seed: options.seed + runs,
        seconds: RUN_SECONDS,
        kinds: mutant.kinds,
        rate: mutant.rate ?? options.rate,
        everyMs: 2_500,
        patience: mutant.amqp ? BROKER_PATIENCE : PATIENCE,
        amqp: mutant.amqp ?? false,
        staleMs: staleMsOf(mutant.amqp ?? false),
        out: undefined,
        root,
      })
      const by = [...new Set(violations.map(({ check }) => check).filter((check) => !NO_FINDING.test(check)))]
      const seconds = (performance.now() - from) / 1_000
      if (by.length > 0) return { caught: true, seconds, by, runs }
      if (performance.now() - from > HUNT_MS) return { caught: false, seconds, by, runs }
    }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

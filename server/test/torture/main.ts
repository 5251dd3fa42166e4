// Breaks a real Holdfast, and everything below it, and proves that nothing was lost and nothing promised twice:
//   npm run torture -- --seconds 900 --faults all
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { faultKinds, type FaultKind } from './nemesis.ts'
import { faketime, rabbitProgram } from './programs.ts'
import { hasRedis } from './redis.ts'
import { summaryOf } from './summary.ts'
import { torture, type Options } from './torture.ts'
import { leastOf, profiles, staleMsOf } from './profiles.ts'
import { hunt, mutants } from './mutants.ts'

const usage = `npm run torture -- [options]

  --profile NAME   ${Object.keys(profiles).join(', ')} (default: run)
  --seconds N      how long it is asked and broken
  --rate N         operations a second
  --seed N         what chance is drawn from (default: the time)
  --topology NAME  single: two processes that do everything (default); roles: a process for each role
  --faults KINDS   all, or some of ${faultKinds.join(',')} (default: all but clock, as far as what they break is there)
  --amqp           with RabbitMQ between the roles
  --stale MS       availability may be behind by so much (default 15000, with RabbitMQ 75000: as long as it is fresh, and the slowest statement)
  --out DIR        keeps the history, the faults, and what every process has said
  --mutant NAME    with a bug planted, to see it found; all: one after the other. Names:
                   ${mutants.map(({ name }) => name).join(', ')}
  --verbose        tells of every fault as it happens
  --help

Ends with 0 only when nothing was found that must not be, and enough was tried.
`

// Whoever is asked to end takes everything along that it has started.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const { values } = options()
if (values.help) {
  process.stdout.write(usage)
  process.exit(0)
}
const profile = Object.entries(profiles).find(([name]) => name === values.profile)?.[1]
if (profile === undefined) refuse(`there is no profile ${values.profile}`)
const topology = values.topology === 'single' || values.topology === 'roles' ? values.topology : refuse(`there is no topology ${values.topology}`)
const seed = values.seed === undefined ? Date.now() % 1_000_000_007 : whole('--seed', values.seed)
const seconds = values.seconds === undefined ? profile.seconds : whole('--seconds', values.seconds)
const rate = values.rate === undefined ? profile.rate : whole('--rate', values.rate)
const amqp = values.amqp && rabbitProgram !== undefined
const kinds = kindsOf(values.faults)
const out = values.out === undefined ? undefined : resolve(values.out)
if (out !== undefined) mkdirSync(out, { recursive: true })

const run: Options = {
  seed,
  seconds,
  rate,
  topology,
  processes: profile.processes,
  kinds,
  everyMs: profile.everyMs,
  amqp,
  faketime: kinds.includes('clock') ? faketime : undefined,
  least: leastOf(profile, { seconds, rate }),
  out,
  root: fileURLToPath(new URL('../../..', import.meta.url)),
  patience: profile.patience,
  staleMs: values.stale === undefined ? staleMsOf(amqp) : whole('--stale', values.stale),
  log: (line) => (values.verbose ? process.stderr.write(`${line}\n`) : undefined),
}

if (values.mutant !== undefined) {
  const chosen = values.mutant === 'all' ? mutants : mutants.filter(({ name }) => name === values.mutant)
  if (chosen.length === 0) refuse(`there is no mutant ${values.mutant}`)
  let alive = 0
  for (const mutant of chosen) {
    const { caught, seconds: took, by, runs } = await hunt(mutant, run)
    if (!caught) alive += 1
    console.log(
      `${caught ? 'caught' : 'ALIVE '} ${mutant.name.padEnd(32)} ${took.toFixed(0).padStart(4)} s, ${runs} runs${caught ? `, by: ${by.join('; ')}` : ''}`,
    )
  }
  process.exitCode = alive === 0 ? 0 : 1
} else {
  console.log(`seed ${seed}, ${topology}, ${seconds} s at ${rate} a second, faults: ${kinds.join(', ')}`)
  const report = await torture(run)
  console.log(summaryOf(report))
  process.exitCode = report.violations.length === 0 ? 0 : 1
}
// A connection that somebody else keeps open must not keep the process.
process.exit()

function options() {
  try {
    return parseArgs({
      options: {
        profile: { type: 'string', default: 'run' },
        seconds: { type: 'string' },
        rate: { type: 'string' },
        seed: { type: 'string' },
        topology: { type: 'string', default: 'single' },
        faults: { type: 'string' },
        amqp: { type: 'boolean', default: false },
        stale: { type: 'string' },
        out: { type: 'string' },
        mutant: { type: 'string' },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

/** What was asked for, as far as it can be had here; what cannot is said. */
function kindsOf(asked: string | undefined): FaultKind[] {
  const wanted = asked === undefined ? faultKinds.filter((kind) => kind !== 'clock') : asked === 'all' ? faultKinds : asked.split(',').map(kindOf)
  const missing: Partial<Record<FaultKind, string>> = {
    ...(hasRedis ? {} : { cache: 'redis-server is not installed' }),
    ...(faketime === undefined ? { clock: 'libfaketime is not installed' } : {}),
    ...(amqp ? {} : { broker: values.amqp ? 'RabbitMQ is not installed' : 'it takes --amqp' }),
  }
  for (const kind of wanted) if (missing[kind] !== undefined) process.stderr.write(`no faults of kind ${kind}: ${missing[kind]}\n`)
  return wanted.filter((kind) => missing[kind] === undefined)
}

function kindOf(text: string): FaultKind {
  return faultKinds.find((kind) => kind === text) ?? refuse(`there is no kind of fault ${text}`)
}

function whole(option: string, text: string): number {
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : refuse(`${option} takes a whole number from 1 on, not "${text}"`)
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n\n${usage}`)
  process.exit(2)
}

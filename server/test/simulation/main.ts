// Runs many histories by hand: node server/test/simulation/main.ts --seeds 10000 --from 1
// Or one of them, told line by line:       node server/test/simulation/main.ts --seed 784 --verbose
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { mutants } from './mutants.ts'
import { run, type Report } from './simulation.ts'
import { tally } from './tally.ts'

const usage = `npm run simulate -- [options]

  --seeds N       histories to run (default 10000)
  --from N        the seed of the first one (default 1)
  --seed N        only this one
  --verbose       what happens in it, line by line
  --mutant NAME   with a bug planted, to see it found: ${mutants.map(({ name }) => name).join('; ')}
  --help

Ends with 1 when something was found that must not be. Such a seed is kept in seeds.json, and is run with the tests from then on.
`

const { values } = options()
if (values.help) {
  process.stdout.write(usage)
  process.exit(0)
}
const mutant = values.mutant === undefined ? undefined : mutants.find(({ name }) => name === values.mutant)
if (values.mutant !== undefined && mutant === undefined) refuse(`there is no mutant "${values.mutant}"`)
const first = whole(values.seed === undefined ? '--from' : '--seed', values.seed ?? values.from)
const count = values.seed === undefined ? whole('--seeds', values.seeds) : 1

const SHOWN_AT_MOST = 5
const EVERY = { progress: 1_000, twice: 500 }

const all = tally()
const failed: number[] = []
const began = performance.now()
let events = 0
let simulatedMs = 0
for (let seed = first; seed < first + count; seed += 1) {
  const report = await run(seed, { ...(mutant ? { variant: mutant.variant } : {}), ...(values.verbose ? { listen: (line) => console.log(line) } : {}) })
  all.join(report.tally)
  events += report.events
  simulatedMs += report.simulatedMs
  if (report.failures.length > 0) {
    failed.push(seed)
    if (failed.length <= SHOWN_AT_MOST) show(report)
  }
  if (seed % EVERY.twice === 0) {
    const { hash } = await run(seed, mutant ? { variant: mutant.variant } : {})
    if (hash !== report.hash) throw new Error(`seed ${seed} run twice gave two histories: ${report.hash} and ${hash}`)
  }
  if ((seed - first + 1) % EVERY.progress === 0) console.log(`${seed - first + 1} histories, ${rate(seed - first + 1)} a second, ${failed.length} failed`)
  // A turn of the event loop, so that an interrupt is heard.
  await new Promise(setImmediate)
}

console.log(all.lines().join('\n'))
console.log(
  `${count} histories from seed ${first}${mutant ? ` with mutant "${mutant.name}"` : ''}: ${rate(count)} a second, ${Math.round(events / count)} events and ${Math.round(simulatedMs / count)} simulated ms each`,
)
console.log(failed.length === 0 ? 'No violation.' : `${failed.length} of them failed: ${failed.slice(0, 20).join(', ')}${failed.length > 20 ? ', ...' : ''}`)
if (failed.length > 0 && mutant === undefined) keep(failed)
process.exitCode = failed.length === 0 ? 0 : 1

function options() {
  try {
    return parseArgs({
      options: {
        seeds: { type: 'string', default: '10000' },
        from: { type: 'string', default: '1' },
        seed: { type: 'string' },
        mutant: { type: 'string' },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

function whole(option: string, text: string): number {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : refuse(`${option} takes a whole number from 1 on, not "${text}"`)
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n\n${usage}`)
  process.exit(2)
}

function rate(histories: number): number {
  return Math.round((histories / (performance.now() - began)) * 1_000)
}

function show({ seed, failures }: Report): void {
  console.log(`seed ${seed}: ${failures.length} violations`)
  for (const { rule, what } of failures.slice(0, SHOWN_AT_MOST)) console.log(`  ${rule}\n    ${what}`)
}

/** A seed that failed once is run first from then on. */
function keep(seeds: readonly number[]): void {
  const file = new URL('seeds.json', import.meta.url)
  const kept = JSON.parse(readFileSync(file, 'utf8')) as { seed: number; found: string }[] // written here only
  for (const seed of seeds.slice(0, SHOWN_AT_MOST)) if (!kept.some((one) => one.seed === seed)) kept.push({ seed, found: 'not yet understood' })
  writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`)
  console.log('Kept in seeds.json.')
}

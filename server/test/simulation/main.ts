// Runs many histories by hand: node server/test/simulation/main.ts --seeds 10000 --from 1
// Or one of them, told line by line:       node server/test/simulation/main.ts --seed 784 --verbose
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { mutants } from './mutants.ts'
import { run, type Report } from './simulation.ts'
import { tally } from './tally.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    mutant: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})
const mutant = values.mutant === undefined ? undefined : mutants.find(({ name }) => name === values.mutant)
if (values.mutant !== undefined && mutant === undefined)
  throw new Error(`no mutant is called "${values.mutant}"; there are: ${mutants.map(({ name }) => name).join(', ')}`)
const first = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) throw new Error('seeds are whole numbers')

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

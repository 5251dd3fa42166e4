import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { mutants, unsortedLocks } from './mutants.ts'
import { run, type Report } from './simulation.ts'
import { faultFacts, tally, workFacts } from './tally.ts'

/** Ten times as many are run by hand, and before a release: see main.ts. */
const HISTORIES = 3_000
const TWICE_EVERY = 500
const BOUND_MS = 240_000
/** A mutant that lives through so many histories has not been found. */
const SEEDS_FOR_A_MUTANT = 300
const SEEDS_WITHOUT_HARM = 150

const kept = JSON.parse(readFileSync(new URL('seeds.json', import.meta.url), 'utf8')) as { seed: number; found: string }[] // see keep() in main.ts

test.each(kept)('seed $seed, which once found that $found, finds nothing any more', async ({ seed }) => {
  expect(told(await run(seed))).toEqual([])
})

test('in thousands of histories with faults no unit is promised twice, and nothing that was answered is lost', { timeout: BOUND_MS }, async () => {
  const all = tally()
  const failed: string[] = []
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const report = await run(seed)
    all.join(report.tally)
    failed.push(...told(report))
    if (seed % TWICE_EVERY === 0) expect((await run(seed)).hash, `seed ${seed} is one history, however often it is run`).toBe(report.hash)
  }
  expect(failed).toEqual([])

  // Nothing goes wrong where nothing is tried: so that much must have been.
  for (const fault of faultFacts) expect(all.count(fault), `histories with: ${fault}`).toBeGreaterThan(HISTORIES / 50)
  for (const fact of workFacts) expect(all.count(fact), fact).toBeGreaterThan(HISTORIES / 100)
  const yes = all.count('acknowledged')
  const refusals = ['stock', 'a limit', 'a name', 'a state', 'too much'] as const
  for (const what of refusals) expect(all.count(`refused for ${what}`), `refused for ${what}`).toBeGreaterThan(HISTORIES / 20)
  const no = refusals.reduce((sum, what) => sum + all.count(`refused for ${what}`), all.count('refused otherwise'))
  expect(yes).toBeGreaterThan(10 * HISTORIES)
  expect(no / (yes + no)).toBeGreaterThan(0.05)
  expect(no / (yes + no)).toBeLessThan(0.6)
  const often = [
    'replayed',
    'key reused',
    'not known',
    'not taken',
    'dry runs',
    'due holds in the way',
    'expired by the sweeper',
    'expired on the way',
    'race won by the buyer',
    'race won by the clock',
  ] as const
  for (const fact of often) expect(all.count(fact), fact).toBeGreaterThan(HISTORIES / 10)
  for (const fact of ['expired at the instant', 'executed 1 ms before', 'level made twice', 'key inserted twice'] as const)
    expect(all.count(fact), fact).toBeGreaterThan(10)
  expect(all.count('deadlock'), 'locks are taken in one order').toBe(0)
})

test.each(mutants)('a bug planted by hand is found: $name', { timeout: BOUND_MS }, async ({ name, variant, breaks }) => {
  for (let seed = 1; seed <= SEEDS_FOR_A_MUTANT; seed += 1) {
    const { failures } = await run(seed, { variant })
    const failure = failures.find(({ rule }) => breaks.includes(rule))
    if (failure === undefined) continue
    console.log(`${name}: seed ${seed}, ${failure.rule}`)
    return
  }
  expect.fail(`${SEEDS_FOR_A_MUTANT} histories, and none of them shows it`)
})

test('levels locked as they are asked for make transactions wait in rings, and that costs time but no stock', { timeout: BOUND_MS }, async () => {
  const all = tally()
  for (let seed = 1; seed <= SEEDS_WITHOUT_HARM; seed += 1) {
    const report = await run(seed, { variant: unsortedLocks })
    all.join(report.tally)
    expect(told(report)).toEqual([])
  }
  expect(all.count('deadlock')).toBeGreaterThan(10)
})

const told = ({ seed, failures }: Report): string[] => failures.map(({ rule, what }) => `seed ${seed}: ${rule}: ${what}`)

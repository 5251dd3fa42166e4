// wrk: as many holds over HTTP as a number of connections can get, each with an Idempotency-Key of its own; or as many reads.
import { API_KEY, LOCATION } from './holdfast.ts'
import { run } from './processes.ts'
import { fromRoot } from './root.ts'

export type Wanted =
  /** One of SKU-1 to SKU-n at random. */
  | { readonly items: number }
  /** This one, always. */
  | { readonly sku: string }

export type Driven = {
  /** Answered with 2xx. */
  readonly accepted: number
  /** Answered with anything else. */
  readonly refused: number
  /** Not answered: connections that failed, or time that ran out. */
  readonly failed: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const CONNECTIONS = 256

type Drive = {
  readonly url: string
  readonly wanted: Wanted
  readonly seconds: number
  readonly connections?: number
  /** Part of every key, so that no two runs have one in common. */
  readonly name: string
}

export const driveHolds = (how: Drive): Promise<Driven> => drive('bench/src/holds.lua', how)
export const driveReads = (how: Drive): Promise<Driven> => drive('bench/src/reads.lua', how)

const drive = async (script: string, { url, wanted, seconds, connections = CONNECTIONS, name }: Drive): Promise<Driven> => {
  const { host } = new URL(url)
  const out = await run({
    program: 'wrk',
    package: 'wrk',
    args: [
      '--threads',
      '1',
      '--connections',
      String(connections),
      '--duration',
      `${Math.ceil(seconds)}s`,
      '--timeout',
      '30s',
      '--script',
      fromRoot(script),
      url,
    ],
    env: {
      BENCH_HOST: host,
      BENCH_API_KEY: API_KEY,
      BENCH_LOCATION: LOCATION,
      BENCH_KEY: `${name}-${process.pid}-${Date.now()}`,
      BENCH_ITEMS: 'items' in wanted ? String(wanted.items) : '',
      BENCH_SKU: 'sku' in wanted ? wanted.sku : '',
    },
  })
  const line = out.split('\n').find((candidate) => candidate.startsWith('{'))
  if (line === undefined) throw new Error(`wrk did not say what it found: ${out}`)
  const said = JSON.parse(line) as { requests: number; microseconds: number; refused: number; failed: number; p50: number; p99: number } // written by the script
  return {
    accepted: said.requests - said.refused,
    refused: said.refused,
    failed: said.failed,
    seconds: said.microseconds / 1e6,
    p50Ms: said.p50 / 1000,
    p99Ms: said.p99 / 1000,
  }
}

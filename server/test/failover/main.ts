// Failovers by hand, as many as one likes: npm run failover -- --times 10 --with patroni
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { stockUp, type Told } from './load.ts'
import { startPair } from './nodes.ts'
import { missingForPatroni, startPatroni } from './patroni.ts'
import { serve } from './program.ts'
import { failOver } from './trial.ts'

const usage = `npm run failover -- [options]

  --times N          failovers, one after the other, under one program that is never restarted (default 10)
  --with pair        two servers of our own; the standby is promoted at once, and the other made anew (the default)
  --with patroni     servers kept by Patroni and etcd, configured as in deploy/postgres
  --nodes N          servers, with Patroni (default 3)
  --kill machine     PostgreSQL and Patroni at once (the default)
  --kill server      PostgreSQL alone
  --buyers N         who hold, execute and release at a time (default 16)

Ends with 1 when anything that was acknowledged is lost, or the books do not agree.
`

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '10' },
    with: { type: 'string', default: 'pair' },
    nodes: { type: 'string', default: '3' },
    kill: { type: 'string', default: 'machine' },
    buyers: { type: 'string', default: '16' },
    help: { type: 'boolean', default: false },
  },
})
const [times, nodes, buyers] = [Number(values.times), Number(values.nodes), Number(values.buyers)]
const isRight = times >= 1 && nodes >= 2 && buyers >= 1 && ['pair', 'patroni'].includes(values.with) && ['machine', 'server'].includes(values.kill)
if (values.help || !isRight) {
  process.stdout.write(usage)
  process.exit(values.help ? 0 : 2)
}

const REQUESTS = 500

const cluster = async () => {
  if (values.with === 'patroni') {
    const missing = missingForPatroni()
    if (missing !== undefined) throw new Error(`this needs ${missing}, which is not installed`)
    const patroni = await startPatroni(nodes)
    return { ...patroni, kill: () => patroni.kill(values.kill === 'server' ? 'server' : 'machine') }
  }
  const pair = await startPair()
  return {
    url: pair.url,
    kill: () => pair.primary().kill(),
    recover: async () => {
      await pair.promote()
      await pair.rebuild()
    },
    stop: () => pair.stop(),
  }
}

let failed = false
const of = values.with === 'patroni' ? `${nodes} servers kept by Patroni, ${values.kill} killed` : 'a pair, promoted by hand'
console.log(`${times} failovers of ${of}; ${buyers} buyers; ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'})\n`)
const { url: databaseUrl, kill, recover, stop } = await cluster()
// Servers are not left behind by whoever has seen enough.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop().finally(() => process.exit(130)))
try {
  const program = await serve(databaseUrl)
  try {
    await stockUp(program.url)
    const ever: Told[] = []
    console.log('| | outage, s | acknowledged before | and after | answered 503 | longest wait, s | lost | books |')
    console.log('| --- | --- | --- | --- | --- | --- | --- | --- |')
    const outages: number[] = []
    for (let n = 1; n <= times; n += 1) {
      const trial = await failOver(`failover ${n}`, { url: program.url, databaseUrl, buyers, atLeast: REQUESTS, ever, kill, recover })
      const { outageSeconds, toldBefore, toldAfter, unsettled, longestWaitSeconds, lost, violations } = trial
      outages.push(outageSeconds)
      const cells = [n, outageSeconds.toFixed(1), toldBefore, toldAfter, unsettled, longestWaitSeconds.toFixed(1), lost.length, violations.length]
      console.log(`| ${cells.slice(0, -1).join(' | ')} | ${violations.length === 0 ? 'agree' : violations.length} |`)
      for (const what of [...lost.slice(0, 5), ...violations.map((violation) => JSON.stringify(violation))]) console.log(what)
      failed ||= lost.length > 0 || violations.length > 0
    }
    const sorted = outages.toSorted((a, b) => a - b)
    console.log(`\noutage: ${sorted[0]?.toFixed(1)} to ${sorted.at(-1)?.toFixed(1)} s, median ${sorted[Math.floor(sorted.length / 2)]?.toFixed(1)} s`)
    console.log(`${ever.length} operations were acknowledged, and are ${failed ? 'NOT all' : 'all'} there; the program was never restarted`)
  } finally {
    await program.stop()
  }
} finally {
  await stop()
}
process.exit(failed ? 1 : 0)

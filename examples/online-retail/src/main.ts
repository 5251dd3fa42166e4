// Replays a real shop's invoices into a Holdfast server, and checks by arithmetic that not one unit was lost or promised twice.
import { parseArgs } from 'node:util'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConnectionError, holdfast, HoldfastError, isRefusal } from '@holdfast/sdk'
import { readCsv } from './csv.ts'
import { ReplayError } from './mark.ts'
import { type Opening, type Plan, planner } from './plan.ts'
import { type Progress, progressOn } from './progress.ts'
import { replay } from './replay.ts'
import { planInWords, replayInWords, verificationInWords } from './report.ts'
import { isRight, verify } from './verify.ts'

/** A server that was killed has this long to come back before the replay gives up. */
const PATIENCE_MS = 60_000
/** One try. Documents of 2,000 lines on a busy machine take longer than most requests. */
const TRY_MS = 30_000
/** As many as fit into the patience: it is the time that ends the tries, not their number. */
const RETRIES = 1_000
/** The SDK gives up when the next wait, of 8 seconds at most, would end after its time; the server has its full time all the same. */
const TOTAL_MS = PATIENCE_MS + 10_000
const MAX_CONCURRENCY = 256
const DEFAULT_CONCURRENCY = 8

const sample = fileURLToPath(new URL('../sample/first-week.csv', import.meta.url))

const help = `Replays the invoices of an online retail file through Holdfast's API, and verifies the outcome.

  npm run replay -- --file <csv or csv.gz> --url <base url> --key <api key>

  --file         the invoices, plain or gzipped (default: the sample, the file's first week)
  --url          the server (default: HOLDFAST_URL, or http://127.0.0.1:4000)
  --key          an API key (default: HOLDFAST_API_KEY)
  --opening      ample: enough for every purchase (default); scarce: half of it
  --concurrency  invoices at a time, 1 to ${MAX_CONCURRENCY} (default: ${DEFAULT_CONCURRENCY})
  --help         this

Ends with 0 when the server's stock is as the file says, with 1 when it is not or the replay was not finished, with 2 when
it was not asked for properly. It can be stopped and run again at any time: nothing is done twice.
`

const main = async (args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> => {
  const options = optionsOf(args, env)
  if (options === 'help') {
    process.stdout.write(help)
    return 0
  }
  const progress = progressOn({ write: (text) => process.stderr.write(text), isTerminal: process.stderr.isTTY, nowMs: () => performance.now() })
  try {
    const plan = await planOf(options.file, options.opening)
    console.log(`${planInWords(basename(options.file), plan)}\n`)

    const stock = holdfast({
      url: options.url,
      apiKey: options.key,
      timeoutMs: TRY_MS,
      retries: RETRIES,
      totalTimeoutMs: TOTAL_MS,
      fetch: tellingFetch(options.url, progress),
    })
    const done = await replay({ stock, plan, concurrency: options.concurrency, progress, now: () => new Date() })
    progress.end()
    console.log(`${replayInWords(plan, done)}\n`)

    const verification = await verify(stock, plan)
    console.log(verificationInWords(verification))
    return isRight(verification) ? 0 : 1
  } catch (error) {
    progress.end()
    console.error(explained(error, options.url))
    return 1
  }
}

type Options = { readonly file: string; readonly url: string; readonly key: string; readonly opening: Opening; readonly concurrency: number }

class UsageError extends Error {
  override readonly name = 'UsageError'
}

const optionsOf = (args: readonly string[], env: NodeJS.ProcessEnv): Options | 'help' => {
  const { values } = parsed(args)
  if (values.help) return 'help'
  const { file = sample, url = env['HOLDFAST_URL'] ?? 'http://127.0.0.1:4000', key = env['HOLDFAST_API_KEY'], opening } = values
  if (key === undefined || key === '') throw new UsageError('an API key is needed: --key, or HOLDFAST_API_KEY')
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new UsageError(`--url must be a http or https address, not ${JSON.stringify(url)}`)
  if (opening !== 'ample' && opening !== 'scarce') throw new UsageError(`--opening is ample or scarce, not ${JSON.stringify(opening)}`)
  const concurrency = Number(values.concurrency)
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > MAX_CONCURRENCY) {
    throw new UsageError(`--concurrency is a whole number from 1 to ${MAX_CONCURRENCY}, not ${JSON.stringify(values.concurrency)}`)
  }
  return { file, url, key, opening, concurrency }
}

const parsed = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        file: { type: 'string' },
        url: { type: 'string' },
        key: { type: 'string' },
        opening: { type: 'string', default: 'ample' },
        concurrency: { type: 'string', default: String(DEFAULT_CONCURRENCY) },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

const planOf = async (file: string, opening: Opening): Promise<Plan> => {
  let planning: ReturnType<typeof planner> | undefined
  try {
    for await (const record of readCsv(file)) {
      if (planning === undefined) planning = planner(record)
      else planning.add(record)
    }
    if (planning === undefined) throw new Error('the file is empty')
    return planning.plan(opening)
  } catch (error) {
    throw new ReplayError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The SDK tries again in silence. Whoever watches the bar stand still is told why. */
const tellingFetch = (url: string, progress: Progress): typeof fetch => {
  let isAway = false
  return async (...request) => {
    try {
      const response = await fetch(...request)
      if (isAway) progress.say(`${url} answers again`)
      isAway = false
      return response
    } catch (error) {
      if (!isAway) progress.say(`${url} does not answer; trying again for ${PATIENCE_MS / 1_000} seconds`)
      isAway = true
      throw error
    }
  }
}

const explained = (error: unknown, url: string): string => {
  const again = 'What was done is done once: run the same command again to go on.'
  if (error instanceof ReplayError) return error.message
  if (error instanceof ConnectionError) return `${url} has not answered for ${PATIENCE_MS / 1_000} seconds (${error.message}). ${again}`
  if (isRefusal(error, 'unauthenticated') || isRefusal(error, 'permission_denied')) return `${url} does not let this API key do it: ${error.message}`
  if (error instanceof HoldfastError)
    return `${url} said no: ${error.message}${error.idempotencyKey === undefined ? '' : `, asked for under ${error.idempotencyKey}`}. ${again}`
  throw error
}

try {
  process.exitCode = await main(process.argv.slice(2), process.env)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`${error.message}\nTry --help.`)
  process.exitCode = 2
}

// The program: `up` brings everything with it, `serve` joins a database that is there, the others do one thing and end.
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { scopes as allScopes, type Scope } from '@holdfast/contract'
import { app } from './app.ts'
import { ConfigError, readConfig, unknownVariables, type Config } from './config.ts'
import { decodeId } from './domain/ids.ts'
import { rebuild, ruleCount, verify } from './ledger/verify.ts'
import { openDatabase, type OpenDatabase } from './platform/database.ts'
import { messageOf } from './platform/error.ts'
import { runningDatabase } from './platform/running-database.ts'
import { endOnSignals } from './platform/lifecycle.ts'
import { limits } from './platform/limits.ts'
import { openLog, type Logger } from './platform/log.ts'
import { keysOfDirectory } from './platform/secret-box.ts'
import { rolesOf, type Role } from './roles.ts'
import { createKey, listKeys, revokeKey } from './services/identity/identity.ts'
import { sparingly, timesBefore } from './platform/sparingly.ts'
import { migrate } from './storage/migrate.ts'
import { outliving } from './storage/outage.ts'
import { openPool, type Pool } from './storage/pool.ts'
import { seedDemo, tryIt, whatWasMade, whoListens } from './welcome.ts'
import { isWorker, onEnd, tellReady, workers } from './workers.ts'

const usage = `holdfast: keeps count of stock, and promises no unit twice

  up                      everything in this process, on a PostgreSQL of its own or DATABASE_URL
  serve [roles] [--workers N]
                          the same, without a demo to begin with. Roles with commas between them run
                          here, and the others elsewhere; N processes share the port
  migrate                 bring the database to the form this release needs
  verify [--json]         check the books, beside whatever runs. Ends with 1 if anything is wrong
  rebuild [--json]        make the stock levels anew from the ledger's entries; writers wait
  key create NAME [--scope SCOPE ...] [--principal NAME] [--expires-in SECONDS] [--json]
  key list [--json]
  key revoke ID [--json]

What is read from the environment stands in docs/operating/running.md.
`

class UsageError extends Error {}

const main = async (args: readonly string[]): Promise<number> => {
  const { values, positionals } = parse(args)
  const [command, ...rest] = positionals
  if (values.help || command === 'help') {
    process.stdout.write(usage)
    return 0
  }
  const config = readConfig()
  const log = openLog({ level: config.log.level })
  for (const name of unknownVariables()) log.warn({ variable: name }, 'this variable is set and means nothing')
  const json = values.json === true
  const noMore = (most: number) => {
    if (rest.length > most) throw new UsageError(`${command} does not take ${rest.slice(most).join(' ')}`)
  }

  switch (command) {
    case 'up':
      noMore(0)
      return serve(config, log, { welcome: true, roles: rolesOf([]) })
    case 'serve': {
      const roles = rolesNamed(rest)
      const count = workersOf(values.workers)
      return count === 1 ? serve(config, log, { welcome: false, roles }) : serveTogether(config, log, { count, words: rest })
    }
    case 'migrate':
      noMore(0)
      return withDatabase(config, log, async (url) => {
        const { applied } = await migrate({ url, log })
        say(json, { applied }, applied.length === 0 ? 'nothing to do: the database is as this release needs it' : `applied ${applied.join(', ')}`)
        return 0
      })
    case 'verify':
      noMore(0)
      return withPool(config, log, async (pool) => {
        let done = 0
        const verified = await verify(pool, (name, violations) => {
          done += 1
          if (!json) process.stderr.write(`${String(done).padStart(2)}/${ruleCount}  ${violations === 0 ? 'ok' : `${violations} WRONG`}  ${name}\n`)
        })
        const { violations, levels, entries, holds, sequence } = verified
        const sum = `${levels} levels, ${entries} entries, ${holds} holds, up to sequence ${sequence}`
        say(
          json,
          verified,
          violations.length === 0
            ? `nothing is wrong: ${sum}`
            : [`${violations.length} WRONG: ${sum}`, ...violations.map(({ rule, found }) => `  ${rule}: ${found}`)].join('\n'),
        )
        return violations.length === 0 ? 0 : 1
      })
    case 'rebuild':
      noMore(0)
      return withPool(config, log, async (pool) => {
        const { levels, changed } = await rebuild(pool)
        say(json, { levels, changed }, `${levels} levels rebuilt from the ledger; ${changed} of them were different`)
        return 0
      })
    case 'key':
      return withPool(config, log, (pool) => keys(pool, rest, values))
    default:
      throw new UsageError(command === undefined ? 'say what to do' : `there is no command ${command}`)
  }
}

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        scope: { type: 'string', multiple: true },
        principal: { type: 'string' },
        'expires-in': { type: 'string' },
        workers: { type: 'string' },
      },
    })
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}
type Values = ReturnType<typeof parse>['values']

const say = (json: boolean, facts: unknown, words: string) => process.stdout.write(`${json ? JSON.stringify(facts) : words}\n`)

/** Runs until it is asked to stop. */
const serve = async (config: Config, log: Logger, { welcome, roles }: { readonly welcome: boolean; readonly roles: ReadonlySet<Role> }): Promise<number> => {
  setFlagsFromString(`--heap-growing-percent=${limits.memory.heapGrowthPercent}`)
  const database = await openDatabase({ databaseUrl: config.database.url, dataDir: config.dataDir, log })
  let running: ReturnType<typeof app> | undefined
  const over = new AbortController()
  const stop = async ({ isAsked = false } = {}): Promise<boolean> => {
    over.abort()
    const clean = (await running?.stop({ lingers: isAsked })) ?? true
    await database.stop()
    return clean
  }
  const ended = Promise.withResolvers<number>()
  endOnSignals({ stop, log, exit: (code) => ended.resolve(code) })
  if (isWorker()) onEnd(() => void stop({ isAsked: true }).then((clean) => ended.resolve(clean ? 0 : 1)))
  onGivenUp(database, log, () => void stop().finally(() => ended.resolve(1)))
  const start = async (): Promise<void> => {
    const onFault = sparingly((error, before) => log.warn({ err: error, part: 'start', ...timesBefore(before) }, 'something failed and is tried again'))
    await outliving({ ...limits.lifecycle.outage, over: over.signal, onFault }).again(() => migrate({ url: database.url, log }))
    running = app({ config, roles, databaseUrl: database.url, ownDatabase: database.source === 'embedded', log })
    const { url, first } = await running.start()
    const key = first.madeKey ?? config.firstStart.apiKey
    // Only once: the keys of the demo's requests are forgotten after days, and its units would come in again.
    const isFirst = first.admin !== undefined
    const demo = welcome && isFirst && database.source !== 'configured' && key !== undefined && (await seedDemo(url, key))
    process.stdout.write(welcome ? tryIt({ url, first, demo }) : roles.has('gateway') ? whatWasMade({ url, first }) : whoListens({ url, first, roles }))
    tellReady()
  }
  try {
    // Whoever is asked to stop while it still starts (or waits for another's migration) does not finish starting first.
    await Promise.race([start(), ended.promise])
  } catch (error) {
    // What fails because it was stopped meanwhile is no failure.
    if (over.signal.aborted) return ended.promise
    await stop()
    throw error
  }
  return ended.promise
}

/** A database of our own that ends again and again. */
const onGivenUp = ({ postgres }: OpenDatabase, log: Logger, end: () => void): void =>
  postgres?.onExit(({ reason, isRestarting }) => {
    if (isRestarting) return
    log.error({ reason }, 'the database ends again and again; this process ends, too')
    end()
  })

/** The same in several processes, which this one looks after. */
const serveTogether = async (config: Config, log: Logger, { count, words }: { readonly count: number; readonly words: readonly string[] }): Promise<number> => {
  const database = await openDatabase({ databaseUrl: config.database.url, dataDir: config.dataDir, log })
  // A database of our own is this process's to look after, and so is the key that stands beside it.
  const environment: Record<string, string> =
    config.database.url !== undefined
      ? {}
      : {
          DATABASE_URL: database.url,
          ...(config.secretKeys
            ? {}
            : {
                HOLDFAST_SECRET_KEY: keysOfDirectory(config.dataDir)
                  .map((key) => key.toString('base64'))
                  .join(','),
              }),
        }
  const together = workers({ count, args: ['serve', ...words], environment, limits: limits.workers, log })
  const ended = Promise.withResolvers<number>()
  const stop = async (): Promise<boolean> => {
    const clean = await together.stop()
    await database.stop()
    return clean
  }
  endOnSignals({ stop, log, exit: (code) => ended.resolve(code) })
  process.on('SIGHUP', () => void together.replace())
  onGivenUp(database, log, () => void stop().finally(() => ended.resolve(1)))
  try {
    await Promise.race([together.start(), ended.promise])
  } catch (error) {
    await stop()
    throw error
  }
  return ended.promise
}

const withDatabase = async (config: Config, log: Logger, work: (url: string) => Promise<number>): Promise<number> => {
  const database = await besideOthers(config, log)
  try {
    return await work(database.url)
  } finally {
    await database.stop()
  }
}

/** A command may run while another Holdfast serves from the same data directory: then it uses the PostgreSQL of that one. */
const besideOthers = async (config: Config, log: Logger): Promise<{ readonly url: string; stop(): Promise<void> }> => {
  try {
    return await openDatabase({ databaseUrl: config.database.url, dataDir: config.dataDir, log })
  } catch (error) {
    const url = config.database.url === undefined ? await runningDatabase({ dataDir: config.dataDir, log }) : undefined
    if (url === undefined) throw error
    return { url, stop: async () => {} }
  }
}

/** For work that may take its time: no statement is cut off. */
const withPool = (config: Config, log: Logger, work: (pool: Pool) => Promise<number>): Promise<number> =>
  withDatabase(config, log, async (url) => {
    await migrate({ url, log })
    const pool = openPool({
      url,
      size: 2,
      statementTimeoutMs: 0,
      lockTimeoutMs: 0,
      applicationName: 'holdfast-command',
      onBroken: (error) => log.warn({ err: error }, 'a connection broke'),
    })
    try {
      return await work(pool)
    } finally {
      await pool.end()
    }
  })

const keys = async (pool: Pool, [verb, subject, ...more]: readonly string[], values: Values): Promise<number> => {
  const json = values.json === true
  if (more.length > 0) throw new UsageError(`key ${verb} does not take ${more.join(' ')}`)
  if (verb === 'create' && subject !== undefined) {
    if (subject.trim() === '') throw new UsageError('a key needs a name, by which it is found when it is to be revoked')
    const made = await createKey(pool, {
      name: subject,
      scopes: scopesOf(values.scope),
      principal: values.principal,
      expiresInSeconds: secondsOf(values['expires-in']),
    })
    say(json, made, `${made.key}\n\nThis is the only time it is shown. ${made.name}: ${made.scopes.join(', ')}`)
    return 0
  }
  if (verb === 'list' && subject === undefined) {
    for await (const { id, name, scopes, ...rest } of listKeys(pool))
      say(json, { id, name, scopes, ...rest }, `${id}  ${name}  ${rest.revoked_at ? 'revoked' : scopes.join(',')}`)
    return 0
  }
  if (verb === 'revoke' && subject !== undefined) {
    // As it is listed here, or as the API calls it.
    const id = decodeId('api_key', subject) ?? (/^[0-9a-f-]{36}$/i.test(subject) ? subject : undefined)
    const revoked = id === undefined ? undefined : await revokeKey(pool, id)
    if (revoked === undefined) throw new UsageError(`there is no key ${subject}; key list shows those that there are`)
    say(json, revoked, `${revoked.name} is revoked; every process refuses it within seconds`)
    return 0
  }
  throw new UsageError('key create NAME, key list, or key revoke ID')
}

const scopesOf = (given: readonly string[] | undefined): Scope[] => {
  if (given === undefined) return [...allScopes]
  const unknown = given.filter((scope) => !allScopes.some((known) => known === scope))
  if (unknown.length > 0) throw new UsageError(`there is no scope ${unknown.join(', ')}; there are ${allScopes.join(', ')}`)
  return allScopes.filter((scope) => given.includes(scope))
}

const rolesNamed = (words: readonly string[]): ReadonlySet<Role> => {
  try {
    return rolesOf(words)
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}

const workersOf = (given: string | undefined): number => {
  // Each worker is a process of its own; it looks after none.
  if (given === undefined || isWorker()) return 1
  const count = /^\d{1,3}$/.test(given) ? Number(given) : 0
  if (count < 1 || count > limits.workers.most) throw new UsageError(`--workers takes 1 to ${limits.workers.most}, not ${given}`)
  return count
}

const secondsOf = (given: string | undefined): number | undefined => {
  if (given === undefined) return undefined
  if (!/^[1-9]\d{0,9}$/.test(given)) throw new UsageError(`--expires-in takes seconds, not ${given}`)
  return Number(given)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const expected = error instanceof UsageError || error instanceof ConfigError
  // A plain error is a sentence that we wrote for whoever reads it; of any other, where it comes from matters more.
  const isSentence = expected || (error instanceof Error && error.constructor === Error && !('code' in error))
  process.stderr.write(`holdfast: ${error instanceof Error ? (isSentence ? error.message : (error.stack ?? error.message)) : String(error)}\n`)
  if (error instanceof UsageError) process.stderr.write('holdfast --help says what there is.\n')
  process.exitCode = expected ? 2 : 1
}
// A connection that somebody else keeps open must not keep the process.
process.exit()

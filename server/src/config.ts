// The only reader of the environment. What is set is checked all at once, so that a wrong start is mended in one go.
import { isIP } from 'node:net'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isNetwork } from './platform/address.ts'
import { urlsOf } from './platform/database-servers.ts'
import { logLevels, type LogLevel } from './platform/log.ts'
import { keysIn } from './platform/secret-box.ts'
import { allRoles, urlVariable, type Role } from './roles.ts'

export type Config = {
  readonly host: string
  readonly port: number
  /** Where /metrics is answered without a key. Without it, it is answered beside everything else, to whoever has a key. */
  readonly metricsPort: number | undefined
  /** Between the roles of one installation. */
  readonly inside: {
    /** Where a process answers the other roles. Without it, one that has no gateway does so at `port`, and one that has does not. */
    readonly port: number | undefined
    readonly host: string
    /** What the roles know each other by: the first is sent, and all are believed. None: there is one process. */
    readonly serviceKeys: readonly string[]
    /** Where the processes of a role are that does not run here. */
    readonly urls: Readonly<Record<Role, readonly string[]>>
  }
  /** How long a process that was asked to end still takes what comes, and says goodbye with each answer. */
  readonly lingerSeconds: number
  readonly dataDir: string
  readonly database: {
    /** Without it, Holdfast runs a PostgreSQL of its own in the data directory. */
    readonly url: string | undefined
    /** Named statements. False behind a pooler in transaction mode, which knows no sessions. */
    readonly prepare: boolean
    readonly poolSize: number
  }
  readonly firstStart: { readonly adminEmail: string | undefined; readonly adminPassword: string | undefined; readonly apiKey: string | undefined }
  /** May anybody become a shopper by themselves? */
  readonly registration: boolean
  readonly log: { readonly level: LogLevel; /** One line for every request, instead of only those that failed or were slow. */ readonly requests: boolean }
  /** Counts requests for several processes together; without it, each counts its own. */
  readonly redisUrl: string | undefined
  /** Where RabbitMQ tells the monitor of its queues. */
  readonly rabbitmqManagementUrl: string | undefined
  readonly amqp: {
    /** The nodes of a RabbitMQ; without one, messages stay in the process. */
    readonly urls: readonly string[] | undefined
    /** What the names of our exchanges and queues begin with. */
    readonly prefix: string
  }
  readonly edge: {
    /** For keys that have no rate of their own, and for people. */
    readonly rate: Rate
    /** For each address that nobody is known behind. */
    readonly addressRate: Rate
    /** Pages of these origins may ask from within a browser. */
    readonly corsOrigins: readonly string[]
    /** Only through these is it believed what X-Forwarded-* says. */
    readonly trustedProxies: readonly string[]
  }
  /** What secrets at rest are locked with. Without it, a file in the data directory; there is none for a database of somebody else's. */
  readonly secretKeys: readonly Buffer[] | undefined
  readonly webhooks: {
    readonly allowHttp: boolean
    /** Networks, as CIDRs, that webhooks may be sent to although they are not public. */
    readonly allowPrivate: readonly string[]
  }
  readonly cache: {
    /** Whether availability is answered from what was read a moment ago. */
    readonly isOn: boolean
    /** How long what was known goes on being answered, and who was known goes on being let in, while the database is away. 0: not at all. */
    readonly staleSeconds: number
  }
  readonly holds: { readonly defaultTtlSeconds: number; readonly maxTtlSeconds: number }
}

export type Rate = { readonly limit: number; readonly windowSeconds: number } | 'unlimited'

export type Environment = Readonly<Record<string, string | undefined>>

export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`The configuration is not right:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** @param environment  tests give their own; everybody else leaves it to the process */
export const readConfig = (environment: Environment = process.env): Config => {
  const problems: string[] = []
  const read = <Name extends keyof typeof variables>(name: Name): ReturnType<(typeof variables)[Name]['read']> => {
    const variable: Variable<unknown> = variables[name]
    const given = environment[name]
    // Set but empty is how compose files and CI say "not set". A secret may begin or end with a blank, nothing else may.
    const text = given === undefined || given.trim() === '' ? variable.otherwise : variable.secret ? given : given.trim()
    const value = text === undefined ? undefined : variable.read(text)
    if (text !== undefined && value === undefined) {
      const found = variable.secret ? 'what was found is not shown, because it may be a secret' : `found ${JSON.stringify(text)}`
      problems.push(`${name}: ${found}; allowed is ${variable.allowed}`)
    }
    return value as ReturnType<(typeof variables)[Name]['read']> // undefined for an optional variable, or on the way to the throw below
  }
  const oneOfTwo = <Value>(first: string, one: Value | undefined, second: string, other: Value | undefined): Value | undefined => {
    if (one !== undefined && other !== undefined) problems.push(`${second}: found one; allowed is either this or ${first}, not both`)
    return one ?? other
  }

  const config: Config = {
    host: need(read('HOST')),
    port: need(read('PORT')),
    metricsPort: read('HOLDFAST_METRICS_PORT'),
    inside: {
      port: read('HOLDFAST_INTERNAL_PORT'),
      host: need(read('HOLDFAST_INTERNAL_HOST')),
      serviceKeys: read('HOLDFAST_SERVICE_KEY') ?? [],
      urls: Object.fromEntries(allRoles.map((role) => [role, read(urlVariable(role)) ?? []])) as unknown as Config['inside']['urls'], // a list for each role
    },
    lingerSeconds: need(read('HOLDFAST_LINGER_SECONDS')),
    dataDir: need(read('HOLDFAST_DATA_DIR')),
    database: { url: read('DATABASE_URL'), prepare: need(read('HOLDFAST_DATABASE_PREPARE')), poolSize: need(read('HOLDFAST_POOL_SIZE')) },
    firstStart: { adminEmail: read('HOLDFAST_ADMIN_EMAIL'), adminPassword: read('HOLDFAST_ADMIN_PASSWORD'), apiKey: read('HOLDFAST_API_KEY') },
    registration: need(read('HOLDFAST_REGISTRATION')),
    log: { level: need(read('HOLDFAST_LOG_LEVEL')), requests: need(read('HOLDFAST_LOG_REQUESTS')) },
    redisUrl: read('REDIS_URL'),
    rabbitmqManagementUrl: read('HOLDFAST_RABBITMQ_MANAGEMENT_URL'),
    amqp: { urls: read('AMQP_URL'), prefix: need(read('HOLDFAST_AMQP_PREFIX')) },
    edge: {
      rate: need(read('HOLDFAST_RATE_LIMIT')),
      addressRate: need(read('HOLDFAST_ADDRESS_RATE_LIMIT')),
      corsOrigins: read('HOLDFAST_CORS_ORIGINS') ?? [],
      trustedProxies: read('HOLDFAST_TRUSTED_PROXIES') ?? [],
    },
    secretKeys: oneOfTwo('HOLDFAST_SECRET_KEY', read('HOLDFAST_SECRET_KEY'), 'HOLDFAST_SECRET_KEY_FILE', read('HOLDFAST_SECRET_KEY_FILE')),
    webhooks: { allowHttp: need(read('HOLDFAST_WEBHOOKS_ALLOW_HTTP')), allowPrivate: read('HOLDFAST_WEBHOOKS_ALLOW_PRIVATE') ?? [] },
    cache: { isOn: need(read('HOLDFAST_CACHE')), staleSeconds: need(read('HOLDFAST_STALE_SECONDS')) },
    holds: { defaultTtlSeconds: need(read('HOLDFAST_DEFAULT_TTL_SECONDS')), maxTtlSeconds: need(read('HOLDFAST_MAX_TTL_SECONDS')) },
  }
  if (config.holds.defaultTtlSeconds > config.holds.maxTtlSeconds) {
    problems.push(
      `HOLDFAST_DEFAULT_TTL_SECONDS: found ${config.holds.defaultTtlSeconds}; allowed is at most HOLDFAST_MAX_TTL_SECONDS, which is ${config.holds.maxTtlSeconds}`,
    )
  }
  if (config.metricsPort !== undefined && config.metricsPort !== 0 && config.metricsPort === config.port) {
    problems.push(`HOLDFAST_METRICS_PORT: found ${config.metricsPort}; allowed is a port other than PORT`)
  }
  const { port, serviceKeys, urls } = config.inside
  if (serviceKeys.length === 0 && (port !== undefined || Object.values(urls).some((list) => list.length > 0)))
    problems.push('HOLDFAST_SERVICE_KEY: found nothing; it is needed where roles run in several processes')
  if (port !== undefined && port !== 0 && (port === config.port || port === config.metricsPort))
    problems.push(`HOLDFAST_INTERNAL_PORT: found ${port}; allowed is a port other than PORT and HOLDFAST_METRICS_PORT`)
  if (problems.length > 0) throw new ConfigError(problems)
  return deepFrozen(config)
}

/** The variables of ours that are set and mean nothing: most of them are misspelt. */
export const unknownVariables = (environment: Environment = process.env): string[] =>
  Object.keys(environment).filter((name) => name.startsWith('HOLDFAST_') && !(name in variables) && !othersVariables.test(name))

/** Read by the command line and the SDK, and by tests. */
const othersVariables = /^HOLDFAST_(URL|BASE_URL|OUTPUT|TEST_.*|BENCH_.*)$/

type Variable<Value> = {
  /** The value, or undefined when the text is none. */
  readonly read: (text: string) => Value | undefined
  readonly allowed: string
  readonly otherwise?: string
  readonly secret?: true
}

const whole = (least: number, most: number, otherwise?: string): Variable<number> => ({
  read: (text) => (/^\d{1,10}$/.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : undefined),
  allowed: `a whole number from ${least} to ${most}`,
  ...(otherwise === undefined ? {} : { otherwise }),
})

const yesOrNo = (otherwise: 'true' | 'false'): Variable<boolean> => ({
  read: (text) => (text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : undefined),
  allowed: 'true or false',
  otherwise,
})

const rate = (otherwise: string): Variable<Rate> => ({
  read: (text) => {
    if (text === 'unlimited') return text
    const [, limit, windowSeconds] = /^([1-9]\d{0,8})\/([1-9]\d{0,4})s$/.exec(text) ?? []
    return limit === undefined ? undefined : { limit: Number(limit), windowSeconds: Number(windowSeconds) }
  },
  allowed: 'requests and seconds, such as 1000/1s or 6000/60s, or unlimited',
  otherwise,
})

/** Several, with commas between them; none may be wrong. */
const list = (isRight: (text: string) => boolean, allowed: string): Variable<readonly string[]> => ({
  read: (text) => {
    const words = text.split(',').map((word) => word.trim())
    return words.every(isRight) ? words : undefined
  },
  allowed,
})

/** As browsers write it in the header Origin: nothing after the host and the port, and no port that goes without saying. */
const isOrigin = (text: string): boolean => /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text

const isProxy = (text: string): boolean => {
  const [address = '', bits, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  // All of the world is no proxy.
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

const isListOfServers = (url: string): boolean => {
  try {
    return urlsOf(url).length > 0
  } catch {
    return false
  }
}

/** Ten years: beyond any cart, and far from where arithmetic on instants would end. */
const LONGEST_TTL_SECONDS = 315_360_000

/** Of another process of ours. What stands after the host and the port would not be used. */
const isInside = (text: string): boolean => /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text.replace(/\/$/, '')
const insideUrls = list(isInside, 'addresses with commas between them, each such as http://10.0.0.7:4001')

const address = {
  read: (text: string) => (/^[A-Za-z0-9.:_-]{1,253}$/.test(text) ? text : undefined),
  allowed: 'a host name or an address to listen on',
  otherwise: '127.0.0.1',
}

const variables = {
  HOST: address,
  PORT: whole(0, 65_535, '4000'),
  HOLDFAST_METRICS_PORT: whole(0, 65_535),
  HOLDFAST_INTERNAL_PORT: whole(0, 65_535),
  HOLDFAST_INTERNAL_HOST: address,
  HOLDFAST_SERVICE_KEY: {
    read: (text) => (/^[!-+\x2d-~]{32,200}(,[!-+\x2d-~]{32,200})?$/.test(text) ? text.split(',') : undefined),
    allowed: '32 to 200 printable characters without commas; while it is replaced, two of them with a comma between',
    secret: true,
  },
  HOLDFAST_LINGER_SECONDS: whole(0, 60, '0'),
  HOLDFAST_GATEWAY_URL: insideUrls,
  HOLDFAST_IDENTITY_URL: insideUrls,
  HOLDFAST_INVENTORY_URL: insideUrls,
  HOLDFAST_WEBHOOKS_URL: insideUrls,
  HOLDFAST_RELAY_URL: insideUrls,
  HOLDFAST_TIMERS_URL: insideUrls,
  HOLDFAST_MONITOR_URL: insideUrls,
  HOLDFAST_ITEM_COMMANDS_URL: insideUrls,
  HOLDFAST_STOCK_COMMANDS_URL: insideUrls,
  HOLDFAST_ORDER_COMMANDS_URL: insideUrls,
  HOLDFAST_DATA_DIR: { read: (text) => (text.includes('\0') ? undefined : resolve(text)), allowed: 'a path', otherwise: './.holdfast' },
  DATABASE_URL: {
    read: (text) => (/^postgres(ql)?:\/\/\S+$/.test(text) && isListOfServers(text) ? text : undefined),
    allowed: 'postgres://user:password@host:port/database; for a primary and its standbys host:port,host:port,..., each once',
    secret: true,
  },
  HOLDFAST_DATABASE_PREPARE: yesOrNo('true'),
  // One process saturates two cores with this many; more only makes PostgreSQL switch between them.
  HOLDFAST_POOL_SIZE: whole(2, 100, '10'),
  HOLDFAST_ADMIN_EMAIL: { read: (text) => (/^[^\s@]{1,64}@[^\s@]{1,190}$/.test(text) ? text.toLowerCase() : undefined), allowed: 'an e-mail address' },
  HOLDFAST_ADMIN_PASSWORD: { read: (text) => (text.length >= 15 && text.length <= 128 ? text : undefined), allowed: '15 to 128 characters', secret: true },
  HOLDFAST_API_KEY: {
    read: (text) => (/^hf_[A-Za-z0-9_.~-]{29,197}$/.test(text) ? text : undefined),
    allowed: 'hf_ and then letters, digits and _.~-, 32 to 200 characters in all',
    secret: true,
  },
  HOLDFAST_REGISTRATION: yesOrNo('true'),
  HOLDFAST_LOG_LEVEL: { read: (text) => logLevels.find((level) => level === text), allowed: logLevels.join(', '), otherwise: 'info' },
  HOLDFAST_LOG_REQUESTS: yesOrNo('false'),
  HOLDFAST_RABBITMQ_MANAGEMENT_URL: {
    read: (text) => (/^https?:\/\/\S+$/.test(text) && URL.canParse(text) ? text : undefined),
    allowed: 'http://user:password@host:15672, with the virtual host as its path',
    secret: true,
  },
  REDIS_URL: { read: (text) => (/^rediss?:\/\/\S+$/.test(text) ? text : undefined), allowed: 'redis://user:password@host:port/database', secret: true },
  AMQP_URL: {
    ...list((url) => /^amqps?:\/\/\S+$/.test(url) && URL.canParse(url), 'amqp://user:password@host:port/vhost, or several with commas between them'),
    secret: true,
  },
  HOLDFAST_AMQP_PREFIX: {
    read: (text) => (/^[a-z][a-z0-9_-]{0,39}$/.test(text) ? text : undefined),
    allowed: 'a letter and up to 39 letters, digits, _ and -, in lower case',
    otherwise: 'holdfast',
  },
  HOLDFAST_RATE_LIMIT: rate('1000/1s'),
  HOLDFAST_ADDRESS_RATE_LIMIT: rate('100/1s'),
  HOLDFAST_CORS_ORIGINS: list(isOrigin, 'origins with commas between them, each such as https://shop.example'),
  HOLDFAST_TRUSTED_PROXIES: list(isProxy, 'addresses and networks with commas between them, such as 10.0.0.5,10.1.0.0/16,fd00::/8'),
  HOLDFAST_SECRET_KEY: { read: keysIn, allowed: '32 bytes in base 64; or several, separated by commas, of which the first locks', secret: true },
  HOLDFAST_SECRET_KEY_FILE: {
    read: (path) => {
      try {
        return keysIn(readFileSync(path, 'utf8').trim())
      } catch {
        return undefined
      }
    },
    allowed: 'the path of a file that can be read and holds what HOLDFAST_SECRET_KEY would',
  },
  HOLDFAST_WEBHOOKS_ALLOW_HTTP: yesOrNo('false'),
  HOLDFAST_WEBHOOKS_ALLOW_PRIVATE: {
    read: (text) => {
      const networks = text.split(',').map((network) => network.trim())
      return networks.every(isNetwork) ? networks : undefined
    },
    allowed: 'networks such as 10.1.0.0/16,fd00::/8',
  },
  HOLDFAST_CACHE: { read: (text) => (text === 'on' ? true : text === 'off' ? false : undefined), allowed: 'on or off', otherwise: 'on' },
  // A day: what was true yesterday is no answer to a buyer.
  HOLDFAST_STALE_SECONDS: whole(0, 86_400, '3600'),
  HOLDFAST_DEFAULT_TTL_SECONDS: whole(1, LONGEST_TTL_SECONDS, '900'),
  HOLDFAST_MAX_TTL_SECONDS: whole(1, LONGEST_TTL_SECONDS, '604800'),
} as const satisfies Record<string, Variable<unknown>> & Record<ReturnType<typeof urlVariable>, Variable<readonly string[]>>

/** A variable with a default always has a value, or the problem has been noted and nobody gets to see the config. */
const need = <Value>(value: Value | undefined): Value => value as Value // see above

const deepFrozen = <Value extends object>(value: Value): Value => {
  // The bytes of a key cannot be frozen.
  if (Buffer.isBuffer(value)) return value
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFrozen(inner)
  return Object.freeze(value)
}

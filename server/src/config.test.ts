import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig, unknownVariables } from './config.ts'

const problemsOf = (environment: Record<string, string>): readonly string[] => {
  try {
    readConfig(environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('configuration', () => {
  test('an empty environment is enough, and listens only to this machine', () => {
    const config = readConfig({})
    expect(config).toMatchObject({ host: '127.0.0.1', port: 4000, metricsPort: undefined, holds: { defaultTtlSeconds: 900, maxTtlSeconds: 604_800 } })
    expect(config.dataDir).toMatch(/\/\.holdfast$/)
    expect(config.database).toEqual({ url: undefined, prepare: true, poolSize: 10 })
    expect(config.log).toEqual({ level: 'info', requests: false })
    expect(config.registration).toBe(true)
  })

  test('a variable that is set but empty counts as not set', () => {
    expect(readConfig({ PORT: '', DATABASE_URL: ' ', HOLDFAST_API_KEY: '' })).toEqual(readConfig({}))
  })

  test('everything that is wrong is said at once, with what was found and what is allowed', () => {
    const problems = problemsOf({ PORT: '70000', HOLDFAST_LOG_LEVEL: 'loud', HOLDFAST_DATABASE_PREPARE: 'maybe', HOLDFAST_POOL_SIZE: '1e2' })
    expect(problems).toEqual([
      'PORT: found "70000"; allowed is a whole number from 0 to 65535',
      'HOLDFAST_DATABASE_PREPARE: found "maybe"; allowed is true or false',
      'HOLDFAST_POOL_SIZE: found "1e2"; allowed is a whole number from 2 to 100',
      'HOLDFAST_LOG_LEVEL: found "loud"; allowed is debug, info, warn, error, silent',
    ])
  })

  test('limits are requests in seconds; nobody is trusted, and no other origin let in, unless named', () => {
    expect(readConfig({}).edge).toEqual({
      rate: { limit: 1_000, windowSeconds: 1 },
      addressRate: { limit: 100, windowSeconds: 1 },
      corsOrigins: [],
      trustedProxies: [],
    })
    const { edge, redisUrl } = readConfig({
      HOLDFAST_RATE_LIMIT: '6000/60s',
      HOLDFAST_ADDRESS_RATE_LIMIT: 'unlimited',
      HOLDFAST_CORS_ORIGINS: 'https://shop.example, http://localhost:5173',
      HOLDFAST_TRUSTED_PROXIES: '10.0.0.5, 10.1.0.0/16,fd00::/8',
      REDIS_URL: 'redis://:secret@redis:6379/2',
    })
    expect(edge).toEqual({
      rate: { limit: 6_000, windowSeconds: 60 },
      addressRate: 'unlimited',
      corsOrigins: ['https://shop.example', 'http://localhost:5173'],
      trustedProxies: ['10.0.0.5', '10.1.0.0/16', 'fd00::/8'],
    })
    expect(redisUrl).toBe('redis://:secret@redis:6379/2')
  })

  test.each([
    ['HOLDFAST_RATE_LIMIT', ['0/1s', '100', '100/0s', '100/1m', '1e3/1s', 'none']],
    [
      'HOLDFAST_CORS_ORIGINS',
      ['*', 'shop.example', 'https://shop.example/', 'https://shop.example:443', 'https://shop.example/path', 'null', 'https://a.example,'],
    ],
    ['HOLDFAST_TRUSTED_PROXIES', ['*', 'nginx', '10.0.0.0/33', '0.0.0.0/0', '10.0.0.0/8/8', 'fd00::/129', 'true', '1']],
    ['REDIS_URL', ['localhost:6379', 'http://redis']],
    ['HOLDFAST_RABBITMQ_MANAGEMENT_URL', ['localhost:15672', 'amqp://rabbit:15672']],
  ])('%s is not guessed at', (name, wrong) => {
    for (const text of wrong) expect(problemsOf({ [name]: text }), text).toHaveLength(1)
  })

  test('a wrong secret is never shown', () => {
    const problems = problemsOf({ HOLDFAST_API_KEY: 'hf_hunter2', HOLDFAST_ADMIN_PASSWORD: 'hunter2', DATABASE_URL: 'mysql://root:hunter2@db' })
    expect(problems).toHaveLength(3)
    expect(problems.join()).not.toContain('hunter2')
  })

  test('a list of servers that is none is refused', () => {
    expect(readConfig({ DATABASE_URL: 'postgres://u:p@db-1:5432,db-2:5433/stock' }).database.url).toContain('db-1:5432,db-2:5433')
    for (const servers of ['db-1,', 'db-1,db-1', 'db-1:0,db-2'])
      expect(problemsOf({ DATABASE_URL: `postgres://u:hunter2@${servers}/stock` }).join()).toMatch(/^DATABASE_URL: (?!.*hunter2).*each once$/)
  })

  test('the default time to live may not be longer than the longest', () => {
    expect(problemsOf({ HOLDFAST_DEFAULT_TTL_SECONDS: '3600', HOLDFAST_MAX_TTL_SECONDS: '60' }).join()).toMatch(/HOLDFAST_DEFAULT_TTL_SECONDS: found 3600/)
  })

  test('nobody can change it once it is read', () => {
    expect(() => Object.assign(readConfig({}).holds, { maxTtlSeconds: 1 })).toThrow(TypeError)
  })

  test('a misspelt variable is noticed, those of the other programs are not', () => {
    expect(unknownVariables({ HOLDFAST_DEFUALT_TTL_SECONDS: '1', HOLDFAST_URL: 'x', HOLDFAST_INVENTORY_URL: 'x', PATH: '/', PORT: '1' })).toEqual([
      'HOLDFAST_DEFUALT_TTL_SECONDS',
    ])
  })
})

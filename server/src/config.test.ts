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

  test('a wrong secret is never shown', () => {
    const problems = problemsOf({ HOLDFAST_API_KEY: 'hf_hunter2', HOLDFAST_ADMIN_PASSWORD: 'hunter2', DATABASE_URL: 'mysql://root:hunter2@db' })
    expect(problems).toHaveLength(3)
    expect(problems.join()).not.toContain('hunter2')
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

// One PostgreSQL for a whole run of the tests, with a template database that has every migration: started before the first test,
// gone without a trace after the last.

import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { openLog } from '../../src/platform/log.ts'
import { identifyProcess } from '../../src/platform/process.ts'
import { migrate } from '../../src/storage/migrate.ts'
import { isOfRoles } from './topology.ts'

declare module 'vitest' {
  interface ProvidedContext {
    testDatabases: TestDatabases
  }
}

export type TestDatabases = {
  /** A database of the server where databases can be made and dropped. */
  adminUrl: string
  template: string
  /** What the names of this run's databases begin with. */
  prefix: string
}

// Enough for a few workers with some pools each, and for tests that open many connections on purpose; with roles, a server has ten times as many.
const MOST_CONNECTIONS = isOfRoles ? '1500' : '600'
const DIRECTORY = /^holdfast-test-(?<pid>\d+)-/

const log = openLog({ level: 'warn' })

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const prefix = `holdfast_test_${process.pid}_`
  const template = `${prefix}template`
  const configured = process.env['HOLDFAST_TEST_DATABASE_URL']
  const server = configured ? { url: configured, stop: async () => {} } : await startTestServer()
  const adminUrl = server.url

  const teardown = async () => {
    try {
      // A server of our own goes away whole.
      if (configured) await dropDatabases(adminUrl, prefix)
    } finally {
      await server.stop()
    }
  }

  try {
    await withAdmin(adminUrl, (admin) => admin.query(`create database ${template}`))
    await migrate({ url: withDatabase(adminUrl, template), log })
  } catch (error) {
    await teardown()
    throw error
  }
  project.provide('testDatabases', { adminUrl, template, prefix })
  return teardown
}

async function startTestServer(): Promise<{ url: string; stop(): Promise<void> }> {
  await removeLeftovers()
  const dataDir = mkdtempSync(join(tmpdir(), `holdfast-test-${process.pid}-`))
  try {
    // As root, PostgreSQL runs under another account, which has to get in here.
    chmodSync(dataDir, 0o711)
    const postgres = await startPostgres({ dataDir, log, durability: 'none', settings: { max_connections: MOST_CONNECTIONS, shared_buffers: '128MB' } })
    return {
      url: postgres.url,
      stop: async () => {
        await postgres.stop()
        rmSync(dataDir, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(dataDir, { recursive: true, force: true })
    throw error
  }
}

// A run that was killed could not clean up. Its server is taken over, only to be stopped.
async function removeLeftovers(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const pid = DIRECTORY.exec(name)?.groups?.['pid']
    if (pid === undefined || identifyProcess(Number(pid)) !== undefined) continue
    const dataDir = join(tmpdir(), name)
    try {
      const postgres = await startPostgres({ dataDir, log, durability: 'none' })
      await postgres.stop()
      rmSync(dataDir, { recursive: true, force: true })
    } catch (error) {
      log.warn({ err: error, dataDir }, 'what an earlier test run left behind could not be removed')
    }
  }
}

async function dropDatabases(adminUrl: string, prefix: string): Promise<void> {
  await withAdmin(adminUrl, async (admin) => {
    const { rows } = await admin.query<{ name: string }>('select datname as name from pg_database where starts_with(datname, $1) order by datname', [prefix])
    for (const { name } of rows) await admin.query(`drop database if exists ${name} with (force)`)
  })
}

async function withAdmin(url: string, work: (admin: pg.Client) => Promise<unknown>): Promise<void> {
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  try {
    await work(admin)
  } finally {
    await admin.end()
  }
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}

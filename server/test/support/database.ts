// A database of its own for each test that wants one: a copy of the template that has every migration.

import pg from 'pg'
import { inject } from 'vitest'
import type { TestDatabases } from './global-setup.ts'

export type FreshDatabase = { url: string; drop(): Promise<void> }

export function adminUrl(): string {
  return testDatabases().adminUrl
}

/** With all tables and no rows. Whoever asks for one drops it; what is forgotten goes at the end of the run. */
export function freshDatabase(): Promise<FreshDatabase> {
  return makeDatabase(testDatabases().template)
}

/** Without any tables. */
export function emptyDatabase(): Promise<FreshDatabase> {
  return makeDatabase('template0')
}

function testDatabases(): TestDatabases {
  return inject('testDatabases')
}

let made = 0

async function makeDatabase(template: string): Promise<FreshDatabase> {
  made += 1
  const name = `${testDatabases().prefix}${process.pid}_${made}`
  // Copying files takes 80 ms here, and writing the copy to the log, which is the default, 200 ms.
  await asAdmin(`create database ${name} template ${template} strategy file_copy`)

  const url = new URL(adminUrl())
  url.pathname = `/${name}`
  return { url: url.href, drop: () => asAdmin(`drop database if exists ${name} with (force)`) }
}

async function asAdmin(statement: string): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl() })
  await admin.connect()
  try {
    await admin.query(statement)
  } finally {
    await admin.end()
  }
}

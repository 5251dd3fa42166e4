import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { checkFolders, importsOf, violation } from '../../scripts/folders.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

test('every folder imports only what it may, and the check has read the files to know', () => {
  const { files, imports, violations } = checkFolders(root)
  expect(violations).toEqual([])
  expect(files).toBeGreaterThan(60)
  expect(imports).toBeGreaterThan(200)
})

test('nothing to read is a failure, not a success', () => {
  const empty = mkdtempSync(join(tmpdir(), 'holdfast-empty-'))
  onTestFinished(() => rmSync(empty, { recursive: true }))
  expect(checkFolders(empty).violations.length).toBeGreaterThan(0)
})

test.each([
  ['server/src/domain/hold.ts', "import { Pool } from 'pg'"],
  ['server/src/domain/hold.ts', "import { hash } from 'node:crypto'"],
  ['server/src/domain/hold.ts', "import { openPool } from '../storage/pool.ts'"],
  ['server/src/ledger/ledger.ts', "import type { Call } from '../services/service.ts'"],
  ['server/src/ledger/ledger.ts', "import pg from 'pg'"],
  ['server/src/gateway/route.ts', "import { holdHandlers } from '../services/inventory/holds.ts'"],
  ['server/src/gateway/route.ts', "import { openPool } from '../storage/pool.ts'"],
  ['server/src/services/timers/timers.ts', "import { relay } from '../relay/relay.ts'"],
  ['server/src/storage/holds.ts', "import { ledger } from '../ledger/ledger.ts'"],
  ['contract/src/holds.ts', "import { randomUUID } from 'node:crypto'"],
  ['sdk/src/client.ts', "import { operations } from '@holdfast/contract'"],
  ['cli/src/main.ts', "import { openPool } from '@holdfast/server/src/storage/pool.ts'"],
  ['bench/src/main.ts', "import { ledger } from '../../server/src/ledger/ledger.ts'"],
  ['server/src/domain/hold.ts', "const late = await import('../storage/pool.ts')"],
])('a forbidden import is caught: %s, %s', (file, source) => {
  const [found] = importsOf(source)
  expect(found && violation(file, found)).toContain(file)
})

test.each([
  ['server/src/domain/hold.ts', "import { reject } from './decision.ts'"],
  ['server/src/services/timers/timers.ts', "import type { Service } from '../service.ts'"],
  ['server/src/app.ts', "import { inventory } from './services/inventory/inventory.ts'"],
  ['sdk/src/client.ts', "import type { Operations } from '@holdfast/contract'"],
  ['server/src/domain/hold.test.ts', "import { expect, onTestFinished, test } from 'vitest'"],
  ['server/src/domain/hold.test.ts', "import { given } from '../../test/support/given.ts'"],
])('an allowed import is let through: %s, %s', (file, source) => {
  const [found] = importsOf(source)
  expect(found && violation(file, found)).toBeUndefined()
})

test.each(['domain', 'ledger'])('in %s nothing asks for the time or for chance: what it is given is all it knows', (folder) => {
  const place = mkdtempSync(join(tmpdir(), 'holdfast-pure-'))
  try {
    mkdirSync(join(place, 'server/src', folder), { recursive: true })
    copyFileSync(join(root, '.oxlintrc.json'), join(place, '.oxlintrc.json'))
    const file = join(place, 'server/src', folder, 'rule.ts')
    for (const wish of ['Date.now()', 'new Date()', 'Math.random()', 'crypto.randomUUID()', 'performance.now()', 'process.env']) {
      writeFileSync(file, `export const found = (): unknown => ${wish}\n`)
      const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/oxlint'), [], { cwd: place, encoding: 'utf8' })
      expect([wish, status]).toEqual([wish, 1])
      expect(stdout).toContain('no-restricted-')
    }
  } finally {
    rmSync(place, { recursive: true })
  }
})

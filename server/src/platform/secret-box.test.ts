// Secrets at rest: nobody reads them from the database alone, and nobody moves one to where it does not belong.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { keysIn, keysOfDirectory, secretBox } from './secret-box.ts'

const place = { table: 'webhook_endpoints', row: 'one' }
const secret = 'whsec_only-for-one'

test('what was sealed is opened where it stands, never looks the same twice, and does not show', () => {
  const box = secretBox([randomBytes(32)])
  const sealed = box.seal(secret, place)
  expect(box.open(sealed, place)).toBe(secret)
  expect(box.seal(secret, place)).not.toBe(sealed)
  expect(Buffer.from(sealed.split('.')[2] ?? '', 'base64url').includes('only-for-one')).toBe(false)
})

test('in another row, in another table, or changed by a letter, it does not open', () => {
  const box = secretBox([randomBytes(32)])
  const sealed = box.seal(secret, place)
  const changed = sealed.slice(0, -2) + (sealed.at(-2) === 'A' ? 'B' : 'A') + sealed.slice(-1)
  expect(() => box.open(sealed, { ...place, row: 'two' })).toThrow('authenticate')
  expect(() => box.open(sealed, { ...place, table: 'users' })).toThrow('authenticate')
  expect(() => box.open(changed, place)).toThrow('authenticate')
  expect(() => box.open(secret, place)).toThrow('sealed with the key')
})

test('a key is replaced by putting another one before it; without the old one, what it sealed stays shut', () => {
  const [old, fresh] = [randomBytes(32), randomBytes(32)]
  const before = secretBox([old]).seal(secret, place)
  const box = secretBox([fresh, old])
  expect(box.open(before, place)).toBe(secret)
  expect([box.isCurrent(before), box.isCurrent(box.seal(secret, place))]).toEqual([false, true])
  expect(secretBox([fresh]).open(box.seal(secret, place), place)).toBe(secret)
  expect(() => secretBox([fresh]).open(before, place)).toThrow('sealed with the key')
})

test('keys are 32 bytes in base 64, and nothing that only looks like it', () => {
  const key = randomBytes(32).toString('base64')
  expect(keysIn(key)).toHaveLength(1)
  expect(keysIn(`${key}, ${key}`)).toHaveLength(2)
  for (const wrong of ['', 'secret', `${key}x`, key.slice(4), `${key},`, key.replace(/^./, '!'), randomBytes(16).toString('base64')])
    expect(keysIn(wrong), wrong).toBeUndefined()
})

test('a directory gets a key of its own, which only its owner may read, and keeps it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-secret-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const [made] = keysOfDirectory(join(directory, 'data'))
  const path = join(directory, 'data', 'secret.key')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(keysOfDirectory(join(directory, 'data'))).toEqual([made])
  expect(readFileSync(path, 'utf8').trim()).toBe(made?.toString('base64'))
  writeFileSync(path, 'lost')
  expect(() => keysOfDirectory(join(directory, 'data'))).toThrow('32 bytes')
})

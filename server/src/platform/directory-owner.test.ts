import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { claimDirectory } from './directory-owner.ts'
import { identifyProcess } from './process.ts'

let directory: string
let file: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-owner-'))
  file = join(directory, 'holdfast.pid')
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('a directory has one owner at a time', async () => {
  const owner = await claimDirectory(directory)
  await expect(claimDirectory(directory)).rejects.toThrow(`Another Holdfast (process ${process.pid} on`)
  owner.release()

  const next = await claimDirectory(directory)
  next.release()
  expect(readdirSync(directory)).toEqual([])
})

test('of many who claim it at once, one gets it', async () => {
  const claims = await Promise.allSettled(Array.from({ length: 5 }, () => claimDirectory(directory)))
  const owners = claims.filter((claim) => claim.status === 'fulfilled')
  expect(owners).toHaveLength(1)
  owners[0]?.value.release()
})

test('an owner that crashed is no owner, even when its number belongs to another process now', async () => {
  const own = identifyProcess(process.pid)
  const { host } = await hostSeenBy(directory)
  writeFileSync(file, JSON.stringify({ ...own, startedAt: 'an earlier boot/17', host }))
  const owner = await claimDirectory(directory)
  owner.release()
})

test.each(['', '{', 'null', '{"pid":"1"}'])('a damaged file (%j) keeps nobody out', async (content) => {
  writeFileSync(file, content)
  const owner = await claimDirectory(directory)
  owner.release()
})

test('an owner in another container is believed as long as it keeps its file fresh', async () => {
  writeFileSync(file, JSON.stringify({ pid: 7, startedAt: 'x', host: 'another-container' }))
  const refresh = setInterval(() => utimesSync(file, new Date(), new Date()), 100)
  try {
    await expect(claimDirectory(directory)).rejects.toThrow('Another Holdfast (process 7 on another-container)')
  } finally {
    clearInterval(refresh)
  }
})

test('an owner in another container that fell silent is given up', async () => {
  writeFileSync(file, JSON.stringify({ pid: 7, startedAt: 'x', host: 'another-container' }))
  const owner = await claimDirectory(directory, { foreignOwnerGivenUpAfterMs: 1_500 })
  expect(readFileSync(file, 'utf8')).toContain(String(process.pid))
  owner.release()
})

async function hostSeenBy(place: string): Promise<{ host: string }> {
  const owner = await claimDirectory(place)
  // What claimDirectory has just written.
  const claim = JSON.parse(readFileSync(join(place, 'holdfast.pid'), 'utf8')) as { host: string }
  owner.release()
  return claim
}

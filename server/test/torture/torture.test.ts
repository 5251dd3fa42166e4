import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const program = fileURLToPath(new URL('main.ts', import.meta.url))

/** Most of it is the minute and a half that it is about; the rest is for a machine that is busy with other tests. */
const BOUND_MS = 420_000

const torture = async (...args: string[]) => {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [said, complaints] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { status: child.exitCode, said, complaints, pid: child.pid ?? 0 }
}

test('two servers, their database and all between them are broken for a while, and nothing is lost or promised twice', { timeout: BOUND_MS }, async () => {
  const { status, said, complaints, pid } = await torture('--profile', 'smoke')
  expect({ status, said, complaints }).toMatchObject({ status: 0, said: expect.stringContaining('nothing is wrong') })
  console.log(said)
  expect(
    readdirSync(tmpdir()).filter((name) => name.startsWith(`holdfast-torture-${pid}-`)),
    'directories that were left',
  ).toEqual([])
  expect(processesThatMention(`holdfast-torture-${pid}-`), 'processes that were left').toEqual([])
})

test('says how it is used, and what was wrong with how it was', async () => {
  expect(await torture('--help')).toMatchObject({ status: 0, said: expect.stringContaining('--profile NAME') })
  for (const wrong of [
    ['--seconds', 'many'],
    ['--rate', '0'],
    ['--topology', 'ring'],
    ['--faults', 'earthquake'],
    ['--mutant', 'ninja'],
    ['--profile', 'spa'],
  ]) {
    const { status, said, complaints } = await torture(...wrong)
    expect([wrong, status, said]).toEqual([wrong, 2, ''])
    expect(complaints).toContain('npm run torture -- [options]')
  }
})

/** By what they were started with, or where they keep things. */
const processesThatMention = (name: string): string[] =>
  readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) return []
    try {
      const all = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${entry}/${file}`, 'latin1')).join(' ')
      return all.includes(name) ? [`${entry}: ${all.slice(0, 200).replaceAll('\0', ' ')}`] : []
    } catch {
      return []
    }
  })

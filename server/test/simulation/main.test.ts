import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const program = fileURLToPath(new URL('main.ts', import.meta.url))
const simulate = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' })

test('says how it is used, and what was wrong with how it was', () => {
  expect(simulate('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--seeds N'), stderr: '' })
  for (const wrong of [['--seeds', 'many'], ['--seeds', '0'], ['--seed', '1.5'], ['--mutant', 'ninja'], ['--speed']]) {
    const { status, stdout, stderr } = simulate(...wrong)
    expect([wrong, status, stdout]).toEqual([wrong, 2, ''])
    expect(stderr).toContain('npm run simulate -- [options]')
    expect(stderr).not.toContain('    at ')
  }
})

test('tells what it has run, and that nothing was found', () => {
  expect(simulate('--seed', '7')).toMatchObject({ status: 0, stdout: expect.stringMatching(/1 histories from seed 7: .*\nNo violation\.\n$/) })
})

import { rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { mutants, plant } from './mutants.ts'

test.each(mutants)('the bug can still be planted: $name', (mutant) => {
  const root = plant(mutant)
  rmSync(root, { recursive: true })
  expect(mutant.patches.length).toBeGreaterThan(0)
})

import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Ten processes are started for each server. */
const isOfRoles = process.env['HOLDFAST_TEST_TOPOLOGY'] === 'roles'

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    // Servers and commands are started hundreds of times; what Node has compiled once it need not compile again.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url)) },
    globalSetup: ['server/test/support/global-setup.ts'],
    pool: 'forks',
    // More than there are cores: many tests wait for something most of the time.
    maxWorkers: isOfRoles ? 2 : 3,
    // Servers are started and stopped in some tests, on machines that may be busy with something else.
    testTimeout: isOfRoles ? 180_000 : 30_000,
    hookTimeout: isOfRoles ? 180_000 : 60_000,
    // A test that fails now and then has found something.
    retry: 0,
  },
})

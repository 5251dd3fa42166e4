// A PostgreSQL of a test's own, that can be killed and hung without anybody else noticing.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { openLog } from '../../src/platform/log.ts'
import { processesIn, workingDirectory } from '../../src/platform/process.ts'

export type TestPostgres = {
  readonly url: string
  /** As a crash does: connections break, and nobody listens any more. */
  kill(): Promise<void>
  /** Starts it again, where it was. */
  start(): Promise<void>
  /** It hangs: connections stay open, and nothing is answered. */
  pause(): void
  resume(): void
}

export const ownPostgres = async (): Promise<TestPostgres> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'))
  // As root, PostgreSQL runs under another account, which has to get in here.
  chmodSync(dataDir, 0o711)
  const start = () => startPostgres({ dataDir, log: openLog({ level: 'silent' }), durability: 'none' })
  let postgres = await start()
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    const directory = workingDirectory(postgres.processId() ?? 0)
    if (directory !== undefined) for (const pid of processesIn(directory, 'postgres')) process.kill(pid, name)
  }
  afterAll(async () => {
    signal('SIGCONT')
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  return {
    url: postgres.url,
    kill: async () => {
      postgres.kill()
      await postgres.stop()
    },
    start: async () => void (postgres = await start()),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
  }
}

// A port that nobody listens on, for programs that must be told theirs.
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below those that the system gives to connections: one of these would be taken again before the program has come to listen on it.
 * Each worker of the tests has a part of its own, and gives no port twice.
 */
const FIRST = 15_000
const PARTS = 8
const IN_PART = 2_000
const first = FIRST + (Number(process.env['VITEST_POOL_ID'] ?? 0) % PARTS) * IN_PART
let given = Math.floor(Math.random() * IN_PART)

export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = first + (given % IN_PART)
    given += 1
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch {
      continue
    }
    server.close()
    await once(server, 'close')
    return port
  }
}

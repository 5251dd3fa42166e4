// A port that nobody listens on, for programs that must be told theirs.
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below those that the system gives to connections: one of these would be taken again before the program has come to listen on it. */
const PORTS = { from: 15_000, to: 32_000 }

export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from))
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

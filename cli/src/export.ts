// A whole list, as it comes, to stdout, and no faster than whoever reads there takes it.
import { once } from 'node:events'
import { createProgress } from './progress.ts'

export async function printExport(bytes: AsyncIterable<Uint8Array>): Promise<void> {
  // On one screen with the rows, a line of progress would be drawn into them.
  const screen = process.stdout.isTTY ? { write: () => true } : process.stderr
  const progress = createProgress({ screen, what: 'lines', nowMs: () => performance.now() })
  let lines = 0
  try {
    for await (const some of bytes) {
      for (const byte of some) if (byte === LINE_FEED) lines += 1
      if (!process.stdout.write(some)) await once(process.stdout, 'drain')
      progress.draw({ done: lines })
    }
  } finally {
    progress.clear()
  }
}

const LINE_FEED = 10

import { describe, expect, test } from 'vitest'
import { lifecycle } from './lifecycle.ts'

const noted = () => {
  const lines: string[] = []
  const note = (...args: unknown[]) => void lines.push(String(args.at(-1)))
  return { lines, log: { info: note, warn: note, error: note } }
}

describe('stopping', () => {
  test('what was started last is stopped first, one after the other', async () => {
    const { log } = noted()
    const stopped: string[] = []
    const parts = lifecycle({ log })
    for (const name of ['database', 'ledger', 'gateway']) {
      parts.started({
        name,
        stopMs: 1_000,
        stop: async () => {
          await Promise.resolve()
          stopped.push(name)
        },
      })
    }
    expect(await parts.stop()).toBe(true)
    expect(stopped).toEqual(['gateway', 'ledger', 'database'])
  })

  test('a part that hangs or fails does not keep the others from stopping', async () => {
    const { log, lines } = noted()
    const stopped: string[] = []
    const parts = lifecycle({ log })
    parts.started({ name: 'database', stopMs: 1_000, stop: () => void stopped.push('database') })
    parts.started({ name: 'broken', stopMs: 1_000, stop: () => Promise.reject(new Error('no')) })
    parts.started({ name: 'hanging', stopMs: 10, stop: () => new Promise(() => undefined) })
    expect(await parts.stop()).toBe(false)
    expect(stopped).toEqual(['database'])
    expect(lines).toEqual(['did not stop in its time and is left behind', 'failed while it was stopped'])
  })

  test('asked twice, it stops once', async () => {
    const { log } = noted()
    let times = 0
    const parts = lifecycle({ log })
    parts.started({ name: 'one', stopMs: 1_000, stop: () => void (times += 1) })
    await Promise.all([parts.stop(), parts.stop()])
    expect(times).toBe(1)
  })
})

// Verifying reads all there is. However often it fails, and whoever asks for it, it takes no more than its share of the time.
import { expect, onTestFinished, test, vi } from 'vitest'
import { freshDatabase } from '../../../test/support/database.ts'
import { until } from '../../../test/support/until.ts'
import { openPool } from '../../storage/pool.ts'
import { anyone } from '../service.ts'
import { ledgerLook } from './looks.ts'
import { verifier } from './verification.ts'

const HOUR_MS = 3_600_000

/** With a clock that goes on when it is looked at, and when the test says so: it takes a while to verify, and not to wait. */
const started = async () => {
  const { url, drop } = await freshDatabase()
  const open = (size: number) => openPool({ url, size, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000, applicationName: 'books', onBroken: () => undefined })
  const [pool, verifyPool] = [open(3), open(2)]
  let at = Date.now()
  const now = () => (at += 1)
  const faults: unknown[] = []
  const asked = vi.spyOn(pool, 'query')
  const look = ledgerLook(pool, { now, dueMs: () => 2 * HOUR_MS })
  const verifies = verifier({
    pool,
    verifyPool,
    limits: { everyMs: HOUR_MS, share: 0.000_01, waitMs: 10_000, pollMs: 5 },
    now,
    onFault: (error) => faults.push(error),
    onVerified: () => undefined,
  })
  onTestFinished(async () => {
    await verifies.stop()
    await Promise.all([pool.end(), verifyPool.end()])
    await drop()
  })
  return {
    ...verifies,
    faults,
    goOn: (ms: number) => void (at += ms),
    /** The books cannot be read, and can again. */
    hide: () => pool.query('alter table ledger_entries rename to hidden'),
    show: () => pool.query('alter table hidden rename to ledger_entries'),
    ask: () => verifies.handlers.verify({ params: {}, query: {}, body: {} }, { caller: anyone, origin: { address: '', userAgent: null }, requestId: 'test' }),
    ledger: () => look.ask(AbortSignal.timeout(5_000)),
    /** It has been looked several times whether a verification is due. */
    isLookedAt: () => {
      const before = asked.mock.calls.length
      return until('it was looked several times', () => asked.mock.calls.length >= before + 5)
    },
  }
}

test('one that failed is not begun again before its time, and the role says that it failed', async () => {
  const { start, hide, show, goOn, failing, faults, isLookedAt, ledger } = await started()
  await hide()
  expect(await ledger()).toEqual({ state: 'up', why: null })

  goOn(2 * HOUR_MS)
  start()
  await until('it has failed', () => faults.length > 0)
  await isLookedAt()

  expect(faults).toHaveLength(1)
  expect(failing()).toContain('ledger_entries')
  expect(await ledger()).toEqual({ state: 'degraded', why: expect.stringMatching(/^the books have not been verified since \d{4}-/) })

  await show()
  goOn(1_000 * HOUR_MS)
  await until('it is verified', () => failing() === null)
  expect(faults).toHaveLength(1)
})

test('whoever asks again and again is answered the last one, and refused when that one failed', async () => {
  const { ask, hide, show, goOn, faults } = await started()
  const answered = await ask()
  expect(answered).toMatchObject({ ok: true, body: { state: 'verified' } })

  await hide()
  expect(await ask()).toEqual(answered)
  goOn(1_000 * HOUR_MS)
  await expect(ask()).rejects.toThrow('ledger_entries')
  for (let n = 0; n < 3; n += 1) expect(await ask()).toMatchObject({ ok: false, refusal: { code: 'overloaded', retryAfterSeconds: expect.any(Number) } })
  expect(faults).toHaveLength(1)

  await show()
  goOn(1_000 * HOUR_MS)
  expect(await ask()).toMatchObject({ ok: true, body: { state: 'verified' } })
})

// Verifying the books now and then, and when somebody asks. One process at a time: it reads everything there is.
import { setTimeout as sleep } from 'node:timers/promises'
import type { OutputOf, Operations } from '@holdfast/contract'
import { verify } from '../../ledger/verify.ts'
import { messageOf } from '../../platform/error.ts'
import { loop, type Loop } from '../../platform/loop.ts'
import { leader } from '../../storage/leader.ts'
import type { Pool } from '../../storage/pool.ts'
import { Refused, guarded, iso } from '../answer.ts'
import type { Handlers } from '../service.ts'
import { lastVerification, recordVerification, type Verification } from './store.ts'

export type VerificationLimits = {
  readonly everyMs: number
  /** Of the time, spent on it. */
  readonly share: number
  readonly waitMs: number
  readonly pollMs: number
}

export type VerificationDeps = {
  /** For what is quick. */
  readonly pool: Pool
  /** For what takes long. */
  readonly verifyPool: Pool
  readonly limits: VerificationLimits
  readonly now: () => number
  readonly onFault: (error: unknown) => void
  readonly onVerified: (verification: Verification) => void
}

export type Verifier = Pick<Loop, 'start' | 'failing'> & { readonly handlers: Handlers['integrity']; stop(): Promise<void> }

/** From one verification to the next, by how long one takes. */
export const waitAfter = (tookMs: number, { everyMs, share }: Pick<VerificationLimits, 'everyMs' | 'share'>): number => Math.max(everyMs, tookMs / share)

export const verifier = ({ pool, verifyPool, limits, now, onFault, onVerified }: VerificationDeps): Verifier => {
  const leadership = leader(pool, 'verification')
  const stopped = new AbortController()
  let underWay: Promise<Verification | undefined> | undefined
  /** The last attempt of this process, when it came to nothing: it has read as much as one that did. */
  let failed: { readonly at: number; readonly tookMs: number; readonly why: string } | undefined
  /** Where there was none yet, the first comes as if there had been one at the start. */
  const startedAt = now()

  /** Nothing when another process is at it. */
  const verifyNow = (): Promise<Verification | undefined> => (underWay ??= run().finally(() => (underWay = undefined)))
  const run = async (): Promise<Verification | undefined> => {
    if ((await leadership.term()) === undefined) return undefined
    const from = now()
    try {
      const found = await verify(verifyPool, undefined, stopped.signal)
      const verification = await recordVerification(pool, found, now() - from, tellingOf)
      onVerified(verification)
      failed = undefined
      return verification
    } catch (error) {
      failed = { at: now(), tookMs: now() - from, why: messageOf(error) }
      throw error
    } finally {
      await leadership.resign()
    }
  }

  /** The last one that was finished, by any process. One that failed before it is forgotten. */
  const lastFinished = async (): Promise<Verification | undefined> => {
    const last = await lastVerification(pool)
    if (last !== undefined && failed !== undefined && last.verifiedAt > failed.at) failed = undefined
    return last
  }

  const running = loop({
    step: async () => {
      const last = await lastFinished()
      const dueAt = Math.max(
        (last?.verifiedAt ?? startedAt) + waitAfter(last?.durationMs ?? 0, limits),
        failed === undefined ? 0 : failed.at + waitAfter(failed.tookMs, limits),
      )
      if (now() >= dueAt) await verifyNow()
      return limits.pollMs
    },
    // At the stop it is given up, which is no fault.
    onFault: (error) => void (stopped.signal.aborted || onFault(error)),
    afterFaultMs: limits.pollMs,
  })

  /** Whoever asks again and again is answered the last one, until its share of the time is over. Refuses when that one failed. */
  const whatRests = async (): Promise<Verification | undefined> => {
    const last = await lastFinished()
    const lateMs = failed === undefined ? 0 : failed.at + failed.tookMs / limits.share - now()
    if (lateMs > 0)
      throw new Refused('overloaded', 'the books could not be verified a moment ago, and it takes too long to be tried again at once', {
        retryAfterSeconds: Math.ceil(lateMs / 1_000),
      })
    return last !== undefined && now() < last.verifiedAt + last.durationMs / limits.share ? last : undefined
  }

  return {
    handlers: guarded({
      get: async () => ({ ok: true, body: render(await lastVerification(pool)) }),
      verify: async () => {
        const rested = underWay === undefined ? await whatRests() : undefined
        if (rested !== undefined) return { ok: true, body: render(rested) }
        const late = new AbortController()
        const verifying = verifyNow()
        // Whoever asked may be gone by the time that it fails.
        verifying.catch(onFault)
        const waited = sleep(limits.waitMs, 'late' as const, { signal: late.signal }).catch(() => 'late' as const)
        const found = await Promise.race([verifying, waited]).finally(() => late.abort())
        if (found === undefined || found === 'late')
          throw new Refused('overloaded', 'the books are being verified, which takes a while; GET /v1/integrity tells what was found when it is done', {
            retryAfterSeconds: Math.ceil(limits.waitMs / 1_000),
          })
        return { ok: true, body: render(found) }
      },
    }),
    start: running.start,
    failing: () => running.failing() ?? failed?.why ?? null,
    stop: async () => {
      stopped.abort()
      await running.stop()
      await underWay?.catch(() => undefined)
    },
  }
}

type WireIntegrity = OutputOf<Operations['integrity']['get']>

const tellingOf = (verification: Verification) => ({
  type: verification.violations.length === 0 ? 'integrity.verified' : 'integrity.violated',
  data: render(verification),
})

const render = (last: Verification | undefined): WireIntegrity => ({
  object: 'integrity',
  state: last === undefined ? 'not_verified' : last.violations.length === 0 ? 'verified' : 'violated',
  verified_at: last === undefined ? null : iso(last.verifiedAt),
  sequence: last?.sequence ?? null,
  duration_ms: last?.durationMs ?? null,
  levels: last?.levels ?? 0,
  entries: last?.entries ?? 0,
  holds: last?.holds ?? 0,
  violations: [...(last?.violations ?? [])],
})

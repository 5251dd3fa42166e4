// When a delivery that failed is tried again.
import type { WebhookLimits } from '../../platform/limits.ts'

type Waits = Pick<WebhookLimits, 'waitsMs' | 'jitter' | 'longestRetryAfterMs'>

/**
 * How long to wait after this many failures; nothing when it was the last attempt.
 * @param retryAfterMs  what the receiver asked for: it may ask for longer, up to a bound, not for sooner
 * @param chance  from 0 up to but not 1
 */
export const nextWaitMs = (
  { failures, retryAfterMs, chance }: { readonly failures: number; readonly retryAfterMs: number | null; readonly chance: number },
  { waitsMs, jitter, longestRetryAfterMs }: Waits,
): number | null => {
  const wait = waitsMs[failures]
  if (wait === undefined) return null
  const jittered = wait * (1 - jitter + 2 * jitter * chance)
  return Math.round(Math.max(jittered, Math.min(retryAfterMs ?? 0, longestRetryAfterMs)))
}

/** `Retry-After`, in seconds or as a date. Nothing when it is neither. */
export const retryAfterMsOf = (header: string | undefined, nowMs: number): number | null => {
  if (header === undefined) return null
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000
  const at = Date.parse(header)
  return Number.isNaN(at) || !/[a-z]/i.test(header) ? null : Math.max(0, at - nowMs)
}

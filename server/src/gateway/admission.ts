// How many requests are taken at a time. When they wait for each other, only as many as are answered in good time; the rest is told so
// at once, which costs a tenth of an answer, and comes back later. Otherwise more is taken than can be answered, and all of it too late.
import type { GatewayLimits } from '../platform/limits.ts'

export type AdmissionLimits = Pick<GatewayLimits, 'inFlight' | 'lateMs' | 'inFlightWhenLate' | 'loopLagMs'>

export type Admission = {
  isFull(): boolean
  inFlight(): number
  /** The most that are taken now. */
  most(): number
  began(): void
  ended(tookMs: number): void
  /** Looks at how it goes; called again and again. */
  look(at: { readonly sinceMs: number; readonly loopLagMs: number }): void
}

export const admission = (limits: AdmissionLimits): Admission => {
  let inFlight = 0
  let most = limits.inFlight
  /** Averages of what was answered lately. */
  let tookMs = 0
  let perSecond = 0
  let answered = 0

  return {
    isFull: () => inFlight >= most,
    inFlight: () => inFlight,
    most: () => most,
    began: () => void (inFlight += 1),
    ended: (ms) => {
      inFlight -= 1
      answered += 1
      tookMs += (ms - tookMs) * NEWEST_REQUEST
    },
    look: ({ sinceMs, loopLagMs }) => {
      perSecond += ((answered * 1_000) / Math.max(1, sinceMs) - perSecond) * NEWEST_LOOK
      if (answered === 0) tookMs *= FORGOTTEN
      answered = 0
      const isLate = tookMs > limits.lateMs || loopLagMs > limits.loopLagMs
      // As many as are answered in the time that one may take. Back to more in small steps: in one, all who were refused would be in at once.
      const inTime = Math.max(limits.inFlightWhenLate, (perSecond * limits.lateMs) / 1_000)
      most = isLate ? Math.min(most, inTime) : Math.min(limits.inFlight, most * MORE)
    },
  }
}

/** Of one request in the average: the last fifty or so count. */
const NEWEST_REQUEST = 0.02
const NEWEST_LOOK = 0.3
const FORGOTTEN = 0.9
/** With a look each 50 ms, from the least to the most in five seconds. */
const MORE = 1.02

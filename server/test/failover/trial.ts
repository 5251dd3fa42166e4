// One failover under load: the primary is killed, another server takes its place, and what was told before is asked for again.
import { until } from '../support/until.ts'
import { lostOf, miscountOf, startLoad, type Told } from './load.ts'
import { verify } from './program.ts'

export type Trial = {
  /** From the kill to the first write that was acknowledged by the new primary. */
  readonly outageSeconds: number
  readonly toldBefore: number
  readonly toldAfter: number
  /** Answers that settled nothing (503), after which the caller asked again; and the longest that one of them was at it. */
  readonly unsettled: number
  readonly longestWaitSeconds: number
  readonly lost: readonly string[]
  readonly violations: readonly unknown[]
}

export type TrialOf = {
  /** The program's. It is not restarted. */
  readonly url: string
  readonly databaseUrl: string
  readonly buyers: number
  /** How much is told before the kill, and how much after the first write that follows it. */
  readonly atLeast: number
  /** All that this program told in failovers before, and then in this one. */
  readonly ever: Told[]
  kill(): Promise<void>
  /** Another server becomes the primary, and what was killed its standby. */
  recover(): Promise<void>
}

/** @param name  of this one: its keys are its own */
export const failOver = async (name: string, { url, databaseUrl, buyers, atLeast, ever, kill, recover }: TrialOf): Promise<Trial> => {
  const load = startLoad(url, { buyers, name })
  await until(`${atLeast} requests are answered`, () => load.told.length >= atLeast, { withinMs: 60_000 })
  const before = load.told.length
  await kill()
  const killedAt = performance.now()
  await recover()
  // Answers that were on their way when it was killed do not count: who is told must have begun to ask after that.
  const isAfter = (one: Told) => one.askedAt > killedAt
  await until('writes go on', () => load.told.filter(isAfter).length >= atLeast, { withinMs: 120_000 })
  await load.stop()
  ever.push(...load.told)
  const first = load.told.find(isAfter)
  return {
    outageSeconds: ((first?.toldAt ?? Infinity) - killedAt) / 1000,
    toldBefore: before,
    toldAfter: load.told.length - before,
    unsettled: load.unsettled.times,
    longestWaitSeconds: Math.max(...load.told.map((one) => one.toldAt - one.askedAt)) / 1000,
    lost: [...(await lostOf(url, load.told)), ...(await miscountOf(url, ever))],
    violations: await verify(databaseUrl),
  }
}

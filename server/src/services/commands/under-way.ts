// How long commands have been worked on. Whoever takes messages and finishes none is not well, whatever it is that holds them up.
import type { Delivery } from '../../messaging/rabbit-commands.ts'
import type { PartState } from '../service.ts'

export type UnderWayLimits = {
  /** Places: commands that are worked on at a time. */
  readonly commandsAtOnce: number
  readonly stuck: {
    /** All places are taken, and none has become free for so long. */
    readonly fullMs: number
    /** One command takes longer than any should. */
    readonly longestMs: number
  }
}

export type UnderWay = {
  /** The same work, looked at. */
  watched(handle: (delivery: Delivery) => Promise<void>): (delivery: Delivery) => Promise<void>
  state(): PartState
}

export const underWay = ({ commandsAtOnce, stuck }: UnderWayLimits): UnderWay => {
  /** Since when, the oldest first. */
  const begun = new Map<Delivery, number>()
  /** What was given back is somebody else's. */
  const forget = () => {
    for (const delivery of begun.keys()) if (delivery.over.aborted) begun.delete(delivery)
  }
  return {
    watched: (handle) => async (delivery) => {
      forget()
      // What failed is tried again, and was begun when it was tried first.
      if (!begun.has(delivery)) begun.set(delivery, performance.now())
      await handle(delivery)
      begun.delete(delivery)
    },
    state: () => {
      forget()
      const ages = Array.from(begun.values(), (since) => performance.now() - since)
      const [oldest = 0, youngest = 0] = [ages[0], ages.at(-1)]
      if (ages.length >= commandsAtOnce && youngest > stuck.fullMs)
        return { state: 'degraded', why: `all ${ages.length} places have been taken for ${seconds(youngest)} s, and nothing was finished` }
      if (oldest > stuck.longestMs) return { state: 'degraded', why: `a command has been worked on for ${seconds(oldest)} s` }
      return { state: 'up', why: null }
    },
  }
}

const seconds = (ms: number): number => Math.floor(ms / 1_000)

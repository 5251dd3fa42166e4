// A replay leaves its mark on the locations it fills: which file, which opening stock, begun and finished when. So the next
// replay knows whether to begin, to go on, or only to look; and two different replays never mix their stock.
import { type Holdfast, isRefusal, type Location } from '@holdfast/sdk'
import { levelKey, type LocationCode, type Plan } from './plan.ts'

/** The replay cannot go on, and its message says to a person why not. */
export class ReplayError extends Error {
  override readonly name = 'ReplayError'
}

export type Standing =
  | { readonly status: 'new' }
  | { readonly status: 'unfinished'; readonly begunAt: Date }
  | { readonly status: 'finished'; readonly begunAt: Date; readonly finishedAt: Date }

/** How far this file stands on this server. Refuses where the stock would mix with other stock. Changes nothing. */
export const readStanding = async (stock: Holdfast, plan: Plan): Promise<Standing> => {
  const marks: (Mark | undefined)[] = []
  for (const code of plan.locations) {
    const location = await existingLocation(stock, code)
    const mark = location && markOf(location)
    if (mark !== undefined && (mark.file !== plan.fingerprint || mark.opening !== plan.opening)) {
      const other = mark.file === plan.fingerprint ? `this file with ${mark.opening} opening stock` : 'another file'
      throw new ReplayError(`${code} holds the replay of ${other}, begun at ${mark.begunAt.toISOString()}; replay this one into a server of its own`)
    }
    if (location !== undefined && mark === undefined) await refuseStock(stock, plan, code)
    marks.push(mark)
  }

  const made = marks.filter((mark) => mark !== undefined)
  if (made.length === 0) return { status: 'new' }
  const begunAt = new Date(Math.min(...made.map((mark) => mark.begunAt.getTime())))
  const ends = marks.map((mark) => mark?.finishedAt)
  // A location without an end is a replay that was stopped, wherever it was.
  if (ends.includes(undefined)) return { status: 'unfinished', begunAt }
  return { status: 'finished', begunAt, finishedAt: new Date(Math.max(...ends.map((end) => end?.getTime() ?? 0))) }
}

/** Makes the locations that are not there yet, marks all of them as begun, and answers how many it made. */
export const begin = async (stock: Holdfast, plan: Plan, { begunAt }: { begunAt: Date }): Promise<number> => {
  const mark = { [names.file]: plan.fingerprint, [names.opening]: plan.opening, [names.begunAt]: begunAt.toISOString() }
  let made = 0
  for (const [index, code] of plan.locations.entries()) {
    const location = await existingLocation(stock, code)
    if (location === undefined) {
      await stock.locations.create(
        { code, ...places[code], kind: 'warehouse', priority: index + 1, metadata: mark },
        { idempotencyKey: `online-retail/location/${code}` },
      )
      made += 1
    } else if (markOf(location) === undefined) {
      // What the shop has noted there stays: metadata is replaced as a whole.
      await stock.locations.update(code, { metadata: { ...location.metadata, ...mark } })
    }
  }
  return made
}

/** Marks the replay as finished: everything was sent, and nothing of it may be sent again. */
export const finish = async (stock: Holdfast, plan: Plan, { finishedAt }: { finishedAt: Date }): Promise<void> => {
  for (const code of plan.locations) {
    const { metadata } = await stock.locations.get(code)
    await stock.locations.update(code, { metadata: { ...metadata, [names.finishedAt]: finishedAt.toISOString() } })
  }
}

type Mark = { readonly file: string; readonly opening: string; readonly begunAt: Date; readonly finishedAt: Date | undefined }

const names = { file: 'replay_file', opening: 'replay_opening', begunAt: 'replay_begun_at', finishedAt: 'replay_finished_at' } as const

const places: Readonly<Record<LocationCode, { readonly name: string; readonly latitude: number; readonly longitude: number }>> = {
  LON: { name: 'London', latitude: 51.51, longitude: -0.13 },
  DUB: { name: 'Dublin', latitude: 53.35, longitude: -6.26 },
  HAM: { name: 'Hamburg', latitude: 53.55, longitude: 9.99 },
  LIL: { name: 'Lille', latitude: 50.63, longitude: 3.06 },
  RTM: { name: 'Rotterdam', latitude: 51.92, longitude: 4.48 },
}

const markOf = ({ metadata }: Location): Mark | undefined => {
  const { [names.file]: file, [names.opening]: opening, [names.begunAt]: begunAt, [names.finishedAt]: finishedAt } = metadata
  if (file === undefined || opening === undefined || begunAt === undefined) return undefined
  return { file, opening, begunAt: new Date(begunAt), finishedAt: finishedAt === undefined ? undefined : new Date(finishedAt) }
}

const existingLocation = async (stock: Holdfast, code: LocationCode): Promise<Location | undefined> => {
  try {
    return await stock.locations.get(code)
  } catch (error) {
    if (isRefusal(error, 'not_found')) return undefined
    throw error
  }
}

/** A location that someone else has made may be used, but not the stock in it: what is on hand in the end could not be told. */
const refuseStock = async (stock: Holdfast, plan: Plan, location: LocationCode): Promise<void> => {
  for await (const { sku, onHand } of stock.stockLevels.list({ location, limit: 100 })) {
    if (onHand > 0 && plan.movements.has(levelKey(sku, location))) {
      throw new ReplayError(`${location} has ${onHand} of ${sku} already, from elsewhere; replay this file into a server of its own`)
    }
  }
}

// Events: the list, one, and the stream. All three read the ledger's own order, so no reader ever sees a gap.
import type { WrittenEvent } from '../../domain/event.ts'
import { eventsAfter, eventsBefore, getEvent, headSequence } from '../../storage/events.ts'
import { eventUuid, sequenceOf } from '../../domain/ids.ts'
import { Refused, cursorId, namedId, pageOf } from '../answer.ts'
import type { Call, Handlers } from '../service.ts'
import { named } from './catalog.ts'
import type { InventoryDeps } from './inventory.ts'
import { isOfStock, itemsOfEvent, renderEvent, type WireEvent } from './render.ts'

export const eventHandlers = ({ catalog, pool, wait }: InventoryDeps): Handlers['events'] => {
  const render = async (events: readonly WrittenEvent[]): Promise<WireEvent[]> => {
    await catalog.remember(events.flatMap(({ data }) => (isOfStock(data) ? itemsOfEvent(data) : [])))
    return named(catalog, () => events.map((event) => renderEvent(event, catalog)))
  }
  const typesOf = (type: string | readonly string[] | undefined): readonly string[] | null =>
    type === undefined ? null : typeof type === 'string' ? [type] : type

  /** Every event after a sequence, and then each as it happens, until the caller goes away. */
  async function* follow(after: number, types: readonly string[] | null, { signal }: Call): AsyncGenerator<WireEvent> {
    let told = after
    while (signal?.aborted !== true) {
      const head = await headSequence(pool)
      const events = await eventsAfter(pool, { after: told, upTo: head, types, limit: STREAM_PAGE })
      yield* await render(events)
      const full = events.length === STREAM_PAGE
      told = full ? (events.at(-1)?.sequence ?? told) : Math.max(told, head)
      if (!full) await wait(STREAM_POLL_MS)
    }
  }

  return {
    list: ({ query }) => {
      const { type, after_sequence: afterSequence, starting_after: cursor } = query
      const types = typesOf(type)
      const place = cursor === undefined ? null : sequenceOf(cursorId('event', cursor))
      return pageOf(query, {
        read: async (limit) =>
          render(
            afterSequence === undefined
              ? await eventsBefore(pool, { before: place, types, limit })
              : await eventsAfter(pool, { after: Math.max(afterSequence, place ?? 0), upTo: null, types, limit }),
          ),
        render: (event) => event,
        cursorOf: (event) => event.id,
      })
    },
    get: async ({ params }) => {
      const uuid = namedId('event', params.id)
      const event = await getEvent(pool, sequenceOf(uuid))
      if (event === undefined || eventUuid(event.occurredAt, 0, event.sequence) !== uuid) throw new Refused('not_found', `there is no event ${params.id}`)
      const [rendered] = await render([event])
      if (rendered === undefined) throw new Error(`event ${event.sequence} was not rendered`)
      return { ok: true, body: rendered, sequence: event.sequence }
    },
    stream: async ({ query }, call) => ({ ok: true, body: follow(query.after_sequence ?? (await headSequence(pool)), typesOf(query.type), call) }),
  }
}

const STREAM_PAGE = 100
const STREAM_POLL_MS = 200

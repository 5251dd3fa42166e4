// Events as /v1/events shows them, asked for by operation: how an event is shown is not ours to know.
import { operations, type Operation, type OutputOf, type Operations } from '@holdfast/contract'
import { encodeId, sequenceOf, type Uuid } from '../../domain/ids.ts'
import type { Answer, Call } from '../service.ts'

export type Dispatch = (operation: Operation, input: unknown, call: Call) => Promise<Answer<unknown>>
export type ShownEvent = OutputOf<Operations['events']['get']>
export type Wanted = { readonly event: Uuid; readonly eventType: string }

/** The most that one page of the list has. */
const PAGE = 100

/** The events with these ids. What is not in the answer is not there. */
export const eventReader =
  (dispatch: Dispatch) =>
  async (wanted: readonly Wanted[]): Promise<ReadonlyMap<Uuid, ShownEvent>> => {
    const found = new Map<Uuid, ShownEvent>()
    const types = [...new Set(wanted.map(({ eventType }) => eventType))]
    const ids = [...new Map(wanted.map(({ event }) => [sequenceOf(event), event]))].toSorted(([a], [b]) => a - b)
    // Those that stand together are read together. A page begins where the first one is that is still missing.
    for (let next = 0; next < ids.length;) {
      const [first] = ids[next] ?? [0]
      const last = ids.at(-1)?.[0] ?? first
      const page = await list(dispatch, { type: types, after_sequence: first - 1, limit: Math.min(PAGE, last - first + 1, 2 * (ids.length - next)) })
      const bySequence = new Map(page.map((event) => [event.sequence, event]))
      const read = page.at(-1)?.sequence ?? first
      for (let one = ids[next]; one !== undefined && one[0] <= Math.max(read, first); one = ids[next]) {
        const [sequence, id] = one
        const event = bySequence.get(sequence)
        if (event?.id === encodeId('event', id)) found.set(id, event)
        next += 1
      }
    }
    return found
  }

const list = async (dispatch: Dispatch, query: object): Promise<readonly ShownEvent[]> => {
  const answer = await dispatch(operations.events.list, { params: {}, query, body: undefined }, asOurselves)
  if (!answer.ok) throw new Error(`events could not be read: ${answer.refusal.detail}`)
  return (answer.body as OutputOf<Operations['events']['list']>).data // what that operation answers
}

const asOurselves: Call = {
  caller: { principal: 'system', scopes: new Set(['audit:read']), locations: null },
  origin: { address: '127.0.0.1', userAgent: null },
  requestId: 'webhooks',
}

import type { WrittenEvent } from '../../src/domain/event.ts'

/** Something that happened, for tests that only tell one event from another. */
export const anEvent = (sequence: number): WrittenEvent => ({
  sequence,
  type: 'item.created',
  subject: { kind: 'item', id: 'TEA-1', version: 1 },
  actor: 'key_shop',
  requestId: 'req_test',
  data: {},
  occurredAt: 0,
})

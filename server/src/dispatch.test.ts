import { operations } from '@holdfast/contract'
import { expect, test } from 'vitest'
import { dispatcher } from './dispatch.ts'
import { anyone, type Service } from './services/service.ts'

const call = { caller: anyone, origin: { address: '127.0.0.1', userAgent: null }, requestId: 'req_1' }
const idle = { start: async () => undefined, stop: async () => undefined }

test('an operation goes to the service that answers it', async () => {
  const service: Service = {
    name: 'inventory',
    ...idle,
    handlers: { items: { list: async () => ({ ok: true, body: { object: 'list', data: [], has_more: false, next_cursor: null } }) } as never },
  } // one handler of the many
  expect(await dispatcher({ services: [service] }).dispatch(operations.items.list, { params: {}, query: {}, body: undefined }, call)).toMatchObject({
    ok: true,
  })
})

test('an operation that nobody answers is not available', async () => {
  expect(await dispatcher({ services: [] }).dispatch(operations.items.list, {}, call)).toMatchObject({ ok: false, refusal: { code: 'unavailable' } })
})

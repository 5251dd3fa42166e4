import { operations, type Operation } from '@holdfast/contract'
import { expect, test } from 'vitest'
import { deferral, type Input } from './deferral.ts'
import { anyone, type Call } from './services/service.ts'

const { receipts, adjustments, holds, transfers } = operations
const call: Call = {
  caller: { ...anyone, principal: 'key_wms' },
  origin: { address: '127.0.0.1', userAgent: null },
  requestId: 'req_1',
  idempotencyKey: 'pallet-7',
}
const received = { params: {}, query: {}, body: { location: 'LON', lines: [{ sku: 'TEA', quantity: 5 }] } }

test('what has arrived is kept under its key, with whoever told it', async () => {
  const { defer, kept } = keeping()

  expect(await defer(receipts.create, received, call)).toMatchObject({ object: 'accepted', operation: 'receipts.create', idempotency_key: 'pallet-7' })
  expect(kept).toEqual([{ operation: 'receipts.create', input: received, idempotencyKey: 'pallet-7', caller: call.caller }])
})

test('what has to be decided is never kept: a hold, a transfer, a try, and what names the version it must find', async () => {
  const { defer, kept } = keeping()
  const adjustment = { params: {}, query: {}, body: { location: 'LON', lines: [{ sku: 'TEA', delta: -1 }], reason: 'lost' } }
  const refused: [Operation, Input, Call][] = [
    [holds.place, { params: {}, query: {}, body: { lines: [{ sku: 'TEA', quantity: 1 }] } }, call],
    [transfers.dispatch, { params: { id: 'trf_1' }, query: {}, body: {} }, call],
    [receipts.create, { ...received, query: { dry_run: true } }, call],
    [receipts.create, received, { caller: call.caller, origin: call.origin, requestId: 'req_2' }],
    [adjustments.create, { ...adjustment, body: { ...adjustment.body, if_version: 3 } }, call],
    [adjustments.create, { ...adjustment, body: { ...adjustment.body, lines: [{ sku: 'TEA', delta: -1, if_version: 3 }] } }, call],
  ]

  for (const [operation, input, from] of refused) expect(await defer(operation, input, from)).toBeUndefined()
  expect(kept).toEqual([])
  expect(await defer(adjustments.create, adjustment, call)).toMatchObject({ operation: 'adjustments.create' })
})

test('what the broker has not confirmed is not said to be kept', async () => {
  const { defer, faults } = keeping(() => Promise.reject(new Error('not confirmed')))

  expect(await defer(receipts.create, received, call)).toBeUndefined()
  expect(faults).toEqual([new Error('not confirmed')])
})

const keeping = (send?: () => Promise<void>) => {
  const kept: unknown[] = []
  const faults: unknown[] = []
  return {
    kept,
    faults,
    ...deferral({
      send: send ?? (async (message) => void kept.push(message)),
      onDeferred: () => undefined,
      onFault: (fault) => void faults.push(fault),
    }),
  }
}

import { expect, test } from 'vitest'
import { isPassing } from './fault.ts'

test('a connection that ended passes; a text that ends too soon, or another defect of ours, does not', () => {
  for (const message of ['Connection terminated unexpectedly', 'timeout exceeded when trying to connect', 'Client was closed and is not queryable'])
    expect(isPassing(new Error(message)), message).toBe(true)
  expect(isPassing(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))).toBe(true)
  expect(isPassing(Object.assign(new Error('database "shop" is not currently accepting connections'), { code: '55000', routine: 'CheckMyDatabase' }))).toBe(
    true,
  )
  expect(isPassing(Object.assign(new Error('currval of sequence "s" is not yet defined in this session'), { code: '55000', routine: 'currval_oid' }))).toBe(
    false,
  )
  expect(isPassing(new SyntaxError('Unterminated string in JSON at position 17'))).toBe(false)
  expect(isPassing(new TypeError('connection is not a function'))).toBe(false)
})

import { describe, expect, test } from 'vitest'
import { planner } from './plan.ts'
import { verificationInWords } from './report.ts'
import { audit, type StockDocument } from './verify.ts'

// Half of 10 and half of 6, to begin with. One purchase of both, one of the first alone, a return and a write-off.
const planning = planner(['InvoiceNo', 'StockCode', 'Description', 'Quantity', 'Country'])
planning.add(['1', '10002', 'GLOBE', '4', 'EIRE'])
planning.add(['1', '10080', 'PUZZLE', '6', 'EIRE'])
planning.add(['2', '10002', 'GLOBE', '6', 'EIRE'])
planning.add(['C3', '10002', 'GLOBE', '-2', 'EIRE'])
planning.add(['4', '10080', 'PUZZLE', '-5', 'EIRE'])
const plan = planning.plan('scarce')

const opening = document('receipt', 'online-retail/opening/scarce/DUB/1', { '10002': 5, '10080': 3 })
const returned = document('return', 'C3', { '10002': 2 })
const shipped = document('shipment', '2', { '10002': -6 })
const cut = document('adjustment', '4', { '10080': -3 })

describe('the documents of a replay with scarce stock', () => {
  test('are right when every purchase was shipped whole or not at all, and nothing was below zero', () => {
    expect(audit(plan, [opening, returned, shipped, cut])).toEqual({
      documents: 4,
      purchases: { shipped: 1, rejected: 1, units: 6 },
      writtenOff: 3,
      faults: [],
    })
    expect(audit(plan, [opening, returned]).faults).toEqual([])
  })

  test('a level that was below zero for a moment is found, though it was mended later', () => {
    expect(audit(plan, [opening, shipped, returned]).faults).toEqual(['shipment 2 left -1 of 10002 at DUB'])
  })

  test('a purchase shipped in part, too much, twice or from elsewhere is found', () => {
    const part = document('shipment', '2', { '10002': -5 })
    expect(audit(plan, [opening, returned, part]).faults).toEqual(['shipment 2 is neither the whole purchase nor nothing of it'])
    const other = document('shipment', '2', { '10002': -6, '10080': -1 })
    expect(audit(plan, [opening, returned, other]).faults).toEqual(['shipment 2 is neither the whole purchase nor nothing of it'])
    const more = document('receipt', 'x', { '10002': 9 })
    expect(audit(plan, [opening, more, returned, shipped, shipped]).faults).toEqual([
      'shipment 2 is neither the whole purchase nor nothing of it',
      'receipt x: the file knows nothing of it',
    ])
  })

  test('opening stock or a return that is missing, or came twice, is found', () => {
    expect(audit(plan, [returned]).faults).toEqual(['receipt online-retail/opening/scarce/DUB/1 is not as the file has it'])
    expect(audit(plan, [opening]).faults).toEqual(['return C3 is not as the file has it'])
    expect(audit(plan, [opening, returned, returned]).faults).toEqual(['return C3 is not as the file has it'])
  })

  test('more written off than the file says, or another item, is found', () => {
    const more = document('receipt', 'x', { '10080': 9 })
    const twice = audit(plan, [opening, more, returned, cut, cut]).faults
    expect(twice).toEqual(['adjustment 4 is more than the file writes off', 'receipt x: the file knows nothing of it'])
    const wrong = document('adjustment', '4', { '10002': -1 })
    expect(audit(plan, [opening, returned, wrong]).faults).toEqual(['adjustment 4 is more than the file writes off'])
  })

  test('what the file knows nothing of is found', () => {
    expect(audit(plan, [opening, returned, document('shipment', '77', { '10002': -1 })]).faults).toEqual(['shipment 77: the file knows nothing of it'])
  })
})

function document(kind: StockDocument['kind'], reference: string, changes: Record<string, number>): StockDocument {
  return { kind, id: reference, reference, sequence: 0, lines: Object.entries(changes).map(([sku, change]) => ({ sku, location: 'DUB', change })) }
}

test('what is verified is said to be so by the file, or by the documents where the file cannot know', () => {
  const levels = { levels: 2, onHand: 7, differences: [] }
  expect(verificationInWords({ ...levels, audit: undefined })).toBe('Verified: 2 levels, 7 units on hand, every one as the file says.')
  const audit = { documents: 3, purchases: { shipped: 1, units: 5, rejected: 1 }, writtenOff: 0, faults: [] }
  expect(verificationInWords({ ...levels, audit })).toContain('\nVerified: 2 levels, 7 units on hand, every one as these documents add up to.')
  expect(verificationInWords({ ...levels, audit: { ...audit, faults: ['more shipped than there was'] } })).not.toContain('Verified')
})

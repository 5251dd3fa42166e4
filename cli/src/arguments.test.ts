import { expect, test } from 'vitest'
import { arrivalLine, countedLine, deltaLine, duration, holdLine, line, purchaseLimit } from './arguments.ts'

test('a line is a sku and a quantity, and a sku may hold what separates them', () => {
  expect(line('TEA-1=3')).toEqual({ sku: 'TEA-1', quantity: 3 })
  expect(line('a=b@c=3')).toEqual({ sku: 'a=b@c', quantity: 3 })
  expect(holdLine('a=b@c=3@LON')).toEqual({ sku: 'a=b@c', quantity: 3, location: 'LON' })
  expect(holdLine('TEA-1=3')).toEqual({ sku: 'TEA-1', quantity: 3, location: undefined })
})

test('a correction says up or down', () => {
  expect([deltaLine('TEA-1=+3').delta, deltaLine('TEA-1=-3').delta]).toEqual([3, -3])
  for (const text of ['TEA-1=3', 'TEA-1=', 'TEA-1=+', 'TEA-1=+0', 'TEA-1=--3', '=+3']) expect(() => deltaLine(text), text).toThrow()
})

test('what arrives may be put aside, and a shelf may be empty', () => {
  expect(arrivalLine('a:b=3')).toEqual({ sku: 'a:b', quantity: 3, to: undefined })
  expect(arrivalLine('TEA-1=3:damaged')).toEqual({ sku: 'TEA-1', quantity: 3, to: 'damaged' })
  for (const text of ['TEA-1', 'TEA-1=0', 'TEA-1=3:', 'TEA-1=3:held', 'TEA-1=:damaged']) expect(() => arrivalLine(text), text).toThrow()
  expect([countedLine('TEA-1=0').quantity, countedLine('TEA-1=12').quantity]).toEqual([0, 12])
  for (const text of ['TEA-1', 'TEA-1=', 'TEA-1=-1', 'TEA-1=1.5']) expect(() => countedLine(text), text).toThrow()
})

test('a limit for one customer is so many within a time, or none', () => {
  expect(purchaseLimit('2/1d')).toEqual({ quantity: 2, windowSeconds: 86_400 })
  expect(purchaseLimit('none')).toBeNull()
  for (const text of ['', '2', '0/1d', '2/', '2/soon', '/1d']) expect(() => purchaseLimit(text), text).toThrow()
})

test('a time is seconds, minutes, hours or days', () => {
  expect(['900', '900s', '15m', '2h', '7d'].map(duration)).toEqual([900, 900, 900, 7_200, 604_800])
  for (const text of ['', '0', '-1', '1.5h', '15 m', '1w']) expect(() => duration(text), text).toThrow()
})

import { expect, test } from 'vitest'
import { deltaLine, duration, holdLine, line } from './arguments.ts'

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

test('a time is seconds, minutes, hours or days', () => {
  expect(['900', '900s', '15m', '2h', '7d'].map(duration)).toEqual([900, 900, 900, 7_200, 604_800])
  for (const text of ['', '0', '-1', '1.5h', '15 m', '1w']) expect(() => duration(text), text).toThrow()
})

import { expect, test } from 'vitest'
import { opened, sealed } from './sealed.ts'

const key = 'a key that only our processes have'
const value = { principal: 'key_till', scopes: ['holds:write'], words: 'Grün & 茶' }

test('what was sealed is opened with the same key, as it was', () => {
  expect(opened(sealed(value, key), key)).toEqual(value)
  expect(sealed(value, key)).toMatch(/^[\w-]+\.[\w-]+$/)
})

test('what was sealed with another key, was changed or is no seal at all is not believed', () => {
  const text = sealed(value, key)
  const forged = `${Buffer.from(JSON.stringify({ ...value, principal: 'owner' })).toString('base64url')}.${text.split('.')[1]}`
  for (const wrong of [sealed(value, `${key}!`), forged, text.slice(0, -2), `${text}.`, `${text}.${text}`, text.split('.')[0] ?? '', '.', ''])
    expect(opened(wrong, key), wrong).toBeUndefined()
})

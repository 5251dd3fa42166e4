import { describe, expect, test } from 'vitest'
import { randomPassword, randomSecret, randomWord, secretLetters, uuidV7 } from './random.ts'

describe('ids and tokens', () => {
  test('each id is larger than the one before, also within a millisecond', () => {
    const ids = Array.from({ length: 50_000 }, uuidV7)
    expect(ids.every((id, index) => index === 0 || id > (ids[index - 1] ?? ''))).toBe(true)
  })

  test('an id is a version 7 uuid of now', () => {
    const before = Date.now()
    const id = uuidV7()
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const time = Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)
    // Fifty thousand at once may have pushed the time ahead by some milliseconds.
    expect(time).toBeGreaterThanOrEqual(before)
    expect(time).toBeLessThan(before + 1_000)
  })

  test('secrets are equally long and never alike', () => {
    const secrets = new Set(Array.from({ length: 1_000 }, () => randomSecret(32)))
    expect(secrets.size).toBe(1_000)
    for (const secret of secrets) expect(secret).toMatch(/^[0-9A-Za-z]{43}$/)
    expect(secretLetters(32)).toBe(43)
  })

  test('a password for people has no letters that look alike', () => {
    expect(randomPassword(20)).toMatch(/^[0-9a-hjkmnp-tv-z]{5}(-[0-9a-hjkmnp-tv-z]{5}){3}$/)
    expect(randomWord(8)).toHaveLength(8)
  })
})

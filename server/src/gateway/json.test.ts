import { describe, expect, test } from 'vitest'
import { readJson } from './json.ts'
import { Refused } from './problem.ts'

const read = (text: string | Buffer): unknown => readJson(Buffer.from(text as string), { faultsTold: 100 }) // Buffer.from takes both
const errorsOf = (text: string | Buffer) => {
  try {
    read(text)
  } catch (error) {
    if (error instanceof Refused) return error.refusal.errors ?? error.refusal.detail
    throw error
  }
  return undefined
}

describe('reading a body', () => {
  test('what is written is what is read', () => {
    expect(read('{"lines":[{"sku":"TEA-1","quantity":3}]}')).toEqual({ lines: [{ sku: 'TEA-1', quantity: 3 }] })
    expect(read('{"destination":{"latitude":51.5,"longitude":-0.12}}')).toEqual({ destination: { latitude: 51.5, longitude: -0.12 } })
  })

  test('words that only look like doubtful numbers are fine', () => {
    const body = {
      reference: '2026-01-05',
      sku: '85123E10',
      metadata: { uuid: '0192f3e4-7c1e-7e55-9e3b-0123456789ab', long: '12345678901234567890', unicode: 'é\u2028', quoted: '\\u0000' },
    }
    expect(read(JSON.stringify(body))).toEqual(body)
    expect(read('{"name":"caf\\u00e9 \\ud83c\\udf75"}')).toEqual({ name: 'café 🍵' })
  })

  test('numbers that would be another number, or another notation, are refused where they stand', () => {
    expect(errorsOf('{"lines":[{"quantity":1e3},{"quantity":1E400}]}')).toEqual([
      { param: 'lines[0].quantity', message: 'must be written without an exponent, not as 1e3' },
      { param: 'lines[1].quantity', message: 'must be written without an exponent, not as 1E400' },
    ])
    expect(errorsOf('{"if_version":9007199254740993}')).toEqual([{ param: 'if_version', message: 'is beyond what can be counted exactly: 9007199254740993' }])
    expect(errorsOf('{"delta":-0}')).toEqual([{ param: 'delta', message: 'must be 0, not -0' }])
  })

  test('a name that is written twice is refused where it stands: nobody knows which of the two was meant', () => {
    expect(errorsOf('{"lines":[{"sku":"A"},{"sku":"B","quantity":1,"quantity":2}],"mode":"x","mode":"x"}')).toEqual([
      { param: 'lines[1].quantity', message: 'is written twice' },
      { param: 'mode', message: 'is written twice' },
    ])
    expect(errorsOf(String.raw`{"metadata":{"a\"b":[1,{"c":2}],"\u0061\"b" : 3}}`)).toEqual([{ param: 'metadata.a"b', message: 'is written twice' }])
    const fine = { a: { name: ':' }, b: [{ name: '{"a":1,"a":2}' }, { name: '\\"' }, [], null], name: '' }
    expect(read(JSON.stringify(fine))).toEqual(fine)
    expect(read(JSON.stringify(fine, undefined, 2))).toEqual(fine)
  })

  test('what PostgreSQL could not keep as it is, is refused', () => {
    expect(errorsOf(String.raw`{"name":"a\u0000b","metadata":{"x":"\ud800"}}`)).toEqual([
      { param: 'name', message: 'must not contain the character NUL or half a surrogate pair' },
      { param: 'metadata.x', message: 'must not contain the character NUL or half a surrogate pair' },
    ])
    expect(errorsOf(Buffer.from([0x22, 0xc3, 0x28, 0x22]))).toBe('The body is not text in UTF-8.')
  })

  test('no name reaches the prototype of objects, however it is written', () => {
    for (const name of ['__proto__', String.raw`\u005f_proto__`, String.raw`__pr\u006fto__`])
      expect(errorsOf(`{"metadata":{"${name}":{"admin":true}}}`)).toEqual([{ param: 'metadata.__proto__', message: 'is not known' }])
  })

  test('a tower of brackets does not bring the reader down', () => {
    expect(errorsOf(`${'['.repeat(100_000)}"\\u0041"${']'.repeat(100_000)}`)).toEqual([
      { param: expect.stringMatching(/^(\[0\]){10}$/), message: 'is nested more than 10 levels deep' },
    ])
  })
})

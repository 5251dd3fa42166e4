import { describe, expect, test } from 'vitest'
import { limits } from '../../platform/limits.ts'
import { weaknessOf } from './common-passwords.ts'
import { busy, passwordGate } from './password-gate.ts'
import { hashPassword, isPassword, needsNewHash } from './password.ts'

/** Hashing that is done when the test says so. */
const counted = () => {
  const hashed: string[] = []
  const open: (() => void)[] = []
  const wait = () => new Promise<void>((resolve) => void open.push(resolve))
  return {
    hashed,
    open,
    hashing: {
      hashPassword: async (password: string) => (hashed.push(`hash ${password}`), await wait(), `hash of ${password}`),
      isPassword: async (password: string, phc: string) => (hashed.push(`check ${phc}`), await wait(), phc === `hash of ${password}`),
    },
  }
}
const settled = () => new Promise((resolve) => void setImmediate(resolve))

describe('checking a password', () => {
  test('costs as much for nobody as for somebody, and is never right for nobody', async () => {
    const hashed: string[] = []
    const gate = passwordGate({
      limits: limits.identity,
      hashing: {
        hashPassword: async (password) => `hash of ${password}`,
        isPassword: async (_, phc) => (hashed.push(phc), true),
      },
    })
    expect(await gate.check('a guess of many letters', 'hash of somebody')).toBe(true)
    expect(await gate.check('a guess of many letters', undefined)).toBe(false)
    expect(hashed).toEqual(['hash of somebody', expect.stringMatching(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)])
  })

  test('is done for two at a time, a few wait in their order, and others are told to come back', async () => {
    const { hashed, open, hashing } = counted()
    const gate = passwordGate({ limits: { hashesAtOnce: 2, hashesWaiting: 3 }, hashing })
    const answers = ['a', 'b', 'c', 'd', 'e'].map((password) => gate.check(password, `hash of ${password}`))
    await settled()
    expect(hashed).toEqual(['check hash of a', 'check hash of b'])
    expect(await gate.check('f', 'hash of f')).toBe(busy)
    expect(await gate.hash('g')).toBe(busy)
    open.shift()?.()
    await settled()
    expect(hashed).toEqual(['check hash of a', 'check hash of b', 'check hash of c'])
    const sixth = gate.hash('g')
    while (hashed.length < 6 || open.length > 0) {
      open.shift()?.()
      await settled()
    }
    expect(await Promise.all(answers)).toEqual([true, true, true, true, true])
    expect(await sixth).toBe('hash of g')
    expect(hashed.at(-1)).toBe('hash g')
  })

  test('that fails gives its place to the next', async () => {
    const gate = passwordGate({
      limits: { hashesAtOnce: 1, hashesWaiting: 1 },
      hashing: { hashPassword: async () => Promise.reject(new Error('no memory')), isPassword },
    })
    await expect(gate.hash('a')).rejects.toThrow('no memory')
    await expect(gate.hash('b')).rejects.toThrow('no memory')
  })
})

test('a hash that was made with less than is asked today is made anew', async () => {
  expect(needsNewHash(await hashPassword('seven ducks cross the canal'))).toBe(false)
  expect(needsNewHash('$argon2id$v=19$m=4096,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaA')).toBe(true)
  expect(needsNewHash('$scrypt$ln=17,r=8,p=1$c2FsdA$aGFzaA')).toBe(true)
})

describe('a password', () => {
  test.each([
    'password password',
    'Passw0rd12345678',
    'correct horse battery staple',
    '123456789012345',
    'qwertyuiopasdfgh',
    'zxcvbnmqwertyuiop',
    'abcdefghijklmnopq',
    'iloveyouiloveyou',
    'letmein letmein 1',
    'lalalalalalalalala',
    'summer2026summer',
    'admin admin admin',
    'ada@example.com',
    'ADA@example.com 2026',
    '___ada@example.com___',
  ])('%s will not do', (password) => {
    expect(weaknessOf(password, 'ada@example.com')).toBeDefined()
  })

  test.each([
    'seven ducks cross the canal',
    'Пять уток плывут домой',
    'x7Kq-29bd-Lm4T-vwQz',
    'my dog ate 3 passwords',
    'the summer house in Wales',
    '0h0c5-7zk1d-vq3r8-wn2mt',
  ])('%s will', (password) => {
    expect(weaknessOf(password, 'ada@example.com')).toBeUndefined()
  })
})

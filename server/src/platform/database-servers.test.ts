import { expect, test } from 'vitest'
import { databaseServers, urlsOf, withoutPassword } from './database-servers.ts'

test('a list of servers is one address for each of them, and everything else is the same', () => {
  expect(urlsOf('postgres://shop:a,b%40c@db-1:5432,db-2,[fd00::3]:5434/stock?sslmode=require')).toEqual([
    'postgres://shop:a,b%40c@db-1:5432/stock?sslmode=require',
    'postgres://shop:a,b%40c@db-2/stock?sslmode=require',
    'postgres://shop:a,b%40c@[fd00::3]:5434/stock?sslmode=require',
  ])
})

test('one server is left as it is written', () => {
  for (const url of ['postgres://db/stock', 'postgresql:///stock?host=/var/run/postgresql', 'postgres://u@%2Fvar%2Frun%2Fpostgresql:5432/stock'])
    expect(urlsOf(url)).toEqual([url])
})

test('a list with a hole, a port that is none, or a server twice, is refused without telling the password', () => {
  for (const servers of ['db-1,', ',db-2', 'db-1,,db-2', 'db-1:0,db-2', 'db-1:70000,db-2', 'db-1:x,db-2', 'db-1 ,db-2', 'db-1,db-1', 'u:hunter2:db-1,db-2']) {
    const url = `postgres://shop:hunter2@${servers}/stock`
    expect(() => urlsOf(url), servers).toThrow(/^(each server of a list|no server may be named twice)/)
    expect(withoutPassword(url)).toBe('not a URL')
  }
})

test('what is shown of an address has no password', () => {
  expect(withoutPassword('postgres://shop:hunter2@db-1:5432,db-2/stock?password=hunter2')).toBe('db-1:5432,db-2/stock')
  expect(withoutPassword('postgres://shop:hunter2@db-1/stock')).toBe('db-1/stock')
})

test('when none of them answers, it is said of each why, and no password', async () => {
  const { Client, url } = databaseServers('postgres://shop:hunter2@127.0.0.1:1,127.0.0.1:2/stock')
  const refusal = await new Client({ connectionString: url }).connect().then(
    () => 'let in',
    (error: unknown) => String(error),
  )
  expect(refusal).toMatch(/no connection to a primary: 127\.0\.0\.1:1\/stock: .*ECONNREFUSED.*; 127\.0\.0\.1:2\/stock: .*ECONNREFUSED/)
  expect(refusal).not.toContain('hunter2')
})

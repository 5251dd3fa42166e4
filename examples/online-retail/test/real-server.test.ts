// Some hundred lines of the sample, replayed into the real server by the program as a person starts it, and once more with
// the server killed in the middle.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { holdfast, responseOf } from '@holdfast/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { API_KEY, ownDatabase, startServer, until, verifyBooks } from '../../../server/test/support/server.ts'
import { csvParser } from '../src/csv.ts'
import { type Opening, type Plan, planner } from '../src/plan.ts'
import { replay } from '../src/replay.ts'
import { isRight, verify } from '../src/verify.ts'

const FIRST_LINES = 500
/** Longer than any other test: the file is sent three times, by processes that are started one after the other. */
const TIMEOUT_MS = 120_000

let folder = ''
let file = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'online-retail-'))
  file = join(folder, 'first-lines.csv')
  const sample = await readFile(fileURLToPath(new URL('../sample/first-week.csv', import.meta.url)), 'utf8')
  // The first lines are purchases, nearly all; returns and write-offs are taken from wherever they are.
  const lines = sample.split('\n').filter((line, index) => index <= FIRST_LINES || /,-\d+,/.test(line))
  await writeFile(file, lines.join('\n'))
})
afterAll(() => rm(folder, { recursive: true }))

test('the file is replayed, its outcome is as the file says, and a second run changes nothing', { timeout: TIMEOUT_MS }, async () => {
  const database = await ownDatabase()
  const server = await startServer(database)

  const first = await program(['--file', file, '--url', server.url, '--key', API_KEY])
  expect(first.said).toMatch(/Verified: [\d,]+ levels, [\d,]+ units on hand, every one as the file says\./)
  expect(first.code).toBe(0)
  const sequence = await newest(server.url)

  const second = await program(['--file', file, '--url', server.url, '--key', API_KEY])
  expect(second.said).toContain('This run changed nothing')
  expect(second.code).toBe(0)
  expect(await newest(server.url)).toBe(sequence)

  // One unit more than the file knows of.
  const [line] = (await planOf(file, 'ample')).receipts[0]?.lines ?? []
  await server.stock.receipts.create({ location: 'LON', lines: [{ sku: line?.sku ?? '', quantity: 1 }] })
  const third = await program(['--file', file, '--url', server.url, '--key', API_KEY])
  expect(third.said).toContain('DIFFERENT: 1 of')
  expect(third.code).toBe(1)

  expect((await verifyBooks(database)).violations).toEqual([])
})

test.each(['ample', 'scarce'] as const)(
  'with %s stock a server that is killed in the middle and comes back is waited for, and nothing is lost or done twice',
  { timeout: TIMEOUT_MS },
  async (opening) => {
    const database = await ownDatabase()
    let server = await startServer(database)
    // Wherever it comes back: the address is the one that a load balancer would have.
    const stock = holdfast({
      url: 'http://holdfast.test',
      apiKey: API_KEY,
      retries: 100,
      totalTimeoutMs: 60_000,
      fetch: (url, init) => fetch(new Request(url, init).url.replace('http://holdfast.test', server.url), init),
    })
    const plan = await planOf(file, opening)
    let lines = 0
    let isSelling = false
    const progress = {
      phase: (name: string) => void (isSelling = name === 'lines'),
      advance: (count: number) => void (lines += isSelling ? count : 0),
    }

    const replaying = replay({ stock, plan, concurrency: 8, progress, now: () => new Date() })
    // Should it fail before it is waited for, the wait below is what tells.
    replaying.catch(() => undefined)
    await until('a third of the lines are replayed', () => lines > plan.linesRead / 3, { withinMs: TIMEOUT_MS })
    await server.kill()
    server = await startServer(database)

    expect(await replaying).toMatchObject({ status: 'replayed' })
    expect(lines).toBe(plan.linesRead)
    const verification = await verify(stock, plan)
    expect(verification).toMatchObject({ differences: [], ...(opening === 'scarce' ? { audit: { faults: [] } } : {}) })
    expect(isRight(verification)).toBe(true)
    expect((await verifyBooks(database)).violations).toEqual([])
  },
)

test('what was not asked for properly is said, and nothing is sent', async () => {
  expect(await program(['--url', 'http://127.0.0.1:9'])).toMatchObject({ code: 2, said: expect.stringContaining('an API key is needed') as string })
  expect(await program(['--key', 'hf_x', '--opening', 'plenty'])).toMatchObject({
    code: 2,
    said: expect.stringContaining('--opening is ample or scarce') as string,
  })
  expect(await program(['--key', 'hf_x', '--file', '/nowhere.csv'])).toMatchObject({
    code: 1,
    said: expect.stringContaining('/nowhere.csv cannot be read') as string,
  })
  expect(await program(['--help'])).toMatchObject({ code: 0, said: expect.stringContaining('--concurrency') as string })
})

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** What it said, on both streams, and what it ended with. */
const program = async (args: readonly string[]): Promise<{ code: unknown; said: string }> => {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] ?? '' } })
  const ended = once(child, 'close')
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await ended) as [unknown] // its exit code first
  return { code, said: output + errors }
}

/** The sequence of the newest movement. */
const newest = async (url: string): Promise<number | undefined> => {
  const page = await holdfast({ url, apiKey: API_KEY }).ledgerEntries.list({ limit: 1 }).page()
  expect(responseOf(page).status).toBe(200)
  return page.data[0]?.sequence
}

const planOf = async (csv: string, opening: Opening): Promise<Plan> => {
  const parser = csvParser()
  const [header = [], ...records] = [...parser.push(await readFile(csv)), ...parser.end()]
  const planning = planner(header)
  for (const record of records) planning.add(record)
  return planning.plan(opening)
}

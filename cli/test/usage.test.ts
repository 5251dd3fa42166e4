import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { holdfast, mainPath, startNode } from './support/command.ts'
import { list, problem, startServer } from './support/server.ts'

describe('wrong usage', () => {
  test.each([
    ['no command', [], 'Usage: holdfast'],
    ['half a command', ['hold'], 'Usage: holdfast hold'],
    ['an unknown command', ['hodl'], "unknown command 'hodl'"],
    ['an unknown option', ['hold', 'list', '--colour', 'red'], "unknown option '--colour'"],
    ['a line without a quantity', ['hold', 'place', 'TEA-1'], '"TEA-1" is not SKU=QUANTITY[@LOCATION]'],
    ['a quantity of none', ['stock', 'receive', 'LON', 'TEA-1=0'], 'no quantity from 1 to 1000000000'],
    ['a quantity that is no number', ['stock', 'receive', 'LON', 'TEA-1=1e3'], 'no quantity from 1'],
    ['an empty location', ['hold', 'place', 'TEA-1=1@'], 'no location after the @'],
    ['a correction without a sign', ['stock', 'adjust', 'LON', 'TEA-1=3', '--reason', 'count'], 'TEA-1=+3 or TEA-1=-3'],
    ['a correction without a reason', ['stock', 'adjust', 'LON', 'TEA-1=+3'], '--reason'],
    ['a reason nobody knows', ['stock', 'adjust', 'LON', 'TEA-1=+3', '--reason', 'whim'], 'correction, count, damaged'],
    [
      'a state that nothing arrives in',
      ['transfer', 'receive', 'tran_1', 'TEA-1=1:held'],
      'names no state after the colon: available, quality_control, damaged',
    ],
    ['a transfer of nothing', ['transfer', 'create', 'LON', 'PAR'], "missing required argument 'lines'"],
    ['a shipment of nobody', ['inbound', 'create', 'LON', 'TEA-1=1'], "required option '--supplier <name>' not specified"],
    ['a count of less than nothing', ['count', 'lines', 'cnt_1', 'TEA-1=-1'], 'no quantity from'],
    ['a sequence that is none', ['count', 'lines', 'cnt_1', 'TEA-1=1', '--as-of', 'now'], '"now" is not a whole number'],
    ['a limit nobody can read', ['item', 'update', 'TEA-1', '--purchase-limit', '2'], '"2" is not QUANTITY/TIME, for instance 2/1d'],
    ['a time nobody can read', ['hold', 'place', 'TEA-1=1', '--ttl', 'soon'], '"soon" is not a time like 900s, 15m, 2h or 7d'],
    ['a list of no rows', ['hold', 'list', '--limit', '0'], 'at least 1'],
    ['an update of nothing', ['item', 'update', 'TEA-1'], 'nothing to change'],
    ['a price without a currency', ['item', 'create', 'TEA-1', '--price', '5'], '--price and --currency go together'],
    ['a dry run of what cannot be tried', ['item', 'create', 'TEA-1', '--dry-run'], '--dry-run is only for commands that move stock'],
    ['a key for a read', ['hold', 'list', '--idempotency-key', 'x'], '--idempotency-key is only for commands that'],
    ['a url that is none', ['hold', 'list', '--url', 'localhost:4000'], 'url must begin with http'],
    ['a url without a server', ['hold', 'list', '--url', 'shop'], '"shop" does not lead to a server'],
    ['a key no header can carry', ['hold', 'list', '--api-key', 'ключ'], 'apiKey must be'],
  ])('%s ends with 2 and says what is wrong', async (_, args, says) => {
    await using server = await startServer(() => list([]))
    const { code, stdout, stderr } = await holdfast(args, server)
    expect(stderr).toContain(says)
    expect([code, stdout, server.asked]).toEqual([2, '', []])
  })

  test('without an API key says where to put it', async () => {
    expect(await holdfast(['hold', 'list'], { env: { HOLDFAST_API_KEY: '' } })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('set HOLDFAST_API_KEY'),
    })
  })
})

describe('help', () => {
  test('tells the commands, the environment and the exit codes', async () => {
    const { code, stdout } = await holdfast(['--help'])
    for (const words of ['hold', 'stock', 'item', 'location', 'serve', 'HOLDFAST_URL', 'HOLDFAST_API_KEY', 'Exit codes', '3  refused'])
      expect(stdout).toContain(words)
    expect(code).toBe(0)
    expect(await holdfast(['item', 'import', '--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('reorder_point') })
  })

  test('never shows the key that is set', async () => {
    expect((await holdfast(['hold', 'list', '--help'], { env: { HOLDFAST_API_KEY: 'hf_secret' } })).stdout).not.toContain('hf_secret')
  })
})

describe('the exit code tells', () => {
  test.each([
    ['a refusal', problem(404, 'not_found'), 3],
    ['a limit, after some tries', problem(429, 'rate_limited', { retryable: true }), 4],
    ['a server that cannot answer now', problem(503, 'unavailable', { retryable: true }), 4],
    ['a server that is broken', problem(500, 'internal_error', { retryable: false }), 1],
    ['an answer that is not from Holdfast', { status: 404, headers: { 'content-type': 'text/html' }, body: '<h1>Not here</h1>' }, 1],
    ['a connection that is cut', 'cut' as const, 4],
  ])('%s', async (_, reply, expected) => {
    await using server = await startServer(() => reply)
    const { code, stdout, stderr } = await holdfast(['item', 'get', 'TEA-1'], server)
    expect([code, stdout]).toEqual([expected, ''])
    expect(stderr).toMatch(/^error: /)
  })

  test('a server that is not there', async () => {
    const server = await startServer(() => 'cut')
    await server[Symbol.asyncDispose]()
    const { code, stderr } = await holdfast(['hold', 'place', 'TEA-1=1', '--json'], server)
    expect(code).toBe(4)
    expect(JSON.parse(stderr)).toMatchObject({ object: 'error', code: 'unreachable', outcome: 'not_sent' })
  })

  test('nothing of what is not known, but the key to ask again with is named', async () => {
    await using server = await startServer(() => 'cut')
    const { code, stderr } = await holdfast(['hold', 'place', 'TEA-1=1'], server)
    expect(code).toBe(4)
    expect(stderr).toContain(`--idempotency-key ${server.asked[0]?.key}`)
    expect(new Set(server.asked.map(({ key }) => key)).size).toBe(1)
  })
})

describe('colour', () => {
  test('is used when it is asked for, and not with NO_COLOR', async () => {
    await using server = await startServer(() => problem(404, 'not_found'))
    const coloured = await holdfast(['item', 'get', 'TEA-1'], { ...server, env: { FORCE_COLOR: '1' } })
    expect(coloured.stderr).toContain('\u001b[')
    const plain = await holdfast(['item', 'get', 'TEA-1'], { ...server, env: { NO_COLOR: '1' } })
    expect(plain.stderr).toBe('error: told: not_found (not_found)\n  request req_1\n')
  })
})

describe('a reader that has seen enough', () => {
  test('ends the command without a complaint', async () => {
    await using server = await startServer(() => list([{ object: 'item', sku: 'TEA-1', name: 'x'.repeat(100_000) }], `next-${Math.random()}`))
    const { child, ended, untilSaid } = startNode([mainPath, 'item', 'list', '--all', '--json'], { HOLDFAST_URL: server.url, HOLDFAST_API_KEY: 'hf_1' })
    await untilSaid('TEA-1')
    child.stdout.destroy()
    expect(await ended).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('a command that runs the server', () => {
  const start = (...args: string[]) => startNode([fileURLToPath(new URL('support/hand-over.js', import.meta.url)), ...args])

  test('gives the server its words and ends as the server ends', async () => {
    const { ended } = start('serve', 'gateway,inventory', '--json', 'exit=7')
    expect(await ended).toEqual({ code: 7, signal: null, stdout: 'began with serve gateway,inventory --json exit=7\n', stderr: '' })
  })

  test('passes signals on and lets the server end in peace', async () => {
    const { child, ended, untilSaid } = start('serve', 'wait')
    await untilSaid('began')
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 5, signal: null, stdout: expect.stringContaining('got SIGTERM') })
  })

  test('ends by the signal that ended the server', async () => {
    const { ended } = start('serve', 'kill')
    expect(await ended).toMatchObject({ code: null, signal: 'SIGKILL' })
  })
})

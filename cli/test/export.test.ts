// Lists as files: what comes is what is printed, whole or not at all taken for whole.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { holdfast } from './support/command.ts'

const startServer = async (text: string, { cut = false } = {}) => {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.accept}`)
    response.writeHead(200, { 'content-type': 'text/csv; charset=utf-8' })
    if (cut) response.write(text, () => response.destroy())
    else response.end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked } // it listens on a port
}

test.each([
  [['hold', 'list', '--status', 'active'], '/v1/holds?status=active&format=csv'],
  [['item', 'list'], '/v1/items?format=csv'],
  [['location', 'list'], '/v1/locations?format=csv'],
  [['stock', 'levels', 'TEA-1'], '/v1/stock_levels?sku=TEA-1&format=csv'],
  [['stock', 'entries', '--from', 'held'], '/v1/ledger_entries?from=held&format=csv'],
  [['stock', 'events', '--after', '7'], '/v1/events?after_sequence=7&format=csv'],
  [['transfer', 'list', '--status', 'open'], '/v1/transfers?status=open&format=csv'],
  [['inbound', 'list'], '/v1/inbound_shipments?format=csv'],
  [['count', 'list'], '/v1/counts?format=csv'],
  [['user', 'list'], '/v1/users?format=csv'],
  [['api-key', 'list'], '/v1/api_keys?format=csv'],
  [['audit', '--action', 'user.created'], '/v1/audit_log?action=user.created&format=csv'],
  [['webhook', 'list'], '/v1/webhook_endpoints?format=csv'],
  [['webhook', 'deliveries', 'whe_1'], '/v1/webhook_endpoints/whe_1/deliveries?format=csv'],
])('%j can be taken as a file', async (words, path) => {
  const { url, asked } = await startServer('sku\r\nTEA-1\r\n')
  expect(await holdfast([...words, '--export', 'csv'], { url })).toEqual({ code: 0, signal: null, stdout: 'sku\r\nTEA-1\r\n', stderr: '' })
  expect(asked).toEqual([`${path} text/csv`])
})

test('one that breaks off ends as a server that cannot be reached, and says that it is not whole', async () => {
  const { url } = await startServer('sku\r\nTEA-1\r\n', { cut: true })
  const { code, stdout, stderr } = await holdfast(['item', 'list', '--export', 'csv'], { url })
  expect([code, stdout]).toEqual([4, 'sku\r\nTEA-1\r\n'])
  expect(stderr).toContain('not the whole list')
})

test('a file is whole: --limit, --all and --follow do not go with it', async () => {
  for (const words of [
    ['item', 'list', '--limit', '5'],
    ['item', 'list', '--all'],
    ['stock', 'events', '--follow'],
  ]) {
    const { code, stderr } = await holdfast([...words, '--export', 'csv'], { url: 'http://127.0.0.1:9' })
    expect(code).toBe(2)
    expect(stderr).toContain('cannot be used with')
  }
})

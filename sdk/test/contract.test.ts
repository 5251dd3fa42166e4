// The SDK against the contract's table: everything in it can be called, and every example of the documentation runs.
import { readFileSync } from 'node:fs'
import { allOperations } from '@holdfast/contract'
import * as sdk from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { answerOf, faultsOf, operationOf } from './support/contract.ts'
import { startServer } from './support/server.ts'

const apiKey = 'hf_0123456789abcdef0123456789abcdef'
const files = ['client.ts', 'resources.ts', 'errors.ts', 'answer.ts']
const sources = files.map((file) => readFileSync(new URL(`../src/${file}`, import.meta.url), 'utf8')).join('\n')
const methods = Object.entries(sdk.holdfast({ url: 'http://127.0.0.1:1', apiKey })).flatMap(([resource, verbs]) =>
  Object.keys(verbs).map((verb) => `${resource}.${verb}`),
)
const examples = [...sources.matchAll(/@example\n([\s\S]*?)\n\s*\*\//g)].map(([, text = '']) => text.replace(/^\s*\* ?/gm, ''))

/** A server that takes only what the contract allows, and answers anything it allows. */
const startContract = () =>
  startServer((asked) => {
    const operation = operationOf(asked)
    if (operation === undefined) return { status: 404, body: `${asked.method} ${asked.path} is not in the contract` }
    const faults = faultsOf(asked, operation)
    if (faults.length > 0) return { status: 400, body: `${operation.name}: ${faults.join('; ')}` }
    if (operation.streams === true) {
      const event = { object: 'event', type: 'integrity.violated', sequence: 42 }
      return (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`id: 42\ndata: ${JSON.stringify(event)}\n\n`)
    }
    return answerOf(operation)
  })

/** Lists that always have more would be read for ever. */
const short = (url: string): sdk.Holdfast => sdk.holdfast({ url, apiKey, retries: 0, fetch: async (...args) => ended(await fetch(...args)) })
const ended = async (response: Response) => {
  if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) return response
  const { status, headers } = response
  return new Response((await response.text()).replace('"has_more":true', '"has_more":false'), { status, headers })
}

const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

test('every operation of the contract has its method, and every method its operation', () => {
  expect(methods.toSorted()).toEqual(allOperations.map(({ name }) => camel(name)).toSorted())
})

describe('the examples of the documentation', () => {
  test('are there for every method', () => {
    expect(examples.length).toBeGreaterThanOrEqual(methods.length + 4)
    for (const method of methods)
      expect(
        examples.some((example) => example.includes(`stock.${method}(`)),
        `an example of ${method}`,
      ).toBe(true)
  })

  test.each(examples.map((example) => [example.split('\n')[0], example]))('%s', async (_, example) => {
    await using server = await startContract()
    const said: unknown[][] = []
    const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor
    const run = new AsyncFunction(
      'stock',
      'url',
      'apiKey',
      'cart',
      'console',
      ...Object.keys(sdk),
      example.replace('const stock = holdfast(', 'stock = holdfast('),
    )
    await run(short(server.url), server.url, apiKey, { id: 'cart-8841' }, { log: (...words: unknown[]) => said.push(words) }, ...Object.values(sdk))
    // Each method asks for the operation of its own name, and for nothing else.
    const named = [...example.matchAll(/stock\.(\w+\.\w+)\(/g)].map(([, method]) => method)
    const asked = server.asked.map((one) => camel(operationOf(one)?.name ?? one.path))
    expect(new Set(asked)).toEqual(new Set(named))
  })
})

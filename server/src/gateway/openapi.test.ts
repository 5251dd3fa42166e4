import { hash } from 'node:crypto'
import { allOperations, rejectionCodes } from '@holdfast/contract'
import { describe, expect, test } from 'vitest'
import { curlOf, docsPages } from './docs-page.ts'
import { openApi, operationId, tagOf, tagTexts } from './openapi.ts'

type Json = { [name: string]: unknown }
const document = openApi(allOperations) as { paths: Record<string, Record<string, Json>>; components: { schemas: Record<string, Json>; headers: Json } } // as made beside
const operationsIn = Object.entries(document.paths).flatMap(([path, byMethod]) =>
  Object.entries(byMethod).map(([method, operation]) => ({ path, method, operation })),
)

const references = (value: unknown): string[] => {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => (key === '$ref' && typeof inner === 'string' ? [inner] : references(inner)))
}

describe('the OpenAPI document', () => {
  test('has every operation of the table once, each under a name of its own', () => {
    expect(operationsIn.map(({ method, path }) => `${method.toUpperCase()} ${path}`).toSorted()).toEqual(
      allOperations.map(({ method, path }) => `${method} ${path}`).toSorted(),
    )
    expect(new Set(allOperations.map(operationId)).size).toBe(allOperations.length)
  })

  test('says a sentence about every resource, and about nothing else', () => {
    expect(Object.keys(tagTexts).toSorted()).toEqual([...new Set(allOperations.map(tagOf))].toSorted())
  })

  test('refers to nothing that it does not have', () => {
    const there = (ref: string) =>
      ref
        .slice(2)
        .split('/')
        .reduce<unknown>((value, name) => (typeof value === 'object' && value !== null ? (value as Json)[name] : undefined), document) // walks plain JSON
    for (const ref of new Set(references(document))) expect(there(ref), ref).toBeDefined()
  })

  test('names what the API names, and does not repeat it', () => {
    expect(Object.keys(document.components.schemas)).toEqual(
      expect.arrayContaining([
        'Adjustment',
        'Availability',
        'Event',
        'Hold',
        'HoldList',
        'HoldsPlaceRequest',
        'Item',
        'LedgerEntry',
        'Location',
        'Problem',
        'Receipt',
        'Return',
        'Shipment',
        'Shortage',
        'StockLevel',
      ]),
    )
    expect(document.components.schemas['HoldList']).toMatchObject({ properties: { data: { items: { $ref: '#/components/schemas/Hold' } } } })
    expect(document.components.schemas['Hold']).toMatchObject({ properties: { shortages: { items: { $ref: '#/components/schemas/Shortage' } } } })
  })

  test('says of every path which parameters stand in it', () => {
    for (const { path, operation } of operationsIn) {
      const named = (operation['parameters'] as { in: string; name: string; required: boolean }[]).filter((parameter) => parameter.in === 'path') // as made beside
      expect(named.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? [])
      expect(named.every(({ required }) => required)).toBe(true)
    }
  })

  test('lists for every status the codes that come with it', () => {
    const place = document.paths['/v1/holds']?.['post']?.['responses'] as Record<string, { description: string }> // as made beside
    expect(Object.keys(place)).toEqual(['201', '400', '401', '403', '404', '409', '413', '415', '422', '429', '500', '503'])
    expect(place['409']?.description).toContain('`insufficient_stock`')
    expect(place['409']?.description).toContain('`idempotency_key_in_use`')
    const get = document.paths['/v1/holds/{id}']?.['get']?.['responses'] as Record<string, unknown> // as made beside
    expect(Object.keys(get)).not.toContain('415')
  })

  test('is plain JSON', () => {
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
  })
})

describe('the pages', () => {
  const pages = docsPages(allOperations)
  const [reference] = pages

  test('there is one for the reference and one for every code', () => {
    expect(pages.map(({ path }) => path)).toEqual(['/docs', ...rejectionCodes.map((code) => `/docs/problems/${code}`)])
  })

  test('the reference shows every operation with its curl line, and every link within it arrives', () => {
    for (const operation of allOperations) expect(reference?.html).toContain(`id="${operationId(operation)}"`)
    const ids = new Set(Array.from(reference?.html.matchAll(/ id="([^"]+)"/g) ?? [], ([, id]) => id))
    for (const [, target] of reference?.html.matchAll(/href="#([^"]+)"/g) ?? []) expect(ids, target).toContain(target)
    const paths = new Set(pages.map(({ path }) => path))
    for (const [, target] of reference?.html.matchAll(/href="(\/docs[^"#]*)"/g) ?? []) expect(paths, target).toContain(target)
  })

  test('nothing runs, nothing is fetched, and nothing is styled but by us', () => {
    for (const { html, headers } of pages) {
      expect(html).not.toMatch(/<script|\son\w+=|javascript:|src=|url\(|@import|\sstyle="/i)
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; base-uri 'none'/)
    }
  })

  test('the style that is allowed is the style that stands there', () => {
    for (const { html, headers } of pages) {
      const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? ''
      expect(headers['content-security-policy']).toContain(`'sha256-${hash('sha256', style, 'base64')}'`)
    }
  })

  test('text from the table cannot become markup', () => {
    const [operation] = allOperations
    if (operation === undefined) throw new Error('there are operations')
    const [page] = docsPages([{ ...operation, summary: '<img src=x onerror=alert(1)> & "more"' }])
    expect(page?.html).toContain('&lt;img src=x onerror=alert(1)&gt; &amp; &quot;more&quot;')
    expect(page?.html).not.toContain('<img')
  })

  test('a curl line can be pasted into a shell', () => {
    const place = allOperations.find((operation) => operation.name === 'holds.place')
    if (place === undefined) throw new Error('there is holds.place')
    expect(curlOf(place)).toBe(
      'curl -s "$HOLDFAST_URL/v1/holds" \\\n  -H "Authorization: Bearer $HOLDFAST_API_KEY" \\\n  -H "Idempotency-Key: $(date +%s%N)" \\\n  -H "Content-Type: application/json" \\\n' +
        `  -d '{"lines":[{"sku":"TEA-1","quantity":3,"location":"LON"}],"ttl_seconds":900,"reference":"cart-8841"}'`,
    )
  })
})

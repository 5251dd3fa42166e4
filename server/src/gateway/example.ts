// An example for every shape of the contract, so that documents and curl lines show something that can be sent.
import type { Operation } from '@holdfast/contract'

/** A body that the operation takes. Nothing when it takes none. */
export const exampleBody = ({ name, input }: Operation): unknown => (input.body === undefined ? undefined : (chosen[name] ?? exampleOf(input.body)))

/** Where the schema alone would make a request that is well formed but says nothing. */
const chosen: Readonly<Record<string, unknown>> = {
  'items.create': { sku: 'TEA-1', name: 'Green tea, 100 g', price: { amount: 450, currency: 'GBP' }, reorder_point: 20 },
  'items.update': { name: 'Green tea, 125 g', safety_stock: 5 },
  // The first start has made LON.
  'locations.create': { code: 'PAR', name: 'Paris', kind: 'store' },
  'locations.update': { priority: 50 },
  'receipts.create': { location: 'LON', lines: [{ sku: 'TEA-1', quantity: 100 }], reference: 'PO-1001' },
  'adjustments.create': { location: 'LON', lines: [{ sku: 'TEA-1', delta: -1 }], reason: 'damaged' },
  'holds.place': { lines: [{ sku: 'TEA-1', quantity: 3, location: 'LON' }], ttl_seconds: 900, reference: 'cart-8841' },
  'holds.execute': {},
  'users.create': { email: 'grace@example.com', password: 'seven ducks cross the canal', role: 'operator', locations: ['LON'] },
  'users.update': { role: 'manager' },
  'auth.change_password': { current_password: 'seven ducks cross the canal', new_password: 'eight geese swim back again' },
  'api_keys.create': { name: 'Till 3', scopes: ['availability:read', 'holds:write'], locations: ['LON'] },
  'api_keys.update': { name: 'Till 4' },
  'transfers.create': { from: 'LON', to: 'PAR', lines: [{ sku: 'TEA-1', quantity: 40 }], reference: 'van-12' },
  'transfers.receive': {
    lines: [
      { sku: 'TEA-1', quantity: 37 },
      { sku: 'TEA-1', quantity: 1, to: 'damaged' },
    ],
    close: true,
  },
  'inbound_shipments.create': {
    supplier: 'Acme Teas',
    reference: 'ASN-77',
    location: 'LON',
    lines: [{ sku: 'TEA-1', quantity: 120 }],
    expected_at: '2026-12-01T08:00:00.000Z',
  },
  'inbound_shipments.receive': { lines: [{ sku: 'TEA-1', quantity: 80 }] },
  'counts.create': { location: 'LON', skus: ['TEA-1'] },
  'counts.lines': { lines: [{ sku: 'TEA-1', quantity: 118 }] },
  'webhook_endpoints.update': { events: ['hold.*'], status: 'enabled' },
  'webhook_endpoints.rotate_secret': { overlap_seconds: 86_400 },
  'webhook_endpoints.replay': { since: '2026-11-21T08:00:00.000Z', until: '2026-11-21T12:00:00.000Z' },
  'availability.check': { lines: [{ sku: 'TEA-1', quantity: 3 }] },
}

/** A file of two rows. */
export const exampleUpload = (type: string): string =>
  type === 'text/csv'
    ? 'sku,name,price_amount,price_currency,quantity,location\nTEA-1,"Green tea, 100 g",450,GBP,100,LON\nCUP-2,Cup,695,GBP,,\n'
    : '{"sku":"TEA-1","name":"Green tea, 100 g","price":{"amount":450,"currency":"GBP"},"quantity":100,"location":"LON"}\n{"sku":"CUP-2","name":"Cup"}\n'

type Schema = Readonly<Record<string, unknown>>

/** Made from the schema: its own example where it has one, else the least that fits. Objects have what is required of them. */
export const exampleOf = (schema: unknown, field = ''): unknown => {
  if (typeof schema !== 'object' || schema === null) return null
  const { type, const: constant, enum: words, examples, anyOf, properties, required, items, minimum, minItems, format } = schema as Schema // JSON schema's own words
  if (Array.isArray(examples) && examples.length > 0) return examples[0]
  if (constant !== undefined) return constant
  if (Array.isArray(words)) return words[0]
  if (Array.isArray(anyOf)) return exampleOf(anyOf[0], field)
  switch (type) {
    case 'object': {
      const wanted = Array.isArray(required) ? required : []
      const all = Object.entries((properties ?? {}) as Schema) // JSON schema's own word
      return Object.fromEntries(all.filter(([name]) => wanted.includes(name)).map(([name, property]) => [name, exampleOf(property, name)]))
    }
    case 'array':
      return minItems === 0 || items === undefined ? [] : [exampleOf(items, field)]
    case 'integer':
    case 'number':
      return integers[field] ?? (typeof minimum === 'number' && minimum > 0 ? minimum : 0)
    case 'boolean':
      return false
    case 'string':
      return format === 'date-time' ? '2026-11-21T10:15:00.000Z' : (texts[field] ?? 'text')
    default:
      return {}
  }
}

const texts: Readonly<Record<string, string>> = {
  id: 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b',
  sku: 'TEA-1',
  location: 'LON',
  from: 'LON',
  to: 'PAR',
  code: 'LON',
  name: 'Green tea, 100 g',
  reference: 'cart-8841',
  currency: 'GBP',
  hold: 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b',
  document: 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b',
  actor: 'owner',
  request_id: 'req_7k2m9q4t6v8x0z1b3d5f',
  customer: 'account-7',
  supplier: 'Acme Teas',
  brand: 'Leaf & Co',
  category: 'Tea',
  description: 'Loose leaves.',
  barcode: '5012345678900',
  next_cursor: '',
  email: 'ada@example.com',
  password: 'seven ducks cross the canal',
  current_password: 'seven ducks cross the canal',
  locations: 'LON',
  principal: 'user_01jd8w2k5v7x9n3q4r6t8y0z1b',
  address: '203.0.113.7',
  user_agent: 'Mozilla/5.0',
  action: 'user.created',
  object: 'user',
}
const integers: Readonly<Record<string, number>> = {
  quantity: 3,
  requested: 3,
  available: 2,
  held: 3,
  version: 1,
  level_version: 13,
  sequence: 4711,
  amount: 450,
  priority: 100,
  ttl_seconds: 900,
  on_hand: 10,
  counted: 118,
  expected: 120,
  difference: -2,
}

// What a first start says, and something to try it on.
import type { FirstOnes } from './services/identity/identity.ts'

const SKU = 'DEMO-TEA'
const LOCATION = 'LON'

/** An item, a location and a hundred units, made through the front door like everybody's. Says whether they are there. */
export const seedDemo = async (url: string, key: string): Promise<boolean> => {
  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'idempotency-key': `demo${path}` },
      body: JSON.stringify(body),
    })
    await response.body?.cancel()
    return response.ok || response.status === 409
  }
  return (
    (await post('/v1/locations', { code: LOCATION, name: 'London' })) &&
    (await post('/v1/items', { sku: SKU, name: 'Tea for trying things out' })) &&
    (await post('/v1/receipts', { location: LOCATION, lines: [{ sku: SKU, quantity: 100 }], reference: 'demo' }))
  )
}

/** Where it listens, and what there is only one occasion to show. */
export const whatWasMade = ({ url, first }: { readonly url: string; readonly first: FirstOnes }): string =>
  lines([`Holdfast listens on ${url}`, `The reference is at   ${url}/docs`, ...firstOnes(first)])

/** The same of a process that only other roles ask. */
export const whoListens = ({ url, first, roles }: { readonly url: string; readonly first: FirstOnes; readonly roles: ReadonlySet<string> }): string =>
  lines([`Holdfast (${[...roles].join(', ')}) listens on ${url}`, ...firstOnes(first)])

const firstOnes = ({ admin, madeKey, keyIsRevoked }: FirstOnes): string[] => [
  ...(admin || madeKey !== undefined ? [''] : []),
  ...(admin ? [`First administrator   ${admin.email}`] : []),
  ...(admin?.madePassword === undefined ? [] : [`Password (shown once) ${admin.madePassword}`]),
  ...(madeKey === undefined ? [] : [`API key (shown once)  ${madeKey}`]),
  ...(keyIsRevoked ? ['HOLDFAST_API_KEY is a key that was revoked; it is refused.'] : []),
]
const lines = (said: readonly string[]): string => `${said.join('\n')}\n`

export const tryIt = ({ url, first, demo }: { readonly url: string; readonly first: FirstOnes; readonly demo: boolean }): string => {
  const lines = ['', whatWasMade({ url, first })]
  const key = first.madeKey ?? '$HOLDFAST_API_KEY'
  const needed = [
    ...(first.madeKey === undefined ? ['your key in HOLDFAST_API_KEY'] : []),
    ...(demo ? [] : [`stock of your own in place of ${SKU} at ${LOCATION}`]),
  ]
  if (demo) lines.push(`There are 100 units of ${SKU} at ${LOCATION}.`)
  lines.push(`These three lines hold three units, execute the hold, and ship it${needed.length === 0 ? '' : `, with ${needed.join(' and ')}`}:`)
  lines.push(
    '',
    `HOLD=$(curl -sw '\\n' ${url}/v1/holds -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -H "Idempotency-Key: try-$(date +%s)" -d '{"lines":[{"sku":"${SKU}","quantity":3,"location":"${LOCATION}"}]}' | tee /dev/stderr | sed -n 's/.*"id":"\\(hold_[^"]*\\)".*/\\1/p')`,
    `curl -sw '\\n' -X POST ${url}/v1/holds/$HOLD/execute -H "Authorization: Bearer ${key}" -H "Idempotency-Key: execute-$HOLD"`,
    `curl -sw '\\n' ${url}/v1/shipments -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -H "Idempotency-Key: ship-$HOLD" -d "{\\"hold\\":\\"$HOLD\\"}"`,
    '',
  )
  if (first.madeKey !== undefined) lines.push('And this one lets the CLI and the replay find the key:', '', `export HOLDFAST_API_KEY=${first.madeKey}`, '')
  lines.push('')
  return lines.join('\n')
}

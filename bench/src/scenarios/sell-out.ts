// More callers than units: two servers on one database sell the last units of one item, until nobody gets any more.
import type { Auditor } from '../audit.ts'
import { LOCATION, startHoldfast, type Server } from '../holdfast.ts'
import type { Database, Postgres } from '../postgres.ts'
import { driveHolds } from '../wrk.ts'
import type { Pace } from './measured.ts'

const SKU = 'LAST'
const LAST_UNITS = 5_000
const SERVERS = 2
const CONNECTIONS_EACH = 128
/** Times that the callers come back, on a machine so slow that there are units left. */
const ATTEMPTS = 20

export type SoldOut = { readonly units: number; readonly accepted: number; readonly refused: number; readonly wrong: readonly string[] }

export const sellOut = async (
  { postgres, audit }: { readonly postgres: Postgres; readonly audit: Auditor },
  stocked: Database,
  { seconds }: Pace,
): Promise<SoldOut> => {
  const database = await postgres.make('run', stocked)
  try {
    const servers: Server[] = []
    let accepted = 0
    let refused = 0
    let available: number
    try {
      for (let n = 0; n < SERVERS; n += 1) servers.push(await startHoldfast(database))
      const [first] = servers
      if (first === undefined) throw new Error('no server was started')
      await first.stock.items.create({ sku: SKU, name: 'The last ones' })
      await first.stock.receipts.create({ location: LOCATION, lines: [{ sku: SKU, quantity: LAST_UNITS }] })
      for (let attempt = 1; refused === 0 && attempt <= ATTEMPTS; attempt += 1) {
        const driven = await Promise.all(
          servers.map(({ url }, n) => driveHolds({ url, wanted: { sku: SKU }, seconds, connections: CONNECTIONS_EACH, name: `last-${n}-${attempt}` })),
        )
        for (const one of driven) {
          accepted += one.accepted
          refused += one.refused
        }
      }
      available = (await first.stock.availability.get(SKU)).availableToSell
    } finally {
      await Promise.all(servers.map((server) => server.stop()))
    }
    const { holds, wrong } = await audit.check('sold out by two servers', database, accepted)
    return {
      units: LAST_UNITS,
      accepted,
      refused,
      wrong: [
        ...wrong,
        ...(holds === LAST_UNITS && available === 0 && refused > 0
          ? []
          : [`${LAST_UNITS} units were to be sold to the last: ${holds} holds, ${available} left, ${refused} refusals`]),
      ],
    }
  } finally {
    await database.drop()
  }
}

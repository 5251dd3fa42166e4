import { resources } from './resources.ts'
import { type ClientOptions, createTransport, realSurroundings, type Surroundings } from './send.ts'

export type Holdfast = ReturnType<typeof resources>

/**
 * A client of one Holdfast server. It holds no connection that must be closed, and may be used by everything in a process.
 * @example
 * const stock = holdfast({ url, apiKey })
 * const hold = await stock.holds.place({ lines: [{ sku: 'TEA-1', quantity: 3 }], ttlSeconds: 900 }, { idempotencyKey: cart.id })
 * await stock.holds.execute(hold.id)
 */
export const holdfast = (options: ClientOptions, surroundings: Surroundings = realSurroundings): Holdfast => resources(createTransport(options, surroundings))

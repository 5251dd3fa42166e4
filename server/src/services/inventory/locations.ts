// Locations: making, changing, deactivating, reading.
import { audit, changesBetween } from '../../storage/audit.ts'
import { appendEvent } from '../../storage/events.ts'
import { keyOf } from '../../storage/idempotency.ts'
import { hasStock } from '../../storage/levels.ts'
import {
  insertLocation,
  listLocations,
  locationsChangedAfter,
  lockLocation,
  setLocationSequence,
  updateLocation,
  type Location,
  type LocationFields,
} from '../../storage/locations.ts'
import { transaction, type Connection } from '../../storage/pool.ts'
import { Refused, invalidCursor, pageOf } from '../answer.ts'
import type { Answer, Call, Handlers } from '../service.ts'
import { createOnce } from './creation.ts'
import type { InventoryDeps } from './inventory.ts'
import { namedLocation } from './named.ts'
import { renderLocation, type WireLocation } from './render.ts'

export const locationHandlers = ({ catalog, pool }: InventoryDeps): Handlers['locations'] => {
  /** Tells what became of a location, as the last thing in its transaction. */
  const told = async (
    connection: Connection,
    type: 'location.created' | 'location.updated' | 'location.deactivated',
    before: Location | null,
    location: Location,
    call: Call,
  ): Promise<Location> => {
    const changes = changesBetween(before && renderLocation(before), renderLocation(location))
    await audit(connection, call, { action: type, subject: { kind: 'location', id: location.code }, changes })
    const sequence = await appendEvent(connection, {
      type,
      subject: { kind: 'location', id: location.code, version: location.version },
      actor: call.caller.principal,
      requestId: call.requestId,
      data: renderLocation(location),
    })
    await setLocationSequence(connection, location.number, sequence)
    return { ...location, sequence }
  }
  const answered = (location: Location): Answer<WireLocation> => {
    catalog.locationChanged(location)
    return { ok: true, body: renderLocation(location), sequence: location.sequence }
  }
  const existing = async (connection: Connection, code: string): Promise<Location> => {
    const location = await lockLocation(connection, code)
    if (location === undefined) throw new Refused('not_found', `there is no location ${code}`)
    return location
  }

  return {
    create: ({ body }, call) =>
      createOnce({
        pool,
        key: keyOf({ operation: 'locations.create', input: body, call }),
        make: async (connection) => told(connection, 'location.created', null, await insertLocation(connection, fieldsOf(body)), call),
        render: renderLocation,
        stands: (location) => catalog.locationChanged(location),
        taken: `there is a location ${body.code} already`,
      }),
    update: async ({ params, body }, call) => {
      const location = await transaction(pool, async (connection) => {
        const before = await existing(connection, params.code)
        const { if_version: ifVersion, ...changes } = body
        if (ifVersion !== undefined && ifVersion !== before.version)
          throw new Refused('version_conflict', `${params.code} has version ${before.version}, not ${ifVersion}`, { current_version: before.version })
        return told(connection, 'location.updated', before, await updateLocation(connection, before.number, { ...before, ...changes }), call)
      })
      return answered(location)
    },
    deactivate: async ({ params }, call) => {
      const location = await transaction(pool, async (connection) => {
        const before = await existing(connection, params.code)
        if (before.status === 'inactive') return before
        if (await hasStock(connection, before.number)) throw new Refused('location_not_empty', `${params.code} has stock, or stock on its way`)
        return told(connection, 'location.deactivated', before, await updateLocation(connection, before.number, { ...before, status: 'inactive' }), call)
      })
      return answered(location)
    },
    get: async ({ params }) => {
      const { number } = await namedLocation(catalog, params.code, { inactive: 'taken' })
      const location = (await locationsChangedAfter(pool, 0)).find((other) => other.number === number)
      if (location === undefined) throw new Refused('not_found', `there is no location ${params.code}`)
      return { ok: true, body: renderLocation(location) }
    },
    list: ({ query }) =>
      pageOf(query, {
        read: async (limit) => {
          const { status, kind, starting_after: after } = query
          const last = after === undefined ? undefined : await catalog.location(after)
          if (after !== undefined && last === undefined) throw invalidCursor(after)
          return listLocations(pool, { status: status ?? null, kind: kind ?? null, before: last?.number ?? null, limit })
        },
        render: renderLocation,
        cursorOf: (location) => location.code,
      }),
  }
}

type Creation = Parameters<Handlers['locations']['create']>[0]['body']

const fieldsOf = (body: Creation): LocationFields => ({
  code: body.code,
  name: body.name,
  kind: body.kind ?? 'warehouse',
  priority: body.priority ?? 100,
  address: body.address ?? null,
  latitude: body.latitude ?? null,
  longitude: body.longitude ?? null,
  metadata: body.metadata ?? {},
  status: 'active',
})

// Locations: the places that hold stock.
import type { LocationNumber } from '../domain/ids.ts'
import { ms } from './codec.ts'
import { taken } from './fault.ts'
import type { Connection, Pool } from './pool.ts'

export type LocationKind = 'warehouse' | 'store' | 'third_party'
export type LocationStatus = 'active' | 'inactive'
export type LocationFields = {
  readonly code: string
  readonly name: string
  readonly kind: LocationKind
  readonly priority: number
  readonly address: Readonly<Record<string, string>> | null
  readonly latitude: number | null
  readonly longitude: number | null
  readonly metadata: Readonly<Record<string, string>>
  readonly status: LocationStatus
}
export type Location = LocationFields & {
  readonly number: LocationNumber
  readonly version: number
  readonly sequence: number
  readonly createdAt: number
  readonly updatedAt: number
}

const columns = `l.id, l.code, l.name, l.kind, l.priority, l.address, l.latitude, l.longitude, l.metadata, l.status, l.version, l.sequence,
       ${ms('l.created_at')} as created_at, ${ms('l.updated_at')} as updated_at`

/** Throws a Fault of kind `refused` when there is one with this code. */
export const insertLocation = async (connection: Connection, location: LocationFields): Promise<Location> => {
  const { rows } = await connection.query(
    `
insert into locations as l (code, name, kind, priority, address, latitude, longitude, metadata, status, sequence, created_at, updated_at)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, 0, clock.now, clock.now
  from (select date_trunc('milliseconds', clock_timestamp()) as now) as clock
 where not exists (select from locations as other where other.code = $1)
returning ${columns}`,
    valuesOf(location),
  )
  if (rows[0] === undefined) throw taken(location.code)
  return locationOf(rows[0])
}

/** Writes all fields of a location that was locked, and makes its next version. */
export const updateLocation = async (connection: Connection, number: LocationNumber, location: LocationFields): Promise<Location> => {
  const { rows } = await connection.query(
    `
update locations as l
   set name = $2, kind = $3, priority = $4, address = $5, latitude = $6, longitude = $7, metadata = $8, status = $9, version = l.version + 1,
       updated_at = greatest(l.updated_at, date_trunc('milliseconds', clock_timestamp()))
 where l.id = $10 and l.code = $1
returning ${columns}`,
    [...valuesOf(location), number],
  )
  return locationOf(rows[0])
}

export const setLocationSequence = async (connection: Connection, number: LocationNumber, sequence: number): Promise<void> => {
  await connection.query('update locations as l set sequence = $2 where l.id = $1', [number, sequence])
}

export const lockLocation = async (connection: Connection, code: string): Promise<Location | undefined> => {
  const { rows } = await connection.query(`select ${columns} from locations as l where l.code = $1 for update`, [code])
  return rows[0] ? locationOf(rows[0]) : undefined
}

/** Those of these codes that there are. */
export const knownLocations = async (pool: Pool, codes: readonly string[]): Promise<string[]> => {
  const { rows } = await pool.query<{ code: string }>('select l.code from locations as l where l.code = any($1) order by l.code', [codes])
  return rows.map(({ code }) => code)
}

/** Locations changed after a sequence, oldest change first. */
export const locationsChangedAfter = async (pool: Pool, sequence: number): Promise<Location[]> => {
  const { rows } = await pool.query({
    name: 'locations-changed',
    text: `select ${columns} from locations as l where l.sequence > $1 order by l.sequence`,
    values: [sequence],
  })
  return rows.map(locationOf)
}

export type LocationFilter = {
  readonly status: LocationStatus | null
  readonly kind: LocationKind | null
  readonly before: number | null
  readonly limit: number
}

/** Newest first. */
export const listLocations = async (pool: Pool, { status, kind, before, limit }: LocationFilter): Promise<Location[]> => {
  const { rows } = await pool.query(
    `
select ${columns}
  from locations as l
 where ($1::text is null or l.status = $1)
   and ($2::text is null or l.kind = $2)
   and ($3::int is null or l.id < $3)
 order by l.id desc
 limit $4`,
    [status, kind, before, limit],
  )
  return rows.map(locationOf)
}

const valuesOf = (location: LocationFields): unknown[] => [
  location.code,
  location.name,
  location.kind,
  location.priority,
  location.address === null ? null : JSON.stringify(location.address),
  location.latitude,
  location.longitude,
  JSON.stringify(location.metadata),
  location.status,
]

type LocationRow = {
  id: LocationNumber
  code: string
  name: string
  kind: LocationKind
  priority: number
  address: Record<string, string> | null
  latitude: number | null
  longitude: number | null
  metadata: Record<string, string>
  status: LocationStatus
  version: number
  sequence: number
  created_at: number
  updated_at: number
}

const locationOf = (row: LocationRow): Location => ({
  number: row.id,
  code: row.code,
  name: row.name,
  kind: row.kind,
  priority: row.priority,
  address: row.address,
  latitude: row.latitude,
  longitude: row.longitude,
  metadata: row.metadata,
  status: row.status,
  version: row.version,
  sequence: row.sequence,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})

import { Type } from 'typebox'
import { operation } from './operation.ts'
import { closed, instant, list, locationCode, metadata, name, nullable, oneOf, page, pairs, version } from './schema.ts'

const locationKind = oneOf(['warehouse', 'store', 'third_party'])
const locationStatus = oneOf(['active', 'inactive'])

const address = pairs(20, 'Street, town, …, each under a name of your own.')
const latitude = Type.Number({ minimum: -90, maximum: 90 })
const longitude = Type.Number({ minimum: -180, maximum: 180 })

export const location = Type.Object({
  object: Type.Literal('location'),
  code: Type.String(),
  name: Type.String(),
  kind: locationKind,
  priority: Type.Integer({ description: 'Smaller is asked first when a line names no location.' }),
  address: nullable(address),
  latitude: nullable(Type.Number()),
  longitude: nullable(Type.Number()),
  metadata,
  status: locationStatus,
  version,
  created_at: instant,
  updated_at: instant,
})

const changeable = {
  kind: Type.Optional(locationKind),
  priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000, default: 100 })),
  address: Type.Optional(nullable(address)),
  latitude: Type.Optional(nullable(latitude)),
  longitude: Type.Optional(nullable(longitude)),
  metadata: Type.Optional(metadata),
}
const params = closed({ code: locationCode })

export const locations = {
  create: operation({
    name: 'locations.create',
    summary: 'Make a location',
    method: 'POST',
    path: '/v1/locations',
    service: 'inventory',
    scope: 'items:write',
    reach: 'everywhere',
    input: { body: closed({ code: locationCode, name, ...changeable }) },
    output: location,
    status: 201,
    rejections: ['already_exists', 'idempotency_key_reused'],
    movesStock: false,
  }),
  list: operation({
    name: 'locations.list',
    summary: 'List locations',
    method: 'GET',
    path: '/v1/locations',
    service: 'inventory',
    scope: 'items:read',
    reach: 'nowhere',
    input: { query: page({ status: Type.Optional(locationStatus), kind: Type.Optional(locationKind) }) },
    output: list(location),
    status: 200,
    rejections: [],
    movesStock: false,
  }),
  get: operation({
    name: 'locations.get',
    summary: 'Read a location',
    method: 'GET',
    path: '/v1/locations/{code}',
    service: 'inventory',
    scope: 'items:read',
    reach: 'nowhere',
    input: { params },
    output: location,
    status: 200,
    rejections: ['not_found'],
    movesStock: false,
  }),
  update: operation({
    name: 'locations.update',
    summary: 'Change a location',
    method: 'PATCH',
    path: '/v1/locations/{code}',
    service: 'inventory',
    scope: 'items:write',
    reach: 'everywhere',
    input: {
      params,
      body: closed({
        name: Type.Optional(name),
        ...changeable,
        status: Type.Optional(oneOf(['active'], 'Makes an inactive location active again.')),
        if_version: Type.Optional(version),
      }),
    },
    output: location,
    status: 200,
    rejections: ['not_found', 'version_conflict'],
    movesStock: false,
  }),
  deactivate: operation({
    name: 'locations.deactivate',
    summary: 'Deactivate a location; refused while it has stock',
    method: 'DELETE',
    path: '/v1/locations/{code}',
    service: 'inventory',
    scope: 'items:write',
    reach: 'everywhere',
    input: { params },
    output: location,
    status: 200,
    rejections: ['not_found', 'location_not_empty'],
    movesStock: false,
  }),
}

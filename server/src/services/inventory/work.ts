// Documents with a life of their own: transfers, inbound shipments and counts.
import type { Arrival } from '../../domain/arrival.ts'
import type { Command } from '../../domain/decide.ts'
import type { Adjustable } from '../../domain/document.ts'
import { encodeId, type Uuid } from '../../domain/ids.ts'
import { instant } from '../../domain/instant.ts'
import type { WorkKind } from '../../domain/work.ts'
import { getWork, listWorks, type WorkOf } from '../../storage/work-documents.ts'
import type { Answer, Call, Handlers } from '../service.ts'
import type { InventoryDeps } from './inventory.ts'
import { pageOf } from './list.ts'
import { cursorId, namedId, namedItems, namedLocation } from './named.ts'
import { answerOf, itemsOf, renderWork, type WireWork } from './render.ts'
import { digest } from '../../storage/idempotency.ts'
import { Refused, type Submit } from './submit.ts'

type Query = {
  readonly limit?: number
  readonly starting_after?: string
  readonly status?: string
  readonly reference?: string
  readonly location?: string
}
type WireLine = { readonly sku: string; readonly quantity: number }
type WireArrival = { readonly lines?: readonly (WireLine & { readonly to?: Adjustable })[]; readonly close?: boolean; readonly accept_excess?: boolean }
type Acting<Body> = { readonly params: { readonly id: string }; readonly query: { readonly dry_run?: boolean }; readonly body: Body }

export const workHandlers = (deps: InventoryDeps, submit: Submit): Pick<Handlers, 'transfers' | 'inbound_shipments' | 'counts'> => {
  const { catalog, newId, pool } = deps

  const existing = async <Kind extends WorkKind>(kind: Kind, id: string): Promise<WorkOf<Kind>> => {
    const work = await getWork(pool, kind, namedId(kind, id))
    if (work === undefined) throw new Refused('not_found', `there is no ${kind.replace('_', ' ')} ${id}`)
    return work
  }
  const read = <Kind extends WorkKind>(kind: Kind) => ({
    get: async ({ params }: { readonly params: { readonly id: string } }): Promise<Answer<WireWork[Kind]>> => {
      const work = await existing(kind, params.id)
      await catalog.remember(itemsOf(answerOf(work)))
      return { ok: true, body: renderWork(kind, work, catalog) }
    },
    list: async ({ query }: { readonly query: Query }) => {
      const { status, reference, location, starting_after: after } = query
      const at = location === undefined ? null : (await namedLocation(catalog, location, { inactive: 'taken' })).number
      return pageOf(query, {
        read: async (limit) => {
          const before = after === undefined ? null : cursorId(kind, after)
          const works = await listWorks(pool, kind, { status: status ?? null, reference: reference ?? null, location: at, before, limit })
          await catalog.remember(works.flatMap((work) => itemsOf(answerOf(work))))
          return works
        },
        render: (work) => renderWork(kind, work, catalog),
        cursorOf: (work) => encodeId(kind, work.id),
      })
    },
  })

  /** An action on a document: the operation's name, the document's kind, and what it asks of the ledger. */
  const act =
    <Kind extends WorkKind, Body extends object>(operation: string, kind: Kind, makeCommand: (id: Uuid, body: Body) => Promise<Command> | Command) =>
    ({ params, query, body }: Acting<Body>, call: Call) =>
      submit({ operation, input: { id: params.id, ...body }, call, dryRun: query.dry_run === true }, kind, async () =>
        makeCommand(namedId(kind, params.id), body),
      )

  const linesOf = async (lines: readonly WireLine[]) => {
    const item = await namedItems(catalog, lines, { archived: 'refused' })
    return lines.map(({ sku, quantity }) => ({ item: item(sku), quantity }))
  }
  const arrivalOf = async ({ lines, close, accept_excess: acceptExcess }: WireArrival): Promise<Arrival> => {
    const item = await namedItems(catalog, lines ?? [], { archived: 'taken' })
    return {
      lines: lines === undefined ? null : lines.map(({ sku, quantity, to }) => ({ item: item(sku), quantity, to: to ?? 'available' })),
      close: close ?? false,
      acceptExcess: acceptExcess ?? false,
    }
  }
  const placeOf = async (code: string) => (await namedLocation(catalog, code, { inactive: 'refused' })).number

  return {
    transfers: {
      ...read('transfer'),
      create: ({ body, query }, call) =>
        submit({ operation: 'transfers.create', input: body, call, dryRun: query.dry_run === true }, 'transfer', async () => {
          if (body.from === body.to) throw invalid('to', 'must be another location than from')
          return {
            type: 'PlanTransfer',
            id: newId(),
            lines: await linesOf(body.lines),
            from: await placeOf(body.from),
            to: await placeOf(body.to),
            reference: body.reference ?? null,
            metadata: body.metadata ?? {},
          }
        }),
      dispatch: act('transfers.dispatch', 'transfer', (id) => ({ type: 'DispatchTransfer', id })),
      receive: act('transfers.receive', 'transfer', async (id, body: WireArrival) => ({ type: 'ReceiveTransfer', id, ...(await arrivalOf(body)) })),
      cancel: act('transfers.cancel', 'transfer', (id) => ({ type: 'CancelTransfer', id })),
    },
    inbound_shipments: {
      ...read('inbound_shipment'),
      create: ({ body, query }, call) =>
        submit({ operation: 'inbound_shipments.create', input: body, call, dryRun: query.dry_run === true }, 'inbound_shipment', async () => ({
          type: 'AnnounceInbound',
          id: newId(),
          supplier: body.supplier,
          lines: await linesOf(body.lines),
          location: await placeOf(body.location),
          expectedAt: body.expected_at === undefined ? null : instant(Date.parse(body.expected_at)),
          unique: body.reference === undefined ? null : digest(`inbound_shipment\n${body.supplier}\n${body.reference}`),
          reference: body.reference ?? null,
          metadata: body.metadata ?? {},
        })),
      receive: act('inbound_shipments.receive', 'inbound_shipment', async (id, body: WireArrival) => ({
        type: 'ReceiveInbound',
        id,
        ...(await arrivalOf(body)),
      })),
      cancel: act('inbound_shipments.cancel', 'inbound_shipment', (id) => ({ type: 'CancelInbound', id })),
    },
    counts: {
      ...read('count'),
      create: ({ body, query }, call) =>
        submit({ operation: 'counts.create', input: body, call, dryRun: query.dry_run === true }, 'count', async () => {
          const item = await namedItems(
            catalog,
            (body.skus ?? []).map((sku) => ({ sku })),
            { archived: 'taken' },
          )
          return {
            type: 'OpenCount',
            id: newId(),
            location: await placeOf(body.location),
            items: body.skus?.map((sku) => item(sku)) ?? null,
            reference: body.reference ?? null,
            metadata: body.metadata ?? {},
          }
        }),
      lines: ({ params, body, query }, call) =>
        submit({ operation: 'counts.lines', input: { id: params.id, ...body }, call, dryRun: query.dry_run === true }, 'count', async () => {
          const { id, location } = await existing('count', params.id)
          const item = await namedItems(catalog, body.lines, { archived: 'taken' })
          return {
            type: 'CountItems',
            id,
            location,
            lines: body.lines.map(({ sku, quantity, as_of_sequence: asOf }) => ({ item: item(sku), quantity, asOf: asOf ?? null })),
          }
        }),
      approve: act('counts.approve', 'count', (id) => ({ type: 'ApproveCount', id })),
      cancel: act('counts.cancel', 'count', (id) => ({ type: 'CancelCount', id })),
    },
  }
}

const invalid = (param: string, message: string) => new Refused('invalid_request', `${param} ${message}`, { errors: [{ param, message }] })

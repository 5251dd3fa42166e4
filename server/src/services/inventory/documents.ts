// Receipts, adjustments, shipments and returns.
import { encodeId, type Uuid } from '../../domain/ids.ts'
import type { DocumentAnswer } from '../../domain/event.ts'
import type { AdjustmentLine } from '../../domain/adjustment.ts'
import { getDocument, listDocuments, type DocumentKind, type WrittenDocument } from '../../storage/documents.ts'
import { getHolds } from '../../storage/holds.ts'
import { Refused, cursorId, namedId, pageOf, type Page } from '../answer.ts'
import type { Answer, Call, Handlers } from '../service.ts'
import type { InventoryDeps } from './inventory.ts'
import { namedItems, namedLocation } from './named.ts'
import { checkHold, isSeen, listed, reachOf, seen, within, type Reach } from './reach.ts'
import { itemsOf, renderAnswer, renderHold, type WireAdjustment, type WireHold, type WireReceipt, type WireReturn, type WireShipment } from './render.ts'
import { type Submit } from './submit.ts'

type Wire = { receipt: WireReceipt; adjustment: WireAdjustment; shipment: WireShipment; return: WireReturn }
type Expanding = { readonly expand?: readonly string[] }
type Query = Expanding & { readonly limit?: number; readonly starting_after?: string; readonly reference?: string; readonly hold?: string }

export const documentHandlers = (deps: InventoryDeps, submit: Submit): Pick<Handlers, 'receipts' | 'adjustments' | 'shipments' | 'returns'> => {
  const { catalog, newId, pool } = deps

  /** The holds that documents belong to, when they are to be filled in. */
  const holdsOf = async (
    documents: readonly { readonly body: DocumentAnswer }[],
    { expand }: Expanding,
    reach: Reach,
  ): Promise<ReadonlyMap<Uuid, WireHold>> => {
    const ids = expand?.includes('hold') ? documents.flatMap(({ body }) => holdOf(body) ?? []) : []
    if (ids.length === 0) return new Map()
    const holds = (await getHolds(pool, [...new Set(ids)])).filter((hold) => seen(reach, hold) !== undefined)
    await catalog.remember(holds.flatMap((hold) => itemsOf({ kind: 'hold', hold })))
    return new Map(holds.map((hold) => [hold.id, renderHold(hold, catalog)]))
  }
  const render = <Kind extends DocumentKind>({ body, sequence }: WrittenDocument<Kind>, holds: ReadonlyMap<Uuid, WireHold>): Wire[Kind] => {
    const wire = renderAnswer(body, sequence, catalog) as Wire[Kind] // the kind asked for
    const id = holdOf(body)
    const hold = id === null ? undefined : holds.get(id)
    return hold === undefined ? wire : { ...wire, hold }
  }

  const ownLocation = async (code: string, { caller }: Call) =>
    within(await reachOf(catalog, caller), await namedLocation(catalog, code, { inactive: 'refused' }))
  /** The hold that a caller wants to act on, if they may. */
  const ownHold = async (id: string, { caller }: Call): Promise<Uuid> => {
    const hold = namedId('hold', id)
    if (caller.locations !== null) await checkHold(await reachOf(catalog, caller), pool, hold)
    return hold
  }

  const read = <Kind extends DocumentKind>(kind: Kind) => ({
    get: async ({ params, query }: { params: { id: string }; query: Expanding }, { caller }: Call): Promise<Answer<Wire[Kind]>> => {
      const reach = await reachOf(catalog, caller)
      const document = await getDocument(pool, kind, namedId(kind, params.id))
      if (document === undefined || !isSeen(reach, document.body)) throw new Refused('not_found', `there is no ${kind} ${params.id}`)
      await catalog.remember(itemsOf(document.body))
      return { ok: true, body: render(document, await holdsOf([document], query, reach)), sequence: document.sequence }
    },
    list: async ({ query }: { query: Query }, { caller }: Call): Promise<Answer<Page<Wire[Kind]>>> => {
      const reach = await reachOf(catalog, caller)
      let holds: ReadonlyMap<Uuid, WireHold> = new Map()
      return pageOf(query, {
        read: async (limit) => {
          const documents = await listDocuments(pool, kind, {
            reference: query.reference ?? null,
            hold: query.hold === undefined ? null : namedId('hold', query.hold),
            locations: listed(reach),
            before: query.starting_after === undefined ? null : cursorId(kind, query.starting_after),
            limit,
          })
          await catalog.remember(documents.flatMap((document) => itemsOf(document.body)))
          holds = await holdsOf(documents, query, reach)
          return documents
        },
        render: (document) => render(document, holds),
        cursorOf: (document) => encodeId(kind, document.id),
      })
    },
  })

  return {
    receipts: {
      ...read('receipt'),
      create: ({ body, query }, call) =>
        submit({ operation: 'receipts.create', input: body, call, dryRun: query.dry_run === true }, 'receipt', async () => {
          const item = await namedItems(catalog, body.lines, { archived: 'refused' })
          const location = await ownLocation(body.location, call)
          return {
            type: 'ReceiveStock',
            id: newId(),
            location: location.number,
            lines: body.lines.map(({ sku, quantity }) => ({ item: item(sku), quantity })),
            reference: body.reference ?? null,
            metadata: body.metadata ?? {},
          }
        }),
    },
    adjustments: {
      ...read('adjustment'),
      create: ({ body, query }, call) =>
        submit({ operation: 'adjustments.create', input: body, call, dryRun: query.dry_run === true }, 'adjustment', async () => {
          const item = await namedItems(catalog, body.lines, { archived: 'taken' })
          const location = await ownLocation(body.location, call)
          if (body.if_version !== undefined && new Set(body.lines.map((line) => line.sku)).size > 1)
            throw invalid([{ param: 'if_version', message: 'is for a document of one item; with several, each line has its own' }])
          const errors: { param: string; message: string }[] = []
          const lines = body.lines.flatMap((line, index): AdjustmentLine[] => {
            const movement = movementOf(line)
            if (typeof movement === 'string') {
              errors.push({ param: `lines[${index}]`, message: movement })
              return []
            }
            return [{ item: item(line.sku), ...movement, ifVersion: line.if_version ?? body.if_version ?? null }]
          })
          if (errors.length > 0) throw invalid(errors)
          return {
            type: 'AdjustStock',
            id: newId(),
            location: location.number,
            reason: body.reason,
            lines,
            reference: body.reference ?? null,
            metadata: body.metadata ?? {},
          }
        }),
    },
    shipments: {
      ...read('shipment'),
      create: ({ body, query }, call) =>
        submit({ operation: 'shipments.create', input: body, call, dryRun: query.dry_run === true }, 'shipment', async () => {
          const hold = await ownHold(body.hold, call)
          const item = body.lines && (await namedItems(catalog, body.lines, { archived: 'taken' }))
          return {
            type: 'ShipHold',
            id: newId(),
            hold,
            lines: body.lines && item ? body.lines.map(({ sku, quantity }) => ({ item: item(sku), quantity })) : null,
            reference: body.reference ?? null,
            metadata: body.metadata ?? {},
          }
        }),
    },
    returns: {
      ...read('return'),
      create: ({ body, query }, call) =>
        submit({ operation: 'returns.create', input: body, call, dryRun: query.dry_run === true }, 'return', async () => {
          const item = await namedItems(catalog, body.lines, { archived: 'taken' })
          const location = await ownLocation(body.location, call)
          return {
            type: 'ReturnStock',
            id: newId(),
            hold: body.hold === undefined ? null : await ownHold(body.hold, call),
            location: location.number,
            lines: body.lines.map(({ sku, quantity, to }) => ({ item: item(sku), quantity, to: to ?? 'available' })),
            reference: body.reference ?? null,
            metadata: body.metadata ?? {},
          }
        }),
    },
  }
}

const holdOf = (body: DocumentAnswer): Uuid | null => (body.kind === 'shipment' ? body.shipment.hold : body.kind === 'return' ? body.return.hold : null)

const invalid = (errors: readonly { param: string; message: string }[]) =>
  new Refused('invalid_request', errors.map(({ param, message }) => `${param} ${message}`).join('; '), { errors })

type WireLine = { delta?: number; quantity?: number; from?: AdjustmentLine['from']; to?: AdjustmentLine['to'] }

/** A line as one movement, or what is wrong with it. */
const movementOf = ({ delta, quantity, from, to }: WireLine): Pick<AdjustmentLine, 'from' | 'to' | 'quantity'> | string => {
  const moves = quantity !== undefined || from !== undefined || to !== undefined
  if (delta !== undefined) {
    if (moves) return 'takes either delta, or quantity with from and to'
    if (delta === 0) return 'has a delta of zero, which changes nothing'
    return delta > 0 ? { from: 'shrinkage', to: 'available', quantity: delta } : { from: 'available', to: 'shrinkage', quantity: -delta }
  }
  if (quantity === undefined || from === undefined || to === undefined) return 'needs delta, or quantity with from and to'
  return from === to ? `moves from ${from} to ${to}, which changes nothing` : { from, to, quantity }
}

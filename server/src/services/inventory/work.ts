// Documents with a life of their own: transfers, inbound shipments and counts.
import { MAX_LINES } from '@holdfast/contract'
import type { Arrival } from '../../domain/arrival.ts'
import type { Command } from '../../domain/decide.ts'
import type { Count } from '../../domain/count.ts'
import type { Adjustable } from '../../domain/document.ts'
import { encodeId, type LocationNumber } from '../../domain/ids.ts'
import type { InboundShipment } from '../../domain/inbound-shipment.ts'
import { instant } from '../../domain/instant.ts'
import type { Transfer } from '../../domain/transfer.ts'
import { answerOf, type WorkKind } from '../../domain/work.ts'
import { headSequence } from '../../storage/events.ts'
import { digest } from '../../storage/idempotency.ts'
import { getWork, listWorks, type WorkOf } from '../../storage/work-documents.ts'
import { cursorId, invalid, namedId, noSuch, pageOf, wordOf } from '../answer.ts'
import type { Answer, Call, Handlers } from '../service.ts'
import type { InventoryDeps } from './inventory.ts'
import { namedItems, namedLocation } from './named.ts'
import { checkPlace, isSeen, listed, reachOf, within, type Reach } from './reach.ts'
import { itemsOf, renderWork, type WireShortage, type WireWork } from './render.ts'
import { inShort, type Submit } from './submit.ts'

type Query = {
  readonly limit?: number
  readonly starting_after?: string
  readonly status?: string
  readonly reference?: string
  readonly location?: string
}
type WireLine = { readonly sku: string; readonly quantity: number }
type CountedLine = WireLine & { readonly as_of_sequence?: number }
type WireArrival = { readonly lines?: readonly (WireLine & { readonly to?: Adjustable })[]; readonly close?: boolean; readonly accept_excess?: boolean }
type Acting<Body> = { readonly params: { readonly id: string }; readonly query: { readonly dry_run?: boolean }; readonly body: Body }

export const workHandlers = (deps: InventoryDeps, submit: Submit): Pick<Handlers, 'transfers' | 'inbound_shipments' | 'counts'> => {
  const { catalog, newId, pool } = deps

  const existing = async <Kind extends WorkKind>(kind: Kind, id: string, reach: Reach): Promise<WorkOf<Kind>> => {
    const work = await getWork(pool, kind, namedId(kind, id))
    if (work === undefined || !isSeen(reach, answerOf(work))) throw noSuch(kind, id)
    // What it names is told in answers, and what its items keep back is asked where they have not been before.
    await catalog.remember(itemsOf(answerOf(work)))
    return work
  }
  const read = <Kind extends WorkKind>(kind: Kind) => ({
    get: async ({ params }: { readonly params: { readonly id: string } }, { caller }: Call): Promise<Answer<WireWork[Kind]>> => ({
      ok: true,
      body: renderWork(kind, await existing(kind, params.id, await reachOf(catalog, caller)), catalog),
    }),
    list: async ({ query }: { readonly query: Query }, { caller }: Call) => {
      const reach = await reachOf(catalog, caller)
      const locations = listed(reach)
      const { status, reference, location, starting_after: after } = query
      const at = location === undefined ? null : within(reach, await namedLocation(catalog, location, { inactive: 'taken' })).number
      return pageOf(query, {
        read: async (limit) => {
          const before = after === undefined ? null : cursorId(kind, after)
          const works = await listWorks(pool, kind, { status: status ?? null, reference: reference ?? null, location: at, locations, before, limit })
          await catalog.remember(works.flatMap((work) => itemsOf(answerOf(work))))
          return works
        },
        render: (work) => renderWork(kind, work, catalog),
        cursorOf: (work) => encodeId(kind, work.id),
      })
    },
  })

  /**
   * An action on a document: the operation's name, the document's kind, and what it asks of the ledger. The document is as it
   * was a moment ago; what may have changed since is for the ledger to decide. Where it is done never changes.
   */
  const act =
    <Kind extends WorkKind, Body extends object>(
      operation: string,
      kind: Kind,
      doneAt: (work: WorkOf<Kind>) => LocationNumber,
      makeCommand: (work: WorkOf<Kind>, body: Body) => Promise<Command> | Command,
    ) =>
    ({ params, query, body }: Acting<Body>, call: Call) =>
      submit({ operation, input: { id: params.id, ...body }, call, dryRun: query.dry_run === true }, kind, async () => {
        const reach = await reachOf(catalog, call.caller)
        const work = await existing(kind, params.id, reach)
        checkPlace(reach, doneAt(work), catalog)
        return makeCommand(work, body)
      })

  const linesOf = async (lines: readonly WireLine[], { archived }: { archived: 'refused' | 'taken' }) => {
    const item = await namedItems(catalog, lines, { archived })
    return lines.map(({ sku, quantity }) => ({ item: item(sku), quantity }))
  }
  const arrivalOf = async (work: Transfer | InboundShipment, { lines, close, accept_excess: acceptExcess }: WireArrival): Promise<Arrival> => {
    // Nobody who says that no more will come means that all of it has.
    if (lines === undefined && close === true) throw invalid('lines', 'is needed with close: what has come, or [] when nothing more has')
    if (lines?.length === 0 && close !== true) throw invalid('lines', 'must not be empty, but with close')
    const item = await namedItems(catalog, lines ?? [], { archived: 'taken' })
    const foreign = lines?.findIndex(({ sku }) => !work.lines.some((line) => line.item === item(sku))) ?? -1
    if (foreign >= 0) throw invalid(`lines[${foreign}].sku`, `is not on this ${wordOf(work.kind)}; receive it with a receipt`)
    return {
      lines: lines === undefined ? null : lines.map(({ sku, quantity, to }) => ({ item: item(sku), quantity, to: to ?? 'available' })),
      close: close ?? false,
      acceptExcess: acceptExcess ?? false,
    }
  }
  const activeAt = async (code: string) => namedLocation(catalog, code, { inactive: 'refused' })
  const placeOf = async (code: string, { caller }: Call) => within(await reachOf(catalog, caller), await activeAt(code)).number
  const stillActive = (location: LocationNumber) => activeAt(catalog.code(location))

  /** A sequence that is yet to come cannot have been seen by whoever counted. */
  const alreadyHappened = async (lines: readonly CountedLine[]) => {
    if (lines.every((line) => line.as_of_sequence === undefined)) return
    const head = await headSequence(pool)
    const ahead = lines.findIndex((line) => (line.as_of_sequence ?? 0) > head)
    if (ahead >= 0) throw invalid(`lines[${ahead}].as_of_sequence`, `is ahead of the ledger, which is at ${head}`)
  }
  const approve = act('counts.approve', 'count', ofCount, async ({ id, status, location }) => {
    if (status === 'open') await stillActive(location)
    return { type: 'ApproveCount', id }
  })

  return {
    transfers: {
      ...read('transfer'),
      create: ({ body, query }, call) =>
        submit({ operation: 'transfers.create', input: body, call, dryRun: query.dry_run === true }, 'transfer', async () => {
          if (body.from === body.to) throw invalid('to', 'must be another location than from')
          const [from, to] = [await activeAt(body.from), await activeAt(body.to)]
          // Whoever works at one end may plan it. It leaves by the one end's word, and arrives by the other's.
          const reach = await reachOf(catalog, call.caller)
          if (!(reach?.has(to.number) ?? true)) within(reach, from)
          return {
            type: 'PlanTransfer',
            id: newId(),
            // Also what is archived: it must be able to leave a place that is to be closed.
            lines: await linesOf(body.lines, { archived: 'taken' }),
            from: from.number,
            to: to.number,
            reference: body.reference ?? null,
            metadata: body.metadata ?? {},
          }
        }),
      dispatch: act('transfers.dispatch', 'transfer', ofSource, async ({ id, status, to }) => {
        if (status === 'open') await stillActive(to)
        return { type: 'DispatchTransfer', id }
      }),
      receive: act('transfers.receive', 'transfer', ofDestination, async (transfer, body: WireArrival) => ({
        type: 'ReceiveTransfer',
        id: transfer.id,
        ...(await arrivalOf(transfer, body)),
      })),
      cancel: act('transfers.cancel', 'transfer', ofSource, ({ id }) => ({ type: 'CancelTransfer', id })),
    },
    inbound_shipments: {
      ...read('inbound_shipment'),
      create: ({ body, query }, call) =>
        submit({ operation: 'inbound_shipments.create', input: body, call, dryRun: query.dry_run === true }, 'inbound_shipment', async () => ({
          type: 'AnnounceInbound',
          id: newId(),
          supplier: body.supplier,
          lines: await linesOf(body.lines, { archived: 'refused' }),
          location: await placeOf(body.location, call),
          expectedAt: body.expected_at === undefined ? null : instant(Date.parse(body.expected_at)),
          unique: body.reference === undefined ? null : digest(`inbound_shipment\n${body.supplier}\n${body.reference}`),
          reference: body.reference ?? null,
          metadata: body.metadata ?? {},
        })),
      receive: act('inbound_shipments.receive', 'inbound_shipment', ofInbound, async (inbound, body: WireArrival) => ({
        type: 'ReceiveInbound',
        id: inbound.id,
        ...(await arrivalOf(inbound, body)),
      })),
      cancel: act('inbound_shipments.cancel', 'inbound_shipment', ofInbound, ({ id }) => ({ type: 'CancelInbound', id })),
    },
    counts: {
      ...read('count'),
      create: ({ body, query }, call) =>
        submit({ operation: 'counts.create', input: body, call, dryRun: query.dry_run === true }, 'count', async () => {
          const skus = [...new Set(body.skus)]
          const item = await namedItems(
            catalog,
            skus.map((sku) => ({ sku })),
            { archived: 'taken', at: (index) => `skus[${body.skus?.indexOf(skus[index] ?? '')}]` },
          )
          return {
            type: 'OpenCount',
            id: newId(),
            location: await placeOf(body.location, call),
            items: body.skus === undefined ? null : skus.map((sku) => item(sku)),
            reference: body.reference ?? null,
            metadata: body.metadata ?? {},
          }
        }),
      lines: act('counts.lines', 'count', ofCount, async ({ id, status, location, lines: before }, { lines }: { readonly lines: readonly CountedLine[] }) => {
        if (status === 'open') await stillActive(location)
        const item = await namedItems(catalog, lines, { archived: 'taken' })
        if (new Set([...before.map((line) => line.item), ...lines.map(({ sku }) => item(sku))]).size > MAX_LINES)
          throw invalid('lines', `would make more than ${MAX_LINES} items in one count; open another for the rest`)
        await alreadyHappened(lines)
        return {
          type: 'CountItems',
          id,
          location,
          lines: lines.map(({ sku, quantity, as_of_sequence: asOf }) => ({ item: item(sku), quantity, asOf: asOf ?? null })),
        }
      }),
      approve: async (input, call) => {
        const answer = await approve(input, call)
        if (answer.ok || answer.refusal.code !== 'insufficient_stock') return answer
        const shortages = (answer.refusal.shortages ?? []) as WireShortage[] // what insufficient_stock tells
        return { ...answer, refusal: { ...answer.refusal, detail: inShort(shortages.map(inWords)) } }
      },
      cancel: act('counts.cancel', 'count', ofCount, ({ id }) => ({ type: 'CancelCount', id })),
    },
  }
}

// Where the next step of a document is done: whoever is restricted must work there.
const ofSource = ({ from }: Transfer): LocationNumber => from
const ofDestination = ({ to }: Transfer): LocationNumber => to
const ofInbound = ({ location }: InboundShipment): LocationNumber => location
const ofCount = ({ location }: Count): LocationNumber => location

/** Units that are missing are taken from what is for sale, and from nothing that was promised. */
const inWords = ({ requested, sku, location, available }: WireShortage): string =>
  `${requested} of ${sku} are missing at ${location}, and only ${available} are available: release, cancel or ship what is promised first`

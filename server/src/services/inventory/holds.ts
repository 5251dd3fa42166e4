// Holds: placing, executing, releasing, extending, canceling; and reading them.
import type { PurchaseLimit } from '../../domain/hold.ts'
import { encodeId, type ItemNumber } from '../../domain/ids.ts'
import type { Command } from '../../domain/decide.ts'
import { getHold, listHolds } from '../../storage/holds.ts'
import { Refused, cursorId, namedId, pageOf } from '../answer.ts'
import type { Answer, Call, Handlers } from '../service.ts'
import type { InventoryDeps } from './inventory.ts'
import { namedItem, namedItems, namedLocation } from './named.ts'
import { candidatesWithin, checkHold, listed, reachOf, seen, within } from './reach.ts'
import { itemsOf, renderHold, type WireHold } from './render.ts'
import { type Asked, type Submit } from './submit.ts'

export const holdHandlers = (deps: InventoryDeps, submit: Submit): Handlers['holds'] => {
  const { catalog, newId, pool, ttl } = deps

  const ttlMs = (seconds: number | undefined): number => {
    const asked = (seconds ?? ttl.defaultSeconds) * 1000
    if (asked > ttl.longestSeconds * 1000) throw new Refused('ttl_out_of_range', `a hold may live ${ttl.longestSeconds} seconds; ${seconds} were asked`)
    return asked
  }
  const limitsOf = (items: readonly ItemNumber[]): PurchaseLimit[] =>
    [...new Set(items)].flatMap((item) => {
      const limit = catalog.purchaseLimitOf(item)
      return limit === null ? [] : [{ item, quantity: limit.quantity, windowMs: limit.windowSeconds * 1000 }]
    })
  const customerNeeded = (limited: readonly PurchaseLimit[]) => {
    const message = `is needed: there is a limit for one customer on ${limited.map(({ item }) => catalog.sku(item)).join(', ')}`
    return new Refused('invalid_request', `customer ${message}`, { errors: [{ param: 'customer', message }] })
  }
  const partsOf = async (lines: readonly { sku: string; quantity: number }[] | undefined) => {
    if (lines === undefined) return null
    const item = await namedItems(catalog, lines, { archived: 'taken' })
    return lines.map(({ sku, quantity }) => ({ item: item(sku), quantity }))
  }
  const act = (asked: Asked, makeCommand: () => Promise<Command>): Promise<Answer<WireHold>> => submit(asked, 'hold', makeCommand)
  /** The hold that a caller wants to act on, if they may. */
  const owned = async (id: string, { caller }: Call) => {
    const hold = namedId('hold', id)
    if (caller.locations !== null) await checkHold(await reachOf(catalog, caller), pool, hold)
    return hold
  }

  return {
    place: ({ body, query }, call) =>
      act({ operation: 'holds.place', input: body, call, dryRun: query.dry_run === true }, async () => {
        const item = await namedItems(catalog, body.lines, { archived: 'refused' })
        const purchaseLimits = limitsOf(body.lines.map((line) => item(line.sku)))
        if (purchaseLimits.length > 0 && body.customer === undefined) throw customerNeeded(purchaseLimits)
        const reach = await reachOf(catalog, call.caller)
        const lines = []
        for (const { sku, quantity, location } of body.lines)
          lines.push({
            item: item(sku),
            quantity,
            location: location === undefined ? null : within(reach, await namedLocation(catalog, location, { inactive: 'refused' })).number,
          })
        return {
          type: 'PlaceHold',
          id: newId(),
          lines,
          mode: body.mode ?? 'all_or_nothing',
          ttlMs: ttlMs(body.ttl_seconds),
          candidates: lines.some((line) => line.location === null) ? candidatesWithin(reach, catalog.candidates()) : [],
          strategy: body.strategy ?? 'priority',
          destination: body.destination ?? null,
          customer: body.customer ?? null,
          purchaseLimits,
          reference: body.reference ?? null,
          metadata: body.metadata ?? {},
        }
      }),
    execute: ({ params, body, query }, call) =>
      act({ operation: 'holds.execute', input: { id: params.id, ...body }, call, dryRun: query.dry_run === true }, async () => ({
        type: 'ExecuteHold',
        id: await owned(params.id, call),
        lines: await partsOf(body.lines),
        final: body.final ?? true,
      })),
    release: ({ params, query }, call) =>
      act({ operation: 'holds.release', input: params, call, dryRun: query.dry_run === true }, async () => ({
        type: 'ReleaseHold',
        id: await owned(params.id, call),
      })),
    extend: ({ params, body, query }, call) =>
      act({ operation: 'holds.extend', input: { id: params.id, ...body }, call, dryRun: query.dry_run === true }, async () => ({
        type: 'ExtendHold',
        id: await owned(params.id, call),
        ttlMs: ttlMs(body.ttl_seconds),
        longestMs: ttl.longestSeconds * 1000,
      })),
    cancel: ({ params, query }, call) =>
      act({ operation: 'holds.cancel', input: params, call, dryRun: query.dry_run === true }, async () => ({
        type: 'CancelHold',
        id: await owned(params.id, call),
      })),

    get: async ({ params }, { caller }) => {
      const hold = seen(await reachOf(catalog, caller), await getHold(pool, namedId('hold', params.id)))
      if (hold === undefined) throw new Refused('not_found', `there is no hold ${params.id}`)
      await catalog.remember(itemsOf({ kind: 'hold', hold }))
      return { ok: true, body: renderHold(hold, catalog) }
    },
    list: async ({ query }, { caller }) => {
      const locations = listed(await reachOf(catalog, caller))
      const { starting_after: after, status, reference, sku, customer } = query
      return pageOf(query, {
        read: async (limit) => {
          const holds = await listHolds(pool, {
            status: status ?? null,
            reference: reference ?? null,
            customer: customer ?? null,
            item: sku === undefined ? null : (await namedItem(catalog, sku)).number,
            locations,
            before: after === undefined ? null : cursorId('hold', after),
            limit,
          })
          await catalog.remember(holds.flatMap((hold) => itemsOf({ kind: 'hold', hold })))
          return holds
        },
        render: (hold) => renderHold(hold, catalog),
        cursorOf: (hold) => encodeId('hold', hold.id),
      })
    },
  }
}

// Items: making, changing, archiving, reading.
import { audit, changesBetween } from '../../storage/audit.ts'
import { appendEvent } from '../../storage/events.ts'
import { keyOf } from '../../storage/idempotency.ts'
import { insertItem, itemsBySku, listItems, lockItem, setItemSequence, updateItem, type Item, type ItemFields } from '../../storage/items.ts'
import { setThresholds } from '../../storage/levels.ts'
import { transaction, type Connection } from '../../storage/pool.ts'
import { Refused, invalidCursor, pageOf } from '../answer.ts'
import type { Answer, Call, Handlers } from '../service.ts'
import { createOnce } from './creation.ts'
import type { InventoryDeps } from './inventory.ts'
import { renderItem, type WireItem } from './render.ts'

export const itemHandlers = ({ catalog, pool }: InventoryDeps): Omit<Handlers['items'], 'import'> => {
  /** Tells what became of an item, as the last thing in its transaction. */
  const told = async (
    connection: Connection,
    type: 'item.created' | 'item.updated' | 'item.archived',
    before: Item | null,
    item: Item,
    call: Call,
  ): Promise<Item> => {
    const changes = changesBetween(before && renderItem(before), renderItem(item))
    await audit(connection, call, { action: type, subject: { kind: 'item', id: item.sku }, changes })
    const sequence = await appendEvent(connection, {
      type,
      subject: { kind: 'item', id: item.sku, version: item.version },
      actor: call.caller.principal,
      requestId: call.requestId,
      data: renderItem(item),
    })
    await setItemSequence(connection, item.number, sequence)
    return { ...item, sequence }
  }
  const answered = (item: Item): Answer<WireItem> => {
    catalog.itemChanged(item)
    return { ok: true, body: renderItem(item), sequence: item.sequence }
  }
  const existing = async (connection: Connection, sku: string): Promise<Item> => {
    const item = await lockItem(connection, sku)
    if (item === undefined) throw new Refused('not_found', `there is no item ${sku}`)
    return item
  }

  return {
    create: ({ body }, call) =>
      createOnce({
        pool,
        key: keyOf({ operation: 'items.create', input: body, call }),
        make: async (connection) => told(connection, 'item.created', null, await insertItem(connection, fieldsOf(body)), call),
        render: renderItem,
        // Items had no limits when answers were first remembered, and keys outlive an upgrade.
        recall: (item) => ({ ...item, purchase_limit: item.purchase_limit ?? null }),
        stands: (item) => catalog.itemChanged(item),
        taken: `there is an item ${body.sku} already`,
      }),
    update: async ({ params, body }, call) => {
      const item = await transaction(pool, async (connection) => {
        const before = await existing(connection, params.sku)
        const {
          if_version: ifVersion,
          safety_stock: safetyStock = before.safetyStock,
          reorder_point: reorderPoint = before.reorderPoint,
          purchase_limit: limit,
          ...changes
        } = body
        if (ifVersion !== undefined && ifVersion !== before.version)
          throw new Refused('version_conflict', `${params.sku} has version ${before.version}, not ${ifVersion}`, { current_version: before.version })
        const after = await updateItem(connection, before.number, {
          ...before,
          ...changes,
          safetyStock,
          reorderPoint,
          purchaseLimit: limit === undefined ? before.purchaseLimit : limitOf(limit),
        })
        if (after.safetyStock !== before.safetyStock || after.reorderPoint !== before.reorderPoint) await setThresholds(connection, [after])
        return told(connection, after.status === 'archived' && before.status === 'active' ? 'item.archived' : 'item.updated', before, after, call)
      })
      return answered(item)
    },
    archive: async ({ params }, call) => {
      const item = await transaction(pool, async (connection) => {
        const before = await existing(connection, params.sku)
        if (before.status === 'archived') return before
        return told(connection, 'item.archived', before, await updateItem(connection, before.number, { ...before, status: 'archived' }), call)
      })
      return answered(item)
    },
    get: async ({ params }) => {
      const [item] = await itemsBySku(pool, [params.sku])
      if (item === undefined) throw new Refused('not_found', `there is no item ${params.sku}`)
      return { ok: true, body: renderItem(item) }
    },
    list: ({ query }) =>
      pageOf(query, {
        read: async (limit) => {
          const { q, brand, category, status, starting_after: after } = query
          const [last] = after === undefined ? [] : await itemsBySku(pool, [after])
          if (after !== undefined && last === undefined) throw invalidCursor(after)
          return listItems(pool, {
            q: q ?? null,
            brand: brand ?? null,
            category: category ?? null,
            status: status ?? null,
            before: last?.number ?? null,
            limit,
          })
        },
        render: renderItem,
        cursorOf: (item) => item.sku,
      }),
  }
}

type Creation = Parameters<Handlers['items']['create']>[0]['body']

export const limitOf = (limit: { readonly quantity: number; readonly window_seconds: number } | null): ItemFields['purchaseLimit'] =>
  limit === null ? null : { quantity: limit.quantity, windowSeconds: limit.window_seconds }

const fieldsOf = (body: Creation): ItemFields => ({
  sku: body.sku,
  name: body.name,
  description: body.description ?? null,
  brand: body.brand ?? null,
  category: body.category ?? null,
  price: body.price ?? null,
  barcode: body.barcode ?? null,
  attributes: body.attributes ?? {},
  metadata: body.metadata ?? {},
  safetyStock: body.safety_stock ?? 0,
  reorderPoint: body.reorder_point ?? null,
  purchaseLimit: limitOf(body.purchase_limit ?? null),
  status: 'active',
})

// All that can be asked of Holdfast, resource by resource, as the contract's table of operations has it.
import { importer, type ImportOptions, type ImportSource } from './import.ts'
import { listing, type Listing } from './pages.ts'
import { type CallOptions, type MoveOptions, path, type StockReadOptions, type Transport, type WriteOptions } from './send.ts'
import { follower, type StreamOptions } from './stream.ts'
import type {
  Adjustment,
  AdjustmentFilter,
  AnnounceInboundShipment,
  ApiKey,
  ApiKeyFilter,
  AuditEntry,
  AuditFilter,
  Availability,
  AvailabilityAnswer,
  Caller,
  ChangePassword,
  CheckAvailability,
  Count,
  CountFilter,
  CountLines,
  CreateAdjustment,
  CreateApiKey,
  CreateItem,
  CreateLocation,
  CreateReceipt,
  CreateReturn,
  CreateShipment,
  CreateTransfer,
  CreateUser,
  CreateWebhookEndpoint,
  EventFilter,
  EventStreamFilter,
  ExecuteHold,
  ExtendHold,
  Hold,
  HoldFilter,
  Import,
  ImportError,
  ImportErrorFilter,
  ImportFilter,
  InboundShipment,
  InboundShipmentFilter,
  Integrity,
  Item,
  ItemFilter,
  ItemStock,
  LedgerEntry,
  LedgerEntryFilter,
  Location,
  LocationFilter,
  Login,
  OpenCount,
  ParkedMessage,
  ParkedMessageFilter,
  PlaceHold,
  Receipt,
  ReceiptFilter,
  ReceiveInboundShipment,
  ReceiveTransfer,
  Register,
  ReplayWebhooks,
  Return,
  ReturnFilter,
  RotateApiKey,
  RotateWebhookSecret,
  Session,
  SessionFilter,
  SessionsEnded,
  SetPassword,
  Shipment,
  ShipmentFilter,
  Status,
  StockEvent,
  StockLevel,
  StockLevelFilter,
  Transfer,
  TransferFilter,
  UpdateApiKey,
  UpdateItem,
  UpdateLocation,
  UpdateUser,
  UpdateWebhookEndpoint,
  User,
  UserFilter,
  WebhookDelivery,
  WebhookDeliveryFilter,
  WebhookEndpoint,
  WebhookEndpointFilter,
  WebhookEndpointWithSecret,
  WebhookTest,
} from './words.ts'

/** The server waits for the receiver, as long as it does for any attempt, and then a little. */
const TEST_TIMEOUT_MS = 20_000
/** The server waits ten seconds for it. */
const VERIFY_TIMEOUT_MS = 15_000

export function resources(transport: Transport) {
  const { send } = transport
  const list = listing(transport)
  const follow = follower(transport)
  const importItems = importer(transport)

  return {
    /** Things that are stocked, known by their sku. */
    items: {
      /**
       * Makes an item.
       * @example
       * await stock.items.create({ sku: 'TEA-1', name: 'Earl Grey, 100 g', price: { amount: 695, currency: 'GBP' }, safetyStock: 2 })
       * await stock.items.create({ sku: 'CUP-2', name: 'Cup of the year', reorderPoint: 20, purchaseLimit: { quantity: 2, windowSeconds: 86_400 } })
       */
      create: (item: CreateItem, options?: WriteOptions): Promise<Item> => send({ method: 'POST', path: '/v1/items', body: item, keyed: true }, options),

      /**
       * Lists items, newest first.
       * @example
       * for await (const item of stock.items.list({ category: 'tea', status: 'active' })) console.log(item.sku, item.name)
       */
      list: (filter?: ItemFilter, options?: CallOptions): Listing<Item> => list('/v1/items', filter, options),

      /**
       * Reads an item.
       * @example
       * const item = await stock.items.get('TEA-1')
       */
      get: (sku: string, options?: CallOptions): Promise<Item> => send({ method: 'GET', path: path`/v1/items/${sku}` }, options),

      /**
       * Changes what is named and leaves the rest. With `ifVersion` only if nobody else has changed it meanwhile.
       * @example
       * const item = await stock.items.get('TEA-1')
       * await stock.items.update(item.sku, { reorderPoint: 20, ifVersion: item.version })
       */
      update: (sku: string, changes: UpdateItem, options?: CallOptions): Promise<Item> =>
        send({ method: 'PATCH', path: path`/v1/items/${sku}`, body: changes, once: changes.ifVersion !== undefined }, options),

      /**
       * Archives an item: it is kept, and can no longer be held or received.
       * @example
       * await stock.items.archive('TEA-1')
       */
      archive: (sku: string, options?: CallOptions): Promise<Item> => send({ method: 'DELETE', path: path`/v1/items/${sku}` }, options),

      /**
       * Makes or changes many items, and receives their opening stock, from a file: CSV, or a JSON object a line. Rows that are wrong do
       * not keep the others from being done. A connection that breaks is made again, and the import goes on from where it was; started
       * again under the same key, it does too. In Node, `await openAsBlob('items.csv')` is a file that needs no memory.
       * @example
       * const done = await stock.items.import('sku,name,quantity,location\nTEA-1,Earl Grey,200,LON\n', { idempotencyKey: 'catalogue-2026' })
       * console.log(`${done.itemsCreated} made, ${done.rowsFailed} rows were wrong`)
       */
      import: (source: ImportSource, options?: ImportOptions): Promise<Import> => importItems(source, options),
    },

    /** Files of items that were sent, and what became of them. */
    imports: {
      /**
       * Lists imports, newest first.
       * @example
       * for await (const one of stock.imports.list({ idempotencyKey: 'catalogue-2026' })) console.log(one.status, one.rowsRead)
       */
      list: (filter?: ImportFilter, options?: CallOptions): Listing<Import> => list('/v1/imports', filter, options),

      /**
       * Reads an import: how far it is, or what it did.
       * @example
       * const { status, rowsRead } = await stock.imports.get('imp_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<Import> => send({ method: 'GET', path: path`/v1/imports/${id}` }, options),

      /**
       * Lists the rows that were wrong, in the order of the file, each as it was sent.
       * @example
       * for await (const { row, message, raw } of stock.imports.errors('imp_01jd8w2k5v7x9n3q4r6t8y0z1b')) console.log(row, message, raw)
       */
      errors: (id: string, filter?: ImportErrorFilter, options?: CallOptions): Listing<ImportError> => list(path`/v1/imports/${id}/errors`, filter, options),
    },

    /** Places that hold stock, known by their code. */
    locations: {
      /**
       * Makes a location.
       * @example
       * await stock.locations.create({ code: 'LON', name: 'London', kind: 'warehouse', latitude: 51.5, longitude: -0.1 })
       */
      create: (location: CreateLocation, options?: WriteOptions): Promise<Location> =>
        send({ method: 'POST', path: '/v1/locations', body: location, keyed: true }, options),

      /**
       * Lists locations, newest first.
       * @example
       * for await (const location of stock.locations.list({ kind: 'store' })) console.log(location.code)
       */
      list: (filter?: LocationFilter, options?: CallOptions): Listing<Location> => list('/v1/locations', filter, options),

      /**
       * Reads a location.
       * @example
       * const location = await stock.locations.get('LON')
       */
      get: (code: string, options?: CallOptions): Promise<Location> => send({ method: 'GET', path: path`/v1/locations/${code}` }, options),

      /**
       * Changes what is named and leaves the rest. With `ifVersion` only if nobody else has changed it meanwhile.
       * @example
       * await stock.locations.update('LON', { priority: 1 })
       */
      update: (code: string, changes: UpdateLocation, options?: CallOptions): Promise<Location> =>
        send({ method: 'PATCH', path: path`/v1/locations/${code}`, body: changes, once: changes.ifVersion !== undefined }, options),

      /**
       * Deactivates a location. Refused with `location_not_empty` while it has stock.
       * @example
       * await stock.locations.deactivate('LON')
       */
      deactivate: (code: string, options?: CallOptions): Promise<Location> => send({ method: 'DELETE', path: path`/v1/locations/${code}` }, options),
    },

    /** Stock that came from suppliers. */
    receipts: {
      /**
       * Receives stock from a supplier.
       * @example
       * await stock.receipts.create({ location: 'LON', lines: [{ sku: 'TEA-1', quantity: 200 }], reference: 'PO-17' }, { idempotencyKey: 'PO-17' })
       */
      create: (receipt: CreateReceipt, options?: MoveOptions): Promise<Receipt> =>
        send({ method: 'POST', path: '/v1/receipts', body: receipt, keyed: true }, options),

      /**
       * Lists receipts, newest first.
       * @example
       * const { data } = await stock.receipts.list({ reference: 'PO-17' }).page()
       */
      list: (filter?: ReceiptFilter, options?: CallOptions): Listing<Receipt> => list('/v1/receipts', filter, options),

      /**
       * Reads a receipt.
       * @example
       * const receipt = await stock.receipts.get('rcpt_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<Receipt> => send({ method: 'GET', path: path`/v1/receipts/${id}` }, options),
    },

    /** Corrections of stock, and moves between its states. */
    adjustments: {
      /**
       * Corrects what is available by a `delta`, or moves a `quantity` from one state to another.
       * @example
       * await stock.adjustments.create({ location: 'LON', lines: [{ sku: 'TEA-1', delta: -2 }], reason: 'lost' })
       * await stock.adjustments.create({ location: 'LON', lines: [{ sku: 'CUP-2', quantity: 1, from: 'available', to: 'damaged' }], reason: 'damaged' })
       */
      create: (adjustment: CreateAdjustment, options?: MoveOptions): Promise<Adjustment> =>
        send({ method: 'POST', path: '/v1/adjustments', body: adjustment, keyed: true }, options),

      /**
       * Lists adjustments, newest first.
       * @example
       * for await (const adjustment of stock.adjustments.list()) console.log(adjustment.reason, adjustment.lines)
       */
      list: (filter?: AdjustmentFilter, options?: CallOptions): Listing<Adjustment> => list('/v1/adjustments', filter, options),

      /**
       * Reads an adjustment.
       * @example
       * const adjustment = await stock.adjustments.get('adj_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<Adjustment> => send({ method: 'GET', path: path`/v1/adjustments/${id}` }, options),
    },

    /** Promises of stock to one buyer for a limited time. */
    holds: {
      /**
       * Holds stock for a buyer. Throws `insufficient_stock` (see `isInsufficientStock`) when it is not there.
       * @example
       * const hold = await stock.holds.place({ lines: [{ sku: 'TEA-1', quantity: 3 }], ttlSeconds: 900 }, { idempotencyKey: cart.id })
       * await stock.holds.execute(hold.id)
       * await stock.holds.place({ customer: 'account-7', lines: [{ sku: 'CUP-2', quantity: 1 }] }) // an item that has a limit for one customer
       */
      place: (hold: PlaceHold, options?: MoveOptions): Promise<Hold> => send({ method: 'POST', path: '/v1/holds', body: hold, keyed: true }, options),

      /**
       * Lists holds, newest first.
       * @example
       * for await (const hold of stock.holds.list({ status: 'active' })) console.log(hold.id, hold.expiresAt)
       */
      list: (filter?: HoldFilter, options?: CallOptions): Listing<Hold> => list('/v1/holds', filter, options),

      /**
       * Reads a hold.
       * @example
       * const hold = await stock.holds.get('hold_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<Hold> => send({ method: 'GET', path: path`/v1/holds/${id}` }, options),

      /**
       * Confirms the purchase, of all lines or of some. The rest is released, unless `final` is false.
       * @example
       * await stock.holds.execute('hold_01jd8w2k5v7x9n3q4r6t8y0z1b', { lines: [{ sku: 'TEA-1', quantity: 2 }], final: false })
       */
      execute: (id: string, part: ExecuteHold = {}, options?: MoveOptions): Promise<Hold> =>
        send({ method: 'POST', path: path`/v1/holds/${id}/execute`, body: part, keyed: true }, options),

      /**
       * Gives back what is still held.
       * @example
       * await stock.holds.release('hold_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      release: (id: string, options?: MoveOptions): Promise<Hold> =>
        send({ method: 'POST', path: path`/v1/holds/${id}/release`, body: {}, keyed: true }, options),

      /**
       * Lets a hold live longer, counted from now.
       * @example
       * const { expiresAt } = await stock.holds.extend('hold_01jd8w2k5v7x9n3q4r6t8y0z1b', { ttlSeconds: 600 })
       */
      extend: (id: string, life: ExtendHold, options?: MoveOptions): Promise<Hold> =>
        send({ method: 'POST', path: path`/v1/holds/${id}/extend`, body: life, keyed: true }, options),

      /**
       * Gives back everything that was not yet shipped, executed or not, and ends the hold.
       * @example
       * await stock.holds.cancel('hold_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      cancel: (id: string, options?: MoveOptions): Promise<Hold> =>
        send({ method: 'POST', path: path`/v1/holds/${id}/cancel`, body: {}, keyed: true }, options),
    },

    /** What left for customers. */
    shipments: {
      /**
       * Ships what was executed: all of it, or the lines that are named.
       * @example
       * await stock.shipments.create({ hold: 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b', lines: [{ sku: 'TEA-1', quantity: 1 }] })
       */
      create: (shipment: CreateShipment, options?: MoveOptions): Promise<Shipment> =>
        send({ method: 'POST', path: '/v1/shipments', body: shipment, keyed: true }, options),

      /**
       * Lists shipments, newest first.
       * @example
       * for await (const shipment of stock.shipments.list({ hold: 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b' })) console.log(shipment.id)
       */
      list: (filter?: ShipmentFilter, options?: CallOptions): Listing<Shipment> => list('/v1/shipments', filter, options),

      /**
       * Reads a shipment.
       * @example
       * const shipment = await stock.shipments.get('ship_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<Shipment> => send({ method: 'GET', path: path`/v1/shipments/${id}` }, options),
    },

    /** What came back from customers. */
    returns: {
      /**
       * Takes back what a customer returns: to what can be sold, or to `quality_control` or `damaged`.
       * @example
       * await stock.returns.create({ location: 'LON', hold: 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b', lines: [{ sku: 'TEA-1', quantity: 1, to: 'quality_control' }] })
       */
      create: (returned: CreateReturn, options?: MoveOptions): Promise<Return> =>
        send({ method: 'POST', path: '/v1/returns', body: returned, keyed: true }, options),

      /**
       * Lists returns, newest first.
       * @example
       * for await (const returned of stock.returns.list({ reference: 'RMA-9' })) console.log(returned.lines)
       */
      list: (filter?: ReturnFilter, options?: CallOptions): Listing<Return> => list('/v1/returns', filter, options),

      /**
       * Reads a return.
       * @example
       * const returned = await stock.returns.get('ret_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<Return> => send({ method: 'GET', path: path`/v1/returns/${id}` }, options),
    },

    /** Stock that goes from one location to another. */
    transfers: {
      /**
       * Plans a transfer. Nothing moves before it is dispatched.
       * @example
       * const transfer = await stock.transfers.create({ from: 'LON', to: 'PAR', lines: [{ sku: 'TEA-1', quantity: 40 }], reference: 'van-12' })
       */
      create: (transfer: CreateTransfer, options?: MoveOptions): Promise<Transfer> =>
        send({ method: 'POST', path: '/v1/transfers', body: transfer, keyed: true }, options),

      /**
       * Lists transfers, newest first: of a status, a reference, or a location that they come from or go to.
       * @example
       * for await (const transfer of stock.transfers.list({ status: 'dispatched', location: 'PAR' })) console.log(transfer.id, transfer.lines)
       */
      list: (filter?: TransferFilter, options?: CallOptions): Listing<Transfer> => list('/v1/transfers', filter, options),

      /**
       * Reads a transfer.
       * @example
       * const transfer = await stock.transfers.get('tran_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<Transfer> => send({ method: 'GET', path: path`/v1/transfers/${id}` }, options),

      /**
       * Sends all of it off, or throws `insufficient_stock`: it leaves what is available, and is incoming where it goes.
       * @example
       * await stock.transfers.dispatch('tran_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      dispatch: (id: string, options?: MoveOptions): Promise<Transfer> =>
        send({ method: 'POST', path: path`/v1/transfers/${id}/dispatch`, body: {}, keyed: true }, options),

      /**
       * Receives all that is outstanding, or the lines that have come. With `close` nothing more will: what is outstanding is missing.
       * @example
       * await stock.transfers.receive('tran_01jd8w2k5v7x9n3q4r6t8y0z1b', { lines: [{ sku: 'TEA-1', quantity: 30 }, { sku: 'TEA-1', quantity: 2, to: 'damaged' }] })
       * await stock.transfers.receive('tran_01jd8w2k5v7x9n3q4r6t8y0z1b', { lines: [], close: true })
       */
      receive: (id: string, arrival: ReceiveTransfer = {}, options?: MoveOptions): Promise<Transfer> =>
        send({ method: 'POST', path: path`/v1/transfers/${id}/receive`, body: arrival, keyed: true }, options),

      /**
       * Drops the plan; or, once it is on its way, takes back to where it came from what has not arrived.
       * @example
       * await stock.transfers.cancel('tran_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      cancel: (id: string, options?: MoveOptions): Promise<Transfer> =>
        send({ method: 'POST', path: path`/v1/transfers/${id}/cancel`, body: {}, keyed: true }, options),
    },

    /** Stock that suppliers say is coming. */
    inboundShipments: {
      /**
       * Announces what a supplier is sending: it is incoming from now on. A supplier's `reference` belongs to one shipment, for ever.
       * @example
       * await stock.inboundShipments.create({ supplier: 'Acme Teas', reference: 'ASN-77', location: 'LON', lines: [{ sku: 'TEA-1', quantity: 200 }], expectedAt: '2026-12-01T08:00:00.000Z' })
       */
      create: (announced: AnnounceInboundShipment, options?: MoveOptions): Promise<InboundShipment> =>
        send({ method: 'POST', path: '/v1/inbound_shipments', body: announced, keyed: true }, options),

      /**
       * Lists inbound shipments, newest first.
       * @example
       * for await (const inbound of stock.inboundShipments.list({ status: 'announced', location: 'LON' })) console.log(inbound.supplier, inbound.expectedAt)
       */
      list: (filter?: InboundShipmentFilter, options?: CallOptions): Listing<InboundShipment> => list('/v1/inbound_shipments', filter, options),

      /**
       * Reads an inbound shipment.
       * @example
       * const inbound = await stock.inboundShipments.get('inb_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<InboundShipment> => send({ method: 'GET', path: path`/v1/inbound_shipments/${id}` }, options),

      /**
       * Receives all that is outstanding, or the lines that have come. With `close` nothing more is expected.
       * @example
       * await stock.inboundShipments.receive('inb_01jd8w2k5v7x9n3q4r6t8y0z1b', { lines: [{ sku: 'TEA-1', quantity: 120 }] })
       * await stock.inboundShipments.receive('inb_01jd8w2k5v7x9n3q4r6t8y0z1b', { lines: [{ sku: 'TEA-1', quantity: 90 }], acceptExcess: true, close: true })
       */
      receive: (id: string, arrival: ReceiveInboundShipment = {}, options?: MoveOptions): Promise<InboundShipment> =>
        send({ method: 'POST', path: path`/v1/inbound_shipments/${id}/receive`, body: arrival, keyed: true }, options),

      /**
       * Expects no longer what has not come. What has come stays.
       * @example
       * await stock.inboundShipments.cancel('inb_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      cancel: (id: string, options?: MoveOptions): Promise<InboundShipment> =>
        send({ method: 'POST', path: path`/v1/inbound_shipments/${id}/cancel`, body: {}, keyed: true }, options),
    },

    /** What was found when shelves were counted. */
    counts: {
      /**
       * Opens a count of some items at a location, or of whatever is found there. The shop goes on selling meanwhile.
       * @example
       * const count = await stock.counts.create({ location: 'LON', skus: ['TEA-1', 'CUP-2'] })
       */
      create: (count: OpenCount, options?: MoveOptions): Promise<Count> => send({ method: 'POST', path: '/v1/counts', body: count, keyed: true }, options),

      /**
       * Lists counts, newest first.
       * @example
       * for await (const count of stock.counts.list({ status: 'open', location: 'LON' })) console.log(count.id, count.lines.length)
       */
      list: (filter?: CountFilter, options?: CallOptions): Listing<Count> => list('/v1/counts', filter, options),

      /**
       * Reads a count.
       * @example
       * const { lines } = await stock.counts.get('cnt_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<Count> => send({ method: 'GET', path: path`/v1/counts/${id}` }, options),

      /**
       * Says what was found on the shelf, sold units that were not yet sent among it. Say it as it is counted, or with the sequence
       * of when it was counted (see `responseOf`): what happens from then on is no difference.
       * @example
       * await stock.counts.lines('cnt_01jd8w2k5v7x9n3q4r6t8y0z1b', { lines: [{ sku: 'TEA-1', quantity: 118 }, { sku: 'CUP-2', quantity: 0, asOfSequence: 4711 }] })
       */
      lines: (id: string, counted: CountLines, options?: MoveOptions): Promise<Count> =>
        send({ method: 'POST', path: path`/v1/counts/${id}/lines`, body: counted, keyed: true }, options),

      /**
       * Corrects the books by the differences that were found. What was not counted stays as it is.
       * @example
       * await stock.counts.approve('cnt_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      approve: (id: string, options?: MoveOptions): Promise<Count> =>
        send({ method: 'POST', path: path`/v1/counts/${id}/approve`, body: {}, keyed: true }, options),

      /**
       * Ends a count and corrects nothing.
       * @example
       * await stock.counts.cancel('cnt_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      cancel: (id: string, options?: MoveOptions): Promise<Count> =>
        send({ method: 'POST', path: path`/v1/counts/${id}/cancel`, body: {}, keyed: true }, options),
    },

    /** The counts of one item at one location. */
    stockLevels: {
      /**
       * Lists stock levels.
       * @example
       * for await (const level of stock.stockLevels.list({ location: 'LON', low: true })) console.log(level.sku, level.availableToSell)
       */
      list: (filter?: StockLevelFilter, options?: StockReadOptions): Listing<StockLevel> => list('/v1/stock_levels', filter, options),

      /**
       * Reads the stock of an item everywhere, and its total.
       * @example
       * const { total, locations } = await stock.stockLevels.get('TEA-1')
       */
      get: (sku: string, options?: StockReadOptions): Promise<ItemStock> => send({ method: 'GET', path: path`/v1/stock_levels/${sku}` }, options),
    },

    /** What can be sold now. */
    availability: {
      /**
       * Reads what can be sold of an item. Fast; may come from a cache, but never from before `minSequence`.
       * @example
       * const { availableToSell } = await stock.availability.get('TEA-1')
       */
      get: (sku: string, options?: StockReadOptions): Promise<Availability> => send({ method: 'GET', path: path`/v1/availability/${sku}` }, options),

      /**
       * Reads what can be sold of up to 500 items; or, asked with lines, whether all of them can be had at once and from where.
       * @example
       * const { data } = await stock.availability.check({ skus: ['TEA-1', 'CUP-2'] })
       * const { fulfillable, plan } = await stock.availability.check({ lines: [{ sku: 'TEA-1', quantity: 3 }], strategy: 'fewest_splits' })
       */
      check: (wanted: CheckAvailability, options?: StockReadOptions): Promise<AvailabilityAnswer> =>
        send({ method: 'POST', path: '/v1/availability', body: wanted }, options),
    },

    /** Every movement of stock there ever was. */
    ledgerEntries: {
      /**
       * Lists ledger entries, newest first.
       * @example
       * for await (const entry of stock.ledgerEntries.list({ sku: 'TEA-1', location: 'LON', since: '2026-11-01T00:00:00.000Z' })) console.log(entry.from, entry.to, entry.quantity)
       */
      list: (filter?: LedgerEntryFilter, options?: StockReadOptions): Listing<LedgerEntry> => list('/v1/ledger_entries', filter, options),
    },

    /** Facts that happened, in their order. */
    events: {
      /**
       * Lists events: oldest first after a sequence, else newest first.
       * @example
       * for await (const event of stock.events.list({ afterSequence: 0, type: ['hold.placed', 'hold.executed'] })) console.log(event.type, event.data)
       */
      list: (filter?: EventFilter, options?: CallOptions): Listing<StockEvent> => list('/v1/events', filter, options),

      /**
       * Reads an event.
       * @example
       * const event = await stock.events.get('evt_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<StockEvent> => send({ method: 'GET', path: path`/v1/events/${id}` }, options),

      /**
       * Follows the events for as long as it is read. Connections that end are made again, from where they ended.
       * @example
       * for await (const event of stock.events.stream({ afterSequence: 41 })) {
       *   console.log(event.sequence, event.type)
       *   if (event.type === 'integrity.violated') break
       * }
       */
      stream: (filter?: EventStreamFilter, options?: StreamOptions): AsyncGenerator<StockEvent, void, undefined> => follow(filter, options),
    },

    /** Signing in and out, in a browser: the session is a cookie of the server's own origin. And who is asking, for everybody. */
    auth: {
      /**
       * Registers a shopper, who is then signed in.
       * @example
       * const { user } = await stock.auth.register({ email: 'ada@example.com', password: 'seven ducks cross the canal' })
       */
      register: (account: Register, options?: CallOptions): Promise<Caller> =>
        send({ method: 'POST', path: '/v1/auth/register', body: account, once: true }, options),

      /**
       * Signs in. The answer says what may be done; the session itself is a cookie that no script can read.
       * @example
       * const { role, scopes } = await stock.auth.login({ email: 'ada@example.com', password: 'seven ducks cross the canal' })
       */
      login: (account: Login, options?: CallOptions): Promise<Caller> => send({ method: 'POST', path: '/v1/auth/login', body: account }, options),

      /**
       * Signs out.
       * @example
       * await stock.auth.logout()
       */
      logout: (options?: CallOptions): Promise<SessionsEnded> => send({ method: 'POST', path: '/v1/auth/logout', body: {} }, options),

      /**
       * Reads who is asking, a person or a key, and what they may do.
       * @example
       * const { principal, scopes, locations } = await stock.auth.me()
       */
      me: (options?: CallOptions): Promise<Caller> => send({ method: 'GET', path: '/v1/auth/me' }, options),

      /**
       * Changes one's own password. All one's other sessions end.
       * @example
       * await stock.auth.changePassword({ currentPassword: 'seven ducks cross the canal', newPassword: 'eight geese swim back again' })
       */
      changePassword: (passwords: ChangePassword, options?: CallOptions): Promise<Caller> =>
        send({ method: 'POST', path: '/v1/auth/password', body: passwords, once: true }, options),

      /**
       * Lists one's own sessions, newest first.
       * @example
       * for await (const session of stock.auth.listSessions()) console.log(session.address, session.lastSeenAt, session.current)
       */
      listSessions: (filter?: SessionFilter, options?: CallOptions): Listing<Session> => list('/v1/auth/sessions', filter, options),

      /**
       * Ends one of one's own sessions.
       * @example
       * await stock.auth.endSession('sess_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      endSession: (id: string, options?: CallOptions): Promise<SessionsEnded> => send({ method: 'DELETE', path: path`/v1/auth/sessions/${id}` }, options),

      /**
       * Ends all one's sessions but this one.
       * @example
       * const { count } = await stock.auth.endOtherSessions()
       */
      endOtherSessions: (options?: CallOptions): Promise<SessionsEnded> => send({ method: 'DELETE', path: '/v1/auth/sessions' }, options),
    },

    /** People who may sign in. */
    users: {
      /**
       * Makes a user, who can do no more than the caller.
       * @example
       * await stock.users.create({ email: 'ada@example.com', password: 'seven ducks cross the canal', role: 'operator', locations: ['LON'] })
       */
      create: (user: CreateUser, options?: WriteOptions): Promise<User> => send({ method: 'POST', path: '/v1/users', body: user, keyed: true }, options),

      /**
       * Lists users, newest first.
       * @example
       * for await (const user of stock.users.list({ role: 'operator' })) console.log(user.email, user.locations)
       */
      list: (filter?: UserFilter, options?: CallOptions): Listing<User> => list('/v1/users', filter, options),

      /**
       * Reads a user.
       * @example
       * const user = await stock.users.get('user_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<User> => send({ method: 'GET', path: path`/v1/users/${id}` }, options),

      /**
       * Changes what is named and leaves the rest. With another role or other locations they sign in anew.
       * @example
       * await stock.users.update('user_01jd8w2k5v7x9n3q4r6t8y0z1b', { role: 'manager', locations: null })
       */
      update: (id: string, changes: UpdateUser, options?: CallOptions): Promise<User> =>
        send({ method: 'PATCH', path: path`/v1/users/${id}`, body: changes }, options),

      /**
       * Disables a user. Refused with `last_administrator` for the last one there is.
       * @example
       * await stock.users.disable('user_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      disable: (id: string, options?: CallOptions): Promise<User> => send({ method: 'DELETE', path: path`/v1/users/${id}` }, options),

      /**
       * Gives a user a new password. Their sessions end.
       * @example
       * await stock.users.setPassword('user_01jd8w2k5v7x9n3q4r6t8y0z1b', { password: 'eight geese swim back again' })
       */
      setPassword: (id: string, password: SetPassword, options?: CallOptions): Promise<User> =>
        send({ method: 'POST', path: path`/v1/users/${id}/password`, body: password }, options),
    },

    /** Keys of programs. */
    apiKeys: {
      /**
       * Makes a key, which can do no more than the caller. `key` is there this once: a repeated answer has none.
       * @example
       * const { id, key } = await stock.apiKeys.create({ name: 'Till 3', scopes: ['availability:read', 'holds:write'], locations: ['LON'] })
       */
      create: (apiKey: CreateApiKey, options?: WriteOptions): Promise<ApiKey> =>
        send({ method: 'POST', path: '/v1/api_keys', body: apiKey, keyed: true }, options),

      /**
       * Lists keys, newest first; never the keys themselves.
       * @example
       * for await (const apiKey of stock.apiKeys.list()) console.log(apiKey.name, apiKey.lastUsedAt)
       */
      list: (filter?: ApiKeyFilter, options?: CallOptions): Listing<ApiKey> => list('/v1/api_keys', filter, options),

      /**
       * Reads what a key may do.
       * @example
       * const { scopes, expiresAt } = await stock.apiKeys.get('key_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<ApiKey> => send({ method: 'GET', path: path`/v1/api_keys/${id}` }, options),

      /**
       * Renames a key, or narrows what it may do. For more, make a new one.
       * @example
       * await stock.apiKeys.update('key_01jd8w2k5v7x9n3q4r6t8y0z1b', { scopes: ['availability:read'], rateLimit: { limit: 100, windowSeconds: 1 } })
       */
      update: (id: string, changes: UpdateApiKey, options?: CallOptions): Promise<ApiKey> =>
        send({ method: 'PATCH', path: path`/v1/api_keys/${id}`, body: changes }, options),

      /**
       * Revokes a key. Every process refuses it within five seconds.
       * @example
       * await stock.apiKeys.revoke('key_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      revoke: (id: string, options?: CallOptions): Promise<ApiKey> => send({ method: 'DELETE', path: path`/v1/api_keys/${id}` }, options),

      /**
       * Makes a new key in place of one, which goes on for the overlap: a day, unless it is said otherwise.
       * @example
       * const { key } = await stock.apiKeys.rotate('key_01jd8w2k5v7x9n3q4r6t8y0z1b', { overlapSeconds: 3_600 })
       */
      rotate: (id: string, overlap: RotateApiKey = {}, options?: WriteOptions): Promise<ApiKey> =>
        send({ method: 'POST', path: path`/v1/api_keys/${id}/rotate`, body: overlap, keyed: true }, options),
    },

    /** Who did what. */
    auditLog: {
      /**
       * Lists administrative acts, newest first.
       * @example
       * for await (const entry of stock.auditLog.list({ action: 'api_key.created' })) console.log(entry.actor, entry.subject.id, entry.changes)
       */
      list: (filter?: AuditFilter, options?: CallOptions): Listing<AuditEntry> => list('/v1/audit_log', filter, options),
    },

    /** What is up and what is down. */
    status: {
      /**
       * Reads how every component does, and what that means for users.
       * @example
       * const { state, functions } = await stock.status.get()
       * for (const { name, means } of functions) if (means !== null) console.log(name, means)
       */
      get: (options?: CallOptions): Promise<Status> => send({ method: 'GET', path: '/v1/status' }, options),
    },

    /** Whether the books agree. */
    integrity: {
      /**
       * Reads what the last verification found.
       * @example
       * const { state, verifiedAt, violations } = await stock.integrity.get()
       */
      get: (options?: CallOptions): Promise<Integrity> => send({ method: 'GET', path: '/v1/integrity' }, options),

      /**
       * Verifies now, or answers the last verification if that is no older than ten times as long as it took. Where verifying takes long it is refused as `overloaded` and goes on by itself; `get` tells what it found.
       * @example
       * const { violations } = await stock.integrity.verify()
       */
      verify: (options?: CallOptions): Promise<Integrity> =>
        send({ method: 'POST', path: '/v1/integrity/verify', body: {} }, { timeoutMs: VERIFY_TIMEOUT_MS, ...options }),
    },

    /** Urls that are told of events. What they are told is verified with `verifyWebhook`. */
    webhookEndpoints: {
      /**
       * Tells a url of events from now on. The answer's `secret` is shown this once; its receiver verifies with it.
       * @example
       * const { id, secret } = await stock.webhookEndpoints.create({ url: 'https://shop.example/hooks', events: ['hold.*', 'stock.received'] })
       */
      create: (endpoint: CreateWebhookEndpoint, options?: WriteOptions): Promise<WebhookEndpointWithSecret> =>
        send({ method: 'POST', path: '/v1/webhook_endpoints', body: endpoint, keyed: true }, options),

      /**
       * Lists webhook endpoints, newest first.
       * @example
       * for await (const endpoint of stock.webhookEndpoints.list({ status: 'disabled' })) console.log(endpoint.url, endpoint.disabled)
       */
      list: (filter?: WebhookEndpointFilter, options?: CallOptions): Listing<WebhookEndpoint> => list('/v1/webhook_endpoints', filter, options),

      /**
       * Reads a webhook endpoint.
       * @example
       * const { failingSince } = await stock.webhookEndpoints.get('whe_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<WebhookEndpoint> => send({ method: 'GET', path: path`/v1/webhook_endpoints/${id}` }, options),

      /**
       * Changes what is named and leaves the rest. `status` disables it, or enables it again: then what had been waiting goes out, too.
       * @example
       * await stock.webhookEndpoints.update('whe_01jd8w2k5v7x9n3q4r6t8y0z1b', { status: 'enabled' })
       */
      update: (id: string, changes: UpdateWebhookEndpoint, options?: CallOptions): Promise<WebhookEndpoint> =>
        send({ method: 'PATCH', path: path`/v1/webhook_endpoints/${id}`, body: changes, once: changes.ifVersion !== undefined }, options),

      /**
       * Deletes a webhook endpoint, its secret and its deliveries.
       * @example
       * await stock.webhookEndpoints.delete('whe_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      delete: (id: string, options?: CallOptions): Promise<WebhookEndpoint> =>
        send({ method: 'DELETE', path: path`/v1/webhook_endpoints/${id}`, once: true }, options),

      /**
       * Sends a test event now, once, and answers what came back.
       * @example
       * const { delivered, attempt } = await stock.webhookEndpoints.test('whe_01jd8w2k5v7x9n3q4r6t8y0z1b')
       * if (!delivered) console.log(attempt.error, attempt.responseBody)
       */
      test: (id: string, options?: WriteOptions): Promise<WebhookTest> =>
        send({ method: 'POST', path: path`/v1/webhook_endpoints/${id}/test`, body: {}, keyed: true }, { timeoutMs: TEST_TIMEOUT_MS, ...options }),

      /**
       * Makes a new secret, shown this once. The one before signs beside it for `overlapSeconds`, a day if nothing is said.
       * @example
       * const { secret } = await stock.webhookEndpoints.rotateSecret('whe_01jd8w2k5v7x9n3q4r6t8y0z1b', { overlapSeconds: 3_600 })
       */
      rotateSecret: (id: string, overlap: RotateWebhookSecret = {}, options?: WriteOptions): Promise<WebhookEndpointWithSecret> =>
        send({ method: 'POST', path: path`/v1/webhook_endpoints/${id}/rotate_secret`, body: overlap, keyed: true }, options),

      /**
       * Sends a range of what happened once more: after a sequence, or since an instant.
       * @example
       * await stock.webhookEndpoints.replay('whe_01jd8w2k5v7x9n3q4r6t8y0z1b', { since: '2026-11-21T08:00:00.000Z', until: '2026-11-21T12:00:00.000Z' })
       */
      replay: (id: string, range: ReplayWebhooks, options?: WriteOptions): Promise<WebhookEndpoint> =>
        send({ method: 'POST', path: path`/v1/webhook_endpoints/${id}/replay`, body: range, keyed: true }, options),

      /**
       * Lists the deliveries to an endpoint, the newest events first.
       * @example
       * for await (const delivery of stock.webhookEndpoints.deliveries('whe_01jd8w2k5v7x9n3q4r6t8y0z1b', { status: 'failed' })) console.log(delivery.eventType, delivery.attempts)
       */
      deliveries: (id: string, filter?: WebhookDeliveryFilter, options?: CallOptions): Listing<WebhookDelivery> =>
        list(path`/v1/webhook_endpoints/${id}/deliveries`, filter, options),
    },

    /** One for each event and each endpoint that wants it. */
    webhookDeliveries: {
      /**
       * Reads a delivery, with its attempts.
       * @example
       * const { status, attempts } = await stock.webhookDeliveries.get('whd_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      get: (id: string, options?: CallOptions): Promise<WebhookDelivery> => send({ method: 'GET', path: path`/v1/webhook_deliveries/${id}` }, options),

      /**
       * Sends a delivery again, now, whatever became of it before.
       * @example
       * await stock.webhookDeliveries.retry('whd_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      retry: (id: string, options?: WriteOptions): Promise<WebhookDelivery> =>
        send({ method: 'POST', path: path`/v1/webhook_deliveries/${id}/retry`, body: {}, keyed: true }, options),
    },

    /** Messages that nobody could take: commands that were refused with nobody to hear it, and whatever failed again and again. */
    parkedMessages: {
      /**
       * Lists parked messages, newest first.
       * @example
       * for await (const { id, operation, reason } of stock.parkedMessages.list({ status: 'parked' })) console.log(id, operation, reason)
       */
      list: (filter?: ParkedMessageFilter, options?: CallOptions): Listing<ParkedMessage> => list('/v1/parked_messages', filter, options),

      /**
       * Sends a message again, in the name of its sender. One that fails again comes back under the same id.
       * @example
       * const { resentAt } = await stock.parkedMessages.resend('msg_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      resend: (id: string, options?: CallOptions): Promise<ParkedMessage> =>
        send({ method: 'POST', path: path`/v1/parked_messages/${id}/resend`, body: {} }, options),

      /**
       * Throws a message away. The audit log keeps who did.
       * @example
       * await stock.parkedMessages.discard('msg_01jd8w2k5v7x9n3q4r6t8y0z1b')
       */
      discard: (id: string, options?: CallOptions): Promise<ParkedMessage> =>
        send({ method: 'POST', path: path`/v1/parked_messages/${id}/discard`, body: {}, once: true }, options),
    },
  }
}

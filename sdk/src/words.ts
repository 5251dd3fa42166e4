// The nouns and commands of the SDK. All of them come from the contract's table of operations, as types only: what the
// server takes and answers is said once, there.
import type { InputOf, Operation, Operations, OutputOf } from '@holdfast/contract'
import type { ForWire, FromWire } from './wire.ts'

type Answer<O extends Operation> = FromWire<OutputOf<O>>
type Row<O extends Operation> = OutputOf<O> extends { data: (infer Each)[] } ? FromWire<Each> : never
type Body<O extends Operation> = ForWire<InputOf<O>['body']>
/** Without what is said per call, whatever the operation: see `CallOptions` and its kin, and `export` for lists. */
type Query<O extends Operation> = ForWire<Omit<InputOf<O>['query'], 'dry_run' | 'min_sequence' | 'format'>>

export type Item = Answer<Operations['items']['get']>
export type Location = Answer<Operations['locations']['get']>
export type Receipt = Answer<Operations['receipts']['get']>
export type Adjustment = Answer<Operations['adjustments']['get']>
export type Hold = Answer<Operations['holds']['get']>
export type Shipment = Answer<Operations['shipments']['get']>
export type Return = Answer<Operations['returns']['get']>
export type Transfer = Answer<Operations['transfers']['get']>
export type InboundShipment = Answer<Operations['inbound_shipments']['get']>
export type Count = Answer<Operations['counts']['get']>
export type StockLevel = Row<Operations['stock_levels']['list']>
export type ItemStock = Answer<Operations['stock_levels']['get']>
export type Availability = Answer<Operations['availability']['get']>
export type AvailabilityAnswer = Answer<Operations['availability']['check']>
export type LedgerEntry = Row<Operations['ledger_entries']['list']>
export type Import = Answer<Operations['imports']['get']>
export type ImportError = Row<Operations['imports']['errors']>
export type StockEvent = Answer<Operations['events']['get']>
export type WebhookEndpoint = Answer<Operations['webhook_endpoints']['get']>
/** Just made, or its secret just rotated: the one time that it is shown. */
export type WebhookEndpointWithSecret = WebhookEndpoint & { secret: string }
export type WebhookTest = Answer<Operations['webhook_endpoints']['test']>
export type WebhookDelivery = Answer<Operations['webhook_deliveries']['get']>
export type ParkedMessage = Row<Operations['parked_messages']['list']>

export type Caller = Answer<Operations['auth']['me']>
export type Session = Row<Operations['auth']['list_sessions']>
export type SessionsEnded = Answer<Operations['auth']['logout']>
export type User = Answer<Operations['users']['get']>
export type ApiKey = Answer<Operations['api_keys']['get']>
export type Status = Answer<Operations['status']['get']>
export type Integrity = Answer<Operations['integrity']['get']>
export type AuditEntry = Row<Operations['audit_log']['list']>

export type CreateItem = Body<Operations['items']['create']>
export type UpdateItem = Body<Operations['items']['update']>
export type CreateLocation = Body<Operations['locations']['create']>
export type UpdateLocation = Body<Operations['locations']['update']>
export type CreateReceipt = Body<Operations['receipts']['create']>
export type CreateAdjustment = Body<Operations['adjustments']['create']>
export type PlaceHold = Body<Operations['holds']['place']>
export type ExecuteHold = Body<Operations['holds']['execute']>
export type ExtendHold = Body<Operations['holds']['extend']>
export type CreateShipment = Body<Operations['shipments']['create']>
export type CreateReturn = Body<Operations['returns']['create']>
export type CreateTransfer = Body<Operations['transfers']['create']>
export type ReceiveTransfer = Body<Operations['transfers']['receive']>
export type AnnounceInboundShipment = Body<Operations['inbound_shipments']['create']>
export type ReceiveInboundShipment = Body<Operations['inbound_shipments']['receive']>
export type OpenCount = Body<Operations['counts']['create']>
export type CountLines = Body<Operations['counts']['lines']>
export type CheckAvailability = Body<Operations['availability']['check']>
export type CreateWebhookEndpoint = Body<Operations['webhook_endpoints']['create']>
export type UpdateWebhookEndpoint = Body<Operations['webhook_endpoints']['update']>
export type RotateWebhookSecret = Body<Operations['webhook_endpoints']['rotate_secret']>
export type ReplayWebhooks = Body<Operations['webhook_endpoints']['replay']>

export type Register = Body<Operations['auth']['register']>
export type Login = Body<Operations['auth']['login']>
export type ChangePassword = Body<Operations['auth']['change_password']>
export type CreateUser = Body<Operations['users']['create']>
export type UpdateUser = Body<Operations['users']['update']>
export type SetPassword = Body<Operations['users']['set_password']>
export type CreateApiKey = Body<Operations['api_keys']['create']>
export type UpdateApiKey = Body<Operations['api_keys']['update']>
export type RotateApiKey = Body<Operations['api_keys']['rotate']>

export type ItemFilter = Query<Operations['items']['list']>
export type ImportFilter = Query<Operations['imports']['list']>
export type ImportErrorFilter = Query<Operations['imports']['errors']>
/** What becomes of items that are there, and where stock is that names no location. */
export type ImportQuery = Query<Operations['items']['import']>
export type LocationFilter = Query<Operations['locations']['list']>
export type ReceiptFilter = Query<Operations['receipts']['list']>
export type AdjustmentFilter = Query<Operations['adjustments']['list']>
export type HoldFilter = Query<Operations['holds']['list']>
export type ShipmentFilter = Query<Operations['shipments']['list']>
export type ReturnFilter = Query<Operations['returns']['list']>
export type TransferFilter = Query<Operations['transfers']['list']>
export type InboundShipmentFilter = Query<Operations['inbound_shipments']['list']>
export type CountFilter = Query<Operations['counts']['list']>
export type StockLevelFilter = Query<Operations['stock_levels']['list']>
export type LedgerEntryFilter = Query<Operations['ledger_entries']['list']>
export type EventFilter = Query<Operations['events']['list']>
export type EventStreamFilter = Query<Operations['events']['stream']>
export type SessionFilter = Query<Operations['auth']['list_sessions']>
export type UserFilter = Query<Operations['users']['list']>
export type ApiKeyFilter = Query<Operations['api_keys']['list']>
export type AuditFilter = Query<Operations['audit_log']['list']>
export type ParkedMessageFilter = Query<Operations['parked_messages']['list']>
export type WebhookEndpointFilter = Query<Operations['webhook_endpoints']['list']>
export type WebhookDeliveryFilter = Query<Operations['webhook_endpoints']['deliveries']>

// The table of all operations: the public face of Holdfast, and the one barrel.
import { apiKeys } from './api-keys.ts'
import { auditLog } from './audit-log.ts'
import { auth } from './auth.ts'
import { adjustments, receipts, returns, shipments } from './documents.ts'
import { counts } from './counts.ts'
import { events } from './events.ts'
import { holds } from './holds.ts'
import { inboundShipments } from './inbound-shipments.ts'
import { importItems, imports } from './imports.ts'
import { items } from './items.ts'
import { locations } from './locations.ts'
import type { Operation } from './operation.ts'
import { integrities, statuses } from './status.ts'
import { parkedMessages } from './parked-messages.ts'
import { availabilities, ledgerEntries, stockLevels } from './stock.ts'
import { transfers } from './transfers.ts'
import { users } from './users.ts'
import { webhookDeliveries, webhookEndpoints } from './webhooks.ts'

export const operations = {
  items: { ...items, import: importItems },
  imports,
  locations,
  receipts,
  adjustments,
  holds,
  shipments,
  returns,
  transfers,
  inbound_shipments: inboundShipments,
  counts,
  stock_levels: stockLevels,
  availability: availabilities,
  ledger_entries: ledgerEntries,
  events,
  auth,
  users,
  api_keys: apiKeys,
  audit_log: auditLog,
  webhook_endpoints: webhookEndpoints,
  webhook_deliveries: webhookDeliveries,
  status: statuses,
  integrity: integrities,
  parked_messages: parkedMessages,
}
export type Operations = typeof operations

/** Every operation, in the order of the table. */
export const allOperations: readonly Operation[] = Object.values(operations).flatMap((resource) => Object.values(resource) as Operation[]) // each value is made by operation()

export * from './operation.ts'
export * from './permissions.ts'
export * from './problems.ts'
export * from './schema.ts'
export { accepted } from './accepted.ts'
export { item } from './items.ts'
export { importError, importRow, itemImport, type ImportRow } from './imports.ts'
export { location } from './locations.ts'
export { availability, availabilityAnswer, itemStock, ledgerEntry, places, stockLevel, stockStates, strategies } from './stock.ts'
export { adjustment, adjustmentReasons, receipt, returned, shipment } from './documents.ts'
export { hold } from './holds.ts'
export { transfer } from './transfers.ts'
export { inboundShipment } from './inbound-shipments.ts'
export { count as stockCount } from './counts.ts'
export { event, eventTypes } from './events.ts'
export { caller, session } from './auth.ts'
export { user } from './users.ts'
export { apiKey } from './api-keys.ts'
export { auditEntry } from './audit-log.ts'
export { component, componentKinds, integrity, partStates, status } from './status.ts'
export { parkedMessage } from './parked-messages.ts'
export { deliveryStatus, endpointStatus, eventPatterns, webhookAttempt, webhookDelivery, webhookEndpoint } from './webhooks.ts'

// The public face of the SDK.
export { holdfast, type Holdfast } from './client.ts'
export { responseOf, type ResponseFacts } from './answer.ts'
export {
  AcceptedForLater,
  ConnectionError,
  type ErrorCode,
  HoldfastError,
  type InsufficientStock,
  type InvalidParam,
  isInsufficientStock,
  isRefusal,
  type Outcome,
  type Shortage,
  TimeoutError,
} from './errors.ts'
export type { ExportFormat, ExportOptions } from './export.ts'
export type { ImportOptions, ImportSource } from './import.ts'
export type { Listing, Page } from './pages.ts'
export type { CallOptions, ClientOptions, MoveOptions, StockReadOptions, Surroundings, WriteOptions } from './send.ts'
export type { StreamOptions } from './stream.ts'
export { type ReceivedWebhook, type TestEvent, verifyWebhook, type WebhookEvent, WebhookVerificationError } from './webhooks.ts'
export { toWire } from './wire.ts'
export type * from './words.ts'

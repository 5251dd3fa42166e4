// What it means for users when something is down: the one table of it. Components are what operators know, functions what users know.
import type { State, Kind } from './component.ts'

type Effect = {
  readonly function: string
  /** How the function does while the component is down. */
  readonly state: Exclude<State, 'up'>
  readonly means: string
}
type Row = {
  readonly kind: Kind
  readonly whenDown: readonly Effect[]
  /** What users notice of all these functions while the component is only degraded. */
  readonly whenDegraded: string
}

const FEWER = 'Some processes are down, or do not do well; the others go on with the work. It may be slower.'
const effect = (name: string, state: Effect['state'], means: string): Effect => ({ function: name, state, means })

const table = {
  gateway: {
    kind: 'role',
    whenDown: [effect('API', 'down', 'Nobody can ask anything over HTTP, and the web pages do not open. Messages are still taken.')],
    whenDegraded: FEWER,
  },
  identity: {
    kind: 'role',
    whenDown: [
      effect('signing in', 'down', 'Nobody can sign in, and no key can be made or changed.'),
      effect('API', 'degraded', 'Keys and sessions that were checked lately still work; others are told to try again.'),
    ],
    whenDegraded: FEWER,
  },
  inventory: {
    kind: 'role',
    whenDown: [
      effect('stock', 'down', 'Stock cannot be read or moved, and nothing can be held.'),
      effect('catalogue', 'down', 'Items and locations cannot be read, made or changed, and imports pause.'),
      effect('webhooks', 'down', 'What is to be sent waits until it is back, because events cannot be read.'),
    ],
    whenDegraded: 'Some requests fail or are slow.',
  },
  webhooks: {
    kind: 'role',
    whenDown: [effect('webhooks', 'down', 'Webhooks are not sent and endpoints cannot be changed. Deliveries wait, and are made when it is back.')],
    whenDegraded: 'Webhooks may come late. None is lost.',
  },
  relay: {
    kind: 'role',
    whenDown: [effect('events', 'down', 'Webhooks and other listeners hear nothing new. Events wait, and are told in their order when it is back.')],
    whenDegraded: 'Webhooks and other listeners may hear late of what happens. Nothing is lost.',
  },
  timers: {
    kind: 'role',
    whenDown: [
      effect('expiry', 'degraded', 'Holds that are due are shown as active, and their stock as held, until somebody else wants it. Nothing is promised twice.'),
    ],
    whenDegraded: 'Holds that are due may be shown as active for longer.',
  },
  'item-commands': {
    kind: 'role',
    whenDown: [
      effect(
        'items by message',
        'down',
        'Items that are sent as messages are not created or changed until it is back; they wait in the queue. The HTTP API goes on.',
      ),
    ],
    whenDegraded: FEWER,
  },
  'stock-commands': {
    kind: 'role',
    whenDown: [
      effect(
        'stock by message',
        'down',
        'Stock changes that are sent as messages are not made until it is back; they wait in the queue. The HTTP API goes on.',
      ),
    ],
    whenDegraded: FEWER,
  },
  'order-commands': {
    kind: 'role',
    whenDown: [
      effect(
        'orders by message',
        'down',
        'Orders and holds that are sent as messages are not placed until it is back; they wait in the queue. The HTTP API goes on.',
      ),
    ],
    whenDegraded: FEWER,
  },
  monitor: {
    kind: 'role',
    whenDown: [effect('status', 'down', 'Nobody notices what is down, and the books are not verified.')],
    whenDegraded: 'Changes may be told late, or the books not be verified; the status itself is told.',
  },
  database: {
    kind: 'database',
    whenDown: [
      effect(
        'stock',
        'degraded',
        'Availability is told from the caches and marked stale; holds are refused; receipts are taken into the queue where there is one.',
      ),
      effect('catalogue', 'down', 'Items and locations cannot be made or changed.'),
      effect('signing in', 'down', 'Nobody can sign in. Who was known goes on for a while.'),
      effect('events', 'down', 'Nothing new is told. Nothing is lost.'),
      effect('webhooks', 'down', 'Webhooks are not sent. Deliveries wait, and are made when it is back.'),
      effect('expiry', 'degraded', 'Holds do not give their stock back until it is back.'),
    ],
    whenDegraded: 'Some requests wait for others, and may be told to try again.',
  },
  standby: {
    kind: 'database',
    whenDown: [
      effect('stock', 'degraded', 'If the primary were lost now, nothing could take its place. Where commits wait for a standby, nothing can be written.'),
    ],
    whenDegraded: 'If the primary were lost now, it would take longer until its place is taken.',
  },
  outbox: {
    kind: 'ledger',
    whenDown: [effect('events', 'down', 'Webhooks and other listeners have heard nothing new for a minute or more. Events wait in the outbox.')],
    whenDegraded: 'Webhooks and other listeners hear late of what happens.',
  },
  ledger: {
    kind: 'ledger',
    whenDown: [effect('stock', 'degraded', 'The books do not agree: some counts may be wrong. Selling goes on.')],
    whenDegraded: 'Whether the books agree has not been found out for too long.',
  },
  redis: {
    kind: 'cache',
    whenDown: [
      effect('availability', 'degraded', 'Reads are slower, with the same answers.'),
      effect('rate limits', 'degraded', 'Each process counts requests for itself, so that callers may ask more often.'),
    ],
    whenDegraded: 'Reads are slower, with the same answers.',
  },
  rabbitmq: {
    kind: 'broker',
    whenDown: [
      effect('events', 'down', 'Webhooks and other listeners hear nothing new. Events wait in the outbox.'),
      effect('items by message', 'down', 'No messages are taken. Senders keep theirs until it is back. The HTTP API goes on.'),
      effect('stock by message', 'down', 'No messages are taken. Senders keep theirs until it is back. The HTTP API goes on.'),
      effect('orders by message', 'down', 'No messages are taken. Senders keep theirs until it is back. The HTTP API goes on.'),
    ],
    whenDegraded: 'Messages may wait, or were set aside.',
  },
} as const satisfies Record<string, Row>

/** A role that is not in the table does something all the same. */
const unknown: Row = { kind: 'role', whenDown: [], whenDegraded: FEWER }

export const effectsOf = (component: string): Row => (table as Readonly<Record<string, Row>>)[component] ?? unknown

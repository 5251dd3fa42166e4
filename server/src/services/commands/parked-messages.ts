// What is asked about parked messages, and where those go that RabbitMQ parked by itself.
import { encodeId, type Uuid } from '../../domain/ids.ts'
import { keptMessage } from '../../messaging/kept-message.ts'
import type { Park } from '../../messaging/parking.ts'
import type { Delivery, RabbitCommands } from '../../messaging/rabbit-commands.ts'
import { messageOf } from '../../platform/error.ts'
import { loop } from '../../platform/loop.ts'
import { audit, changesBetween, type Changes } from '../../storage/audit.ts'
import {
  countParked,
  deleteParkedMessage,
  forgetResent,
  forgetStrangers,
  listParkedMessages,
  lockParkedMessage,
  markResent,
  type ParkedMessage,
} from '../../storage/parked-messages.ts'
import { transaction, type Connection, type Pool } from '../../storage/pool.ts'
import { Refused, guarded, iso, namedId, noSuch, pageOf, placeOf } from '../answer.ts'
import { readCaller, writeCaller, type Call, type Caller, type Handlers, type Service, type WireCaller } from '../service.ts'

export type ParkedMessagesDeps = {
  readonly pool: Pool
  /** Undefined: there is no RabbitMQ here. */
  readonly commands: RabbitCommands | undefined
  /** With which a process of ours sends in a caller's name; undefined: it cannot. */
  readonly headersFor: (caller: Caller, content: Buffer, sentAt: number) => Readonly<Record<string, string>> | undefined
  readonly senderOf: (delivery: Delivery) => Promise<{ readonly caller: Caller | undefined; readonly sentAt: number | undefined }>
  readonly park: Park
  readonly limits: {
    readonly lookMs: number
    readonly counted: number
    readonly resentAgeMs: number
    readonly forgotten: number
    readonly commandAgeMs: number
    readonly strangers: number
  }
  readonly onFault: (error: unknown) => void
  readonly onCount: (parked: number) => void
}

export const parkedMessages = (deps: ParkedMessagesDeps): Service<'parked-messages'> => {
  const { pool, commands, headersFor, senderOf, park, limits, onFault, onCount } = deps

  /** As it came, but in the name of its sender as we knew them: their key may have been replaced since. */
  const send = async (row: ParkedMessage): Promise<void> => {
    if (commands === undefined) throw new Refused('unavailable', 'no RabbitMQ is configured here; its operator sets AMQP_URL', { retryAfterSeconds: 60 })
    const content = Buffer.from(row.message)
    const isCommand = row.queue.startsWith(COMMANDS)
    if (isCommand && row.caller === null)
      throw new Refused('invalid_state', 'nobody is known as its sender, so there is nobody in whose name it could be done; discard it')
    if (isCommand && Date.now() - row.sentAt > limits.commandAgeMs)
      throw new Refused(
        'invalid_state',
        `it was first sent at ${iso(row.sentAt)}, and its idempotency key may have been forgotten since; look whether it was done, discard it, and send it anew`,
      )
    const headers = isCommand ? headersFor(readCaller(row.caller as WireCaller), content, row.sentAt) : {} // written by writeCaller
    if (headers === undefined)
      throw new Refused('unavailable', 'this server has no key to send it with; its operator sets HOLDFAST_SERVICE_KEY', { retryAfterSeconds: 60 })
    try {
      // What was sent to no queue goes where its operation leads.
      if (row.queue === COMMANDS) await commands.send({ operation: row.operation ?? '', content, headers })
      else await commands.sendAgain(row.queue, { content, headers })
    } catch (error) {
      throw new Refused('unavailable', messageOf(error), { retryAfterSeconds: 1 })
    }
  }

  const told = (connection: Connection, call: Call, action: 'resent' | 'discarded', row: ParkedMessage, changes: Changes): Promise<void> =>
    audit(connection, call, { action: `parked_message.${action}`, subject: { kind: 'parked_message', id: idOf(row) }, changes })

  const handlers: Handlers['parked_messages'] = guarded({
    list: ({ query }) =>
      pageOf(query, {
        read: (limit) =>
          listParkedMessages(pool, {
            queue: query.queue ?? null,
            resent: query.status === undefined ? null : query.status === 'resent',
            before: placeOf('parked_message', query.starting_after),
            limit,
          }),
        render,
        cursorOf: idOf,
      }),
    resend: async ({ params }, call) => {
      const row = await transaction(pool, async (connection) => {
        // Held until it is out: two who ask at once send it once, and if it is back already, that stands there afterwards.
        const found = await lockParkedMessage(connection, namedId('parked_message', params.id))
        if (found === undefined) throw noSuch('parked_message', params.id)
        // Asked again, because the answer was lost: it is under way already.
        if (found.resentAt !== null) return found
        await send(found)
        await told(connection, call, 'resent', found, changesBetween({ resent: false }, { resent: true }))
        return markResent(connection, found.id)
      })
      return { ok: true, body: render(row) }
    },
    discard: async ({ params }, call) => {
      const gone = await transaction(pool, async (connection) => {
        const deleted = await deleteParkedMessage(connection, namedId('parked_message', params.id))
        if (deleted === undefined) throw noSuch('parked_message', params.id)
        await told(connection, call, 'discarded', deleted, changesBetween(factsOf(deleted), null))
        return deleted
      })
      return { ok: true, body: render(gone) }
    },
  })

  /** From where it was parked: nobody took it, or it was taken too often. */
  const keep = async (delivery: Delivery): Promise<void> => {
    const { message, operation } = keptMessage(delivery)
    const { caller, sentAt } = await senderOf(delivery)
    await park({
      queue: queueOf(delivery),
      operation: operation ?? delivery.routingKey,
      message,
      messageId: delivery.messageId,
      sentAt,
      reason: delivery.died === undefined ? `no queue takes what is sent to ${delivery.routingKey || 'nothing'}` : `RabbitMQ gave it up: ${delivery.died}`,
      attempts: 1,
      caller: caller === undefined ? null : writeCaller(caller),
    })
  }
  const upkeep = loop({
    step: async () => {
      onCount(await countParked(pool, limits.counted))
      await forgetResent(pool, limits.resentAgeMs, limits.forgotten)
      await forgetStrangers(pool, limits.strangers, limits.forgotten)
      return limits.lookMs
    },
    onFault,
    afterFaultMs: limits.lookMs,
  })
  let leave: () => Promise<void> = async () => undefined

  return {
    name: 'parked-messages',
    handlers: { parked_messages: handlers },
    start: async () => {
      if (commands !== undefined) leave = commands.consumeParked(keep)
      upkeep.start()
    },
    stop: async () => {
      await Promise.all([leave(), upkeep.stop()])
    },
  }
}

/** Without the prefix; of what no queue took, all of them. */
const queueOf = ({ from }: Delivery): string => /\.((?:events|commands)\.\w+)$/.exec(from ?? '')?.[1] ?? COMMANDS
const COMMANDS = 'commands'

const idOf = ({ id }: ParkedMessage): string => encodeId('parked_message', id as Uuid) // the column is a uuid

const render = (row: ParkedMessage) => ({
  object: 'parked_message' as const,
  id: idOf(row),
  queue: row.queue,
  operation: row.operation,
  message: row.message,
  sender: row.caller?.principal ?? null,
  reason: row.reason,
  attempts: row.attempts,
  parked_at: iso(row.parkedAt),
  resent_at: row.resentAt === null ? null : iso(row.resentAt),
})

/** What is left of it when its row is gone. */
const factsOf = ({ queue, operation, caller, reason }: ParkedMessage) => ({ queue, operation, sender: caller?.principal ?? null, reason })

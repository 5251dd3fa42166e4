// Roles that take commands from their queue, and have them done by the same handlers as requests. Each is told to RabbitMQ as done
// when it was answered; so a command may be done twice, and its idempotency key sees to it that it is not: a key that stands with
// its effect in one transaction is the inbox, and there is no other one.
import type { Operation } from '@holdfast/contract'
import { keptMessage } from '../../messaging/kept-message.ts'
import type { Park } from '../../messaging/parking.ts'
import type { CommandQueue, Delivery, RabbitCommands } from '../../messaging/rabbit-commands.ts'
import { tried, type Tries } from '../../messaging/tried.ts'
import { isPassing } from '../../storage/fault.ts'
import { writeCaller, type Answer, type Call, type Caller, type Refusal, type Service } from '../service.ts'
import { underWay, type UnderWayLimits } from './under-way.ts'

export type Checked = {
  readonly command: { readonly operation: string; readonly reply_to?: string } | undefined
  readonly caller: Caller | undefined
  readonly sentAt: number | undefined
  readonly isSealed: boolean
  readonly requestId: string
} & ({ readonly ok: true; readonly operation: Operation; readonly input: unknown; readonly call: Call } | { readonly ok: false; readonly refusal: Refusal })

export type CommandsDeps = {
  readonly queue: CommandQueue
  readonly commands: RabbitCommands
  /** Whether a message is a command, of somebody who may send it. Rejects when that cannot be found out now. */
  readonly check: (delivery: Delivery) => Promise<Checked>
  readonly dispatch: (operation: Operation, input: unknown, call: Call) => Promise<Answer<unknown>>
  /** A refusal as it is answered: JSON. */
  readonly problemOf: (refusal: Refusal, requestId: string) => string
  readonly park: Park
  readonly state: () => { readonly state: 'up' | 'degraded' | 'down'; readonly why: string | null }
  readonly limits: Tries['limits'] & UnderWayLimits & { readonly replyTries: number; readonly overtakenMs: number }
  readonly onFault: (error: unknown) => void
  readonly onDone: (outcome: 'done' | 'refused' | 'parked') => void
}

const names = { items: 'item-commands', stock: 'stock-commands', orders: 'order-commands' } as const satisfies Record<CommandQueue, string>

export const commands = (deps: CommandsDeps): Service<(typeof names)[CommandQueue]> => {
  const { queue, commands: broker, check, dispatch, problemOf, park, state, limits, onFault, onDone } = deps
  const came = `commands.${queue}`

  const parked = async (
    delivery: Delivery,
    { command, caller, sentAt }: Pick<Checked, 'command' | 'caller' | 'sentAt'>,
    reason: string,
    attempts = 1,
  ): Promise<void> => {
    const { message, operation } = keptMessage(delivery)
    await park({
      queue: came,
      operation: command?.operation ?? operation,
      message,
      messageId: delivery.messageId,
      sentAt,
      reason,
      attempts,
      caller: caller === undefined ? null : writeCaller(caller),
    })
    onDone('parked')
  }

  /** What came of it, however long that takes while something is away. */
  const outcomeOf = async (delivery: Delivery): Promise<{ readonly checked: Checked; readonly answer: Answer<unknown>; readonly attempts: number }> => {
    let found: { readonly checked: Checked; readonly answer: Answer<unknown> } | undefined
    let attempts = 0
    let checked: Checked | undefined
    const began = performance.now()
    const failed = await tried(
      async () => {
        attempts += 1
        checked = await check(delivery)
        const answer: Answer<unknown> = checked.ok ? await dispatch(checked.operation, checked.input, checked.call) : { ok: false, refusal: checked.refusal }
        // Of what we kept ourselves, the receipt may still be on its way that an adjustment has overtaken.
        const isOvertaken = !answer.ok && answer.refusal.code === 'insufficient_stock' && checked.isSealed && performance.now() - began < limits.overtakenMs
        if (!answer.ok && (isOvertaken || waitedFor.has(answer.refusal.code))) throw new NotNow(answer.refusal)
        found = { checked, answer }
      },
      { limits, isPassing: (error) => error instanceof NotNow || isPassing(error), over: delivery.over, onFault },
    )
    if (found !== undefined) return { ...found, attempts }
    if (checked === undefined) throw failed?.error
    // A defect of ours. It was tried, and nothing of it goes out.
    return { checked, attempts, answer: { ok: false, refusal: { code: 'internal_error', detail: 'The command could not be finished.' } } }
  }

  const handle = async (delivery: Delivery): Promise<void> => {
    if (delivery.isHopeless) return parked(delivery, await check(delivery), TOO_OFTEN)
    const { checked, answer, attempts } = await outcomeOf(delivery)
    // Nobody whom we do not know has us send anything anywhere.
    const to = checked.caller === undefined ? undefined : (delivery.replyTo ?? checked.command?.reply_to)
    const isHeard = to !== undefined && !broker.isOurs(to)
    const { correlationId } = delivery
    let wasTaken = false
    if (isHeard) {
      const content = answer.ok
        ? { content: JSON.stringify({ status: checked.ok ? checked.operation.status : 200, body: answer.body }), contentType: 'application/json' }
        : { content: problemOf(answer.refusal, checked.requestId), contentType: 'application/problem+json' }
      // It has been done: the answer alone is tried again, not the command.
      await tried(async () => void (wasTaken = await broker.reply({ to, correlationId, ...content })), {
        limits: { ...limits, tries: limits.replyTries },
        isPassing: () => false,
        over: delivery.over,
        onFault,
      })
    }
    if (answer.ok) return onDone('done')
    // Whoever heard the refusal decides what to do. Where nobody did, a person does.
    if (wasTaken) return onDone('refused')
    return parkUntilKept(delivery, checked, `${answer.refusal.code}: ${answer.refusal.detail}`, attempts)
  }
  const parkUntilKept = async (delivery: Delivery, checked: Checked, reason: string, attempts: number): Promise<void> => {
    await tried(() => parked(delivery, checked, reason, attempts), { limits, isPassing: () => true, over: delivery.over, onFault })
  }

  const work = underWay(limits)
  let leave: () => Promise<void> = async () => undefined
  return {
    name: names[queue],
    handlers: {},
    state: () => (state().state === 'up' ? work.state() : state()),
    start: async () => {
      leave = broker.consume(queue, work.watched(handle))
    },
    stop: () => leave(),
  }
}

/** Away, busy, or being done at this moment: whoever sent it has gone home, and we wait in their place. */
const waitedFor: ReadonlySet<Refusal['code']> = new Set(['unavailable', 'overloaded', 'rate_limited', 'idempotency_key_in_use'])

class NotNow extends Error {
  constructor({ code, detail }: Refusal) {
    super(`a command waits: ${code}: ${detail}`)
    this.name = 'NotNow'
  }
}

const TOO_OFTEN = 'it was delivered again and again and never answered: it may be what ends the process that takes it'

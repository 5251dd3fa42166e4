// A command that a process of ours keeps in RabbitMQ for a caller, to be done in their name when that is possible again.
import type { RabbitCommands } from '../../messaging/rabbit-commands.ts'
import type { Caller } from '../service.ts'

export type CommandToKeep = {
  readonly operation: string
  readonly input: { readonly params?: unknown; readonly query?: unknown; readonly body?: unknown }
  readonly idempotencyKey: string
  readonly caller: Caller
}

export type CommandSender = {
  /** Resolves when RabbitMQ keeps it; rejects when it may not. */
  send(command: CommandToKeep): Promise<void>
}

export const commandSender = ({
  commands,
  headersFor,
}: {
  readonly commands: Pick<RabbitCommands, 'send'>
  readonly headersFor: (caller: Caller, content: Buffer, sentAt: number) => Readonly<Record<string, string>> | undefined
}): CommandSender => ({
  send: async ({ operation, input, idempotencyKey, caller }) => {
    const content = Buffer.from(JSON.stringify({ operation, input, idempotency_key: idempotencyKey }))
    const headers = headersFor(caller, content, Date.now())
    if (headers === undefined) throw new Error('there is no key to send a command with; HOLDFAST_SERVICE_KEY is one')
    await commands.send({ operation, content, headers })
  },
})

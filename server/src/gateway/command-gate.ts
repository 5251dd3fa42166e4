// A command that came as a message, checked as a request is: who sends it, may they, is it well formed. The same rules, the same words.
import { hash } from 'node:crypto'
import type { Operation } from '@holdfast/contract'
import type { GatewayLimits } from '../platform/limits.ts'
import { opened, sealed } from '../platform/sealed.ts'
import { randomWord } from '../platform/random.ts'
import { readCaller, writeCaller, type Call, type Caller, type Refusal, type WireCaller } from '../services/service.ts'
import { admitted, keyIn, wrongKey, type Identify } from './authenticate.ts'
import { readJson } from './json.ts'
import { Refused } from './problem.ts'
import { bodyMayBeMissing, faultFinder, validatorOf, type Input } from './validate.ts'

export type Command = {
  readonly operation: string
  readonly input: Partial<Input>
  readonly idempotency_key?: string
  readonly reply_to?: string
}
export type CommandIn = {
  readonly content: Buffer
  readonly headers: Readonly<Record<string, unknown>>
  readonly messageId: string | undefined
  readonly appId: string | undefined
  /** When it was first sent, as its sender says. */
  readonly sentAt: number | undefined
}

export type CheckedCommand = {
  /** As much as could be read of it; undefined: it is no command. */
  readonly command: Command | undefined
  /** Who sends it; undefined: nobody that we know. */
  readonly caller: Caller | undefined
  /** When it was first sent; undefined: nobody has said so. */
  readonly sentAt: number | undefined
  /** A process of ours sends it in their name. */
  readonly isSealed: boolean
  readonly requestId: string
} & ({ readonly ok: true; readonly operation: Operation; readonly input: Input; readonly call: Call } | { readonly ok: false; readonly refusal: Refusal })

export type CommandGate = {
  /**
   * Rejects when it cannot be found out now who sends it.
   * @param leads  whether an operation leads to where the message was found: nothing else is taken there
   */
  check(message: CommandIn, leads: (operation: string) => boolean): Promise<CheckedCommand>
  /**
   * The headers with which a process of ours sends a command in a caller's name. Undefined: there is no key to seal them with.
   * @param sentAt  when it was first sent
   */
  headersFor(caller: Caller, content: Buffer, sentAt: number): Readonly<Record<string, string>> | undefined
}

export type CommandGateDeps = {
  readonly operations: readonly Operation[]
  readonly identify: Identify
  /** Believed from whoever has one of them. The first seals. */
  readonly keys: readonly string[]
  readonly limits: GatewayLimits
  /** A command that was sent longer ago is not done: its idempotency key may have been forgotten, and what it asks for done already. */
  readonly ageMs: number
}

/** By message comes what changes something, and whole. */
const canBeSent = ({ method, bodyTypes, streams }: Operation): boolean => method !== 'GET' && bodyTypes === undefined && !streams

export const commandGate = ({ operations, identify, keys, limits, ageMs }: CommandGateDeps): CommandGate => {
  const known = new Map(operations.filter(canBeSent).map((operation) => [operation.name, operation]))
  const faultsOf = faultFinder(commandSchema(limits), limits)

  const read = (content: Buffer): Command => {
    if (content.length > limits.bodyBytes) throw new Refused({ code: 'payload_too_large', detail: `The message is larger than ${limits.bodyBytes} bytes.` })
    const value = readJson(content, limits)
    const errors = faultsOf(value)
    if (errors.length > 0) throw invalid(errors)
    const command = value as Command // as its schema says
    // AMQP counts bytes, a schema characters.
    if (Buffer.byteLength(command.reply_to ?? '') > LONGEST_QUEUE) throw invalid([{ param: 'reply_to', message: `must have ${LONGEST_QUEUE} bytes or fewer` }])
    return command
  }

  /** Whom the message names as its sender: with a key of theirs, or because a process of ours says so. */
  const senderOf = async ({ headers, content, sentAt }: CommandIn): Promise<{ readonly caller: Caller; readonly sentAt: number | undefined }> => {
    const token = headers[CALLER_HEADER]
    if (typeof token === 'string') {
      const said = openedWith(keys, token)
      if (said === undefined || said.content !== digest(content)) throw wrongKey()
      return { caller: readCaller(said.caller), sentAt: said.sent_at }
    }
    const { authorization } = headers
    const caller = await identify(keyIn(typeof authorization === 'string' ? authorization : undefined))
    if (caller === undefined) throw wrongKey()
    return { caller, sentAt }
  }

  const checked = (
    command: Command,
    { caller, sentAt, appId, requestId, leads }: Known & { readonly leads: (operation: string) => boolean },
  ): { operation: Operation; input: Input; call: Call } => {
    const operation = leads(command.operation) ? known.get(command.operation) : undefined
    if (operation === undefined)
      throw invalid([{ param: 'operation', message: `is none that is taken from this queue: ${command.operation.slice(0, LONGEST_NAME)}` }])
    admitted(caller, operation)
    const { params = {}, query = {}, body = bodyMayBeMissing(operation) ? {} : undefined } = command.input
    const input = { params, query, body }
    const errors = validatorOf(operation, limits)(input)
    if (errors !== undefined) throw invalid(errors)
    const { idempotency_key: idempotencyKey } = command
    if (idempotencyKey === undefined)
      throw new Refused({ code: 'idempotency_key_required', detail: `A message may come twice: send an idempotency_key with ${operation.name}.` })
    if (sentAt !== undefined && Date.now() - sentAt > ageMs) throw new Refused({ code: 'invalid_state', detail: TOO_OLD })
    const origin = { address: 'message', userAgent: appId ?? null }
    return { operation, input, call: { caller, requestId, origin, idempotencyKey } }
  }

  const check = async (message: CommandIn, leads: (operation: string) => boolean): Promise<CheckedCommand> => {
    const requestId = idOf(message.messageId)
    let command: Command | undefined
    let caller: Caller | undefined
    let { sentAt } = message
    const isSealed = CALLER_HEADER in message.headers
    const refusals: Refusal[] = []
    // Who sent it is found out even of what cannot be read; and that it is nobody is told before anything else.
    try {
      const sender = await senderOf(message)
      caller = sender.caller
      sentAt = sender.sentAt
    } catch (error) {
      refusals.push(refusalOf(error))
    }
    try {
      command = read(message.content)
      if (caller !== undefined) {
        const found = { command, caller, sentAt, isSealed, requestId }
        return { ok: true, ...found, ...checked(command, { ...found, appId: message.appId, leads }) }
      }
    } catch (error) {
      refusals.push(refusalOf(error))
    }
    return { ok: false, command, caller, sentAt, isSealed, requestId, refusal: refusals[0] ?? refusalOf(wrongKey()) }
  }

  return {
    check,
    headersFor: (caller, content, sentAt) => {
      const [key] = keys
      const said: Said = { caller: writeCaller(caller), content: digest(content), sent_at: sentAt }
      return key === undefined ? undefined : { [CALLER_HEADER]: sealed(said, key) }
    },
  }
}

/** Sealed for one message alone: whoever finds it in a queue cannot put it on another one. */
type Said = { readonly caller: WireCaller; readonly content: string; readonly sent_at: number }
/** What was sealed before a key was replaced is still believed while that key is among them. */
const openedWith = (keys: readonly string[], token: string): Said | undefined => {
  for (const key of keys) {
    const said = opened(token, key)
    if (said !== undefined) return said as Said // sealed by headersFor
  }
  return undefined
}
const CALLER_HEADER = 'holdfast-caller'
const digest = (content: Buffer): string => hash('sha256', content, 'base64url')

const refusalOf = (error: unknown): Refusal => {
  if (error instanceof Refused) return error.refusal
  throw error
}
const invalid = (errors: NonNullable<Refusal['errors']>): Refused => {
  const [first] = errors
  return new Refused({ code: 'invalid_request', detail: `${first?.param || 'The message'} ${first?.message ?? 'is not well formed'}`, errors })
}

type Known = { readonly caller: Caller; readonly sentAt: number | undefined; readonly appId: string | undefined; readonly requestId: string }

/** The sender's own word for it, when it is fit for a log. */
const idOf = (given: string | undefined): string => (given !== undefined && /^[A-Za-z0-9_.-]{8,128}$/.test(given) ? given : `msg_${randomWord(ID_LETTERS)}`)
const ID_LETTERS = 20
const LONGEST_NAME = 100
const TOO_OLD =
  'It was sent so long ago that its idempotency_key may have been forgotten. Look whether it was done; if not, send it anew, with a new idempotency_key.'
const LONGEST_QUEUE = 255

const commandSchema = ({ idempotencyKeyCharacters }: GatewayLimits) => ({
  type: 'object',
  required: ['operation', 'input'],
  additionalProperties: false,
  properties: {
    operation: { type: 'string' },
    input: { type: 'object', additionalProperties: false, properties: { params: { type: 'object' }, query: { type: 'object' }, body: { type: 'object' } } },
    idempotency_key: { type: 'string', minLength: 1, maxLength: idempotencyKeyCharacters, pattern: '^[\\x20-\\x7e]*$', examples: ['receipt-4711'] },
    reply_to: { type: 'string', minLength: 1, maxLength: LONGEST_QUEUE },
  },
})

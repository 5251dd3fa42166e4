import type {
  CreateWebhookEndpoint,
  WebhookDelivery,
  WebhookDeliveryFilter,
  WebhookEndpoint,
  WebhookEndpointFilter,
  WebhookEndpointWithSecret,
} from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { duration, gather, pair, positiveNumber, wholeNumber } from '../arguments.ts'
import { type Column, exitCodes, exportOption, type ListOptions, listOptions, plain, table, time } from '../output.ts'
import { openSession } from '../session.ts'
import { listen } from '../webhook-listener.ts'

type Changeable = { event?: readonly string[]; description?: string; metadata?: Record<string, string> }

export function addWebhookCommands(program: Command) {
  const webhook = program.command('webhook').description('tell other systems what happens here')
  addEndpoints(webhook)
  addDeliveries(webhook)

  webhook
    .command('listen')
    .description('be a receiver on this machine: verify what comes, and print it, until Ctrl-C')
    .option('--port <n>', 'where to listen (default: any that is free)', wholeNumber)
    .addOption(eventOption())
    .addOption(
      new Option('--secret <whsec>', 'of an endpoint that is there already; without it, one is made for as long as this runs').env('HOLDFAST_WEBHOOK_SECRET'),
    )
    .action(async ({ port = 0, event: events, secret }: { port?: number; event?: readonly string[]; secret?: string }, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await listen({ stock, output, port, secret, events: eventsOf(events) })
    })
}

function addEndpoints(webhook: Command) {
  withChangeable(webhook.command('create').description('tell a url of events; its secret is shown once').argument('<url>')).action(
    async (url: string, given: Changeable, command: Command) => {
      const { stock, options, done } = openSession(command, 'create')
      const made = await stock.webhookEndpoints.create({ url, ...changesOf(given), events: eventsOf(given.event) }, options)
      done(made, () => secretWords(made))
    },
  )

  webhook
    .command('list')
    .description('list webhook endpoints')
    .addOption(new Option('--status <status>').choices(['enabled', 'disabled']))
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ status, ...list }: WebhookEndpointFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(endpointColumns, list, (limit) => stock.webhookEndpoints.list({ status, limit }))
    })

  webhook
    .command('get')
    .description('show an endpoint')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.webhookEndpoints.get(id)
      output.one(found, () => endpointWords(found))
    })

  withChangeable(webhook.command('update').description('change what is named and leave the rest').argument('<id>'))
    .option('--to <url>', 'where it is told from now on')
    .option('--if-version <n>', 'only if it still has this version', wholeNumber)
    .action(async (id: string, { to: url, ifVersion, ...given }: Changeable & { to?: string; ifVersion?: number }, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const changes = { ...changesOf(given), ...(url === undefined ? {} : { url }) }
      if (Object.keys(changes).length === 0) command.error('error: nothing to change was given')
      const changed = await stock.webhookEndpoints.update(id, { ...changes, ifVersion })
      done(changed, () => endpointWords(changed))
    })

  for (const [verb, status, description] of [
    ['enable', 'enabled', 'tell it again what happens from now on, and what had been waiting'],
    ['disable', 'disabled', 'tell it nothing more'],
  ] as const) {
    webhook
      .command(verb)
      .description(description)
      .argument('<id>')
      .action(async (id: string, _: object, command: Command) => {
        const { stock, done } = openSession(command, 'change')
        const changed = await stock.webhookEndpoints.update(id, { status })
        done(changed, () => endpointWords(changed))
      })
  }

  webhook
    .command('delete')
    .description('delete an endpoint, its secret and its deliveries')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const deleted = await stock.webhookEndpoints.delete(id)
      done(deleted, () => endpointWords(deleted))
    })

  webhook
    .command('test')
    .description('send a test event now, and tell what came back')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, options, done } = openSession(command, 'create')
      const tested = await stock.webhookEndpoints.test(id, options)
      const { delivered, attempt } = tested
      done(tested, () => `${delivered ? 'Delivered' : `Not delivered: ${plain(attempt.error ?? '')}`}, in ${attempt.durationMs} ms.${bodyWords(attempt)}`)
      if (!delivered) process.exitCode = exitCodes.refused
    })

  webhook
    .command('rotate-secret')
    .description('make a new secret, shown once; the one before signs beside it for a while')
    .argument('<id>')
    .option('--overlap <time>', 'how long: 0, 900, 15m, 2h, 7d (default: a day)', (text) => (text === '0' ? 0 : duration(text)))
    .action(async (id: string, { overlap }: { overlap?: number }, command: Command) => {
      const { stock, options, done } = openSession(command, 'create')
      const rotated = await stock.webhookEndpoints.rotateSecret(id, { overlapSeconds: overlap }, options)
      done(rotated, () => secretWords(rotated))
    })

  webhook
    .command('replay')
    .description('send a range of what happened once more')
    .argument('<id>')
    .option('--after <sequence>', 'what came after it', wholeNumber)
    .option('--since <instant>', 'or what came from then on, for instance 2026-11-21T08:00:00Z')
    .option('--until <instant>', 'up to, but not, this instant (default: now)')
    .action(async (id: string, { after, since, until }: { after?: number; since?: string; until?: string }, command: Command) => {
      const { stock, options, done } = openSession(command, 'create')
      if ((after === undefined) === (since === undefined)) command.error('error: say where to begin, with --after or with --since')
      const asked = await stock.webhookEndpoints.replay(id, { afterSequence: after, since, until }, options)
      done(asked, () =>
        asked.replay === null
          ? 'Nothing happened in that range.'
          : `Sequences ${asked.replay.afterSequence + 1} to ${asked.replay.untilSequence} are sent once more, as far as they are asked for.`,
      )
    })
}

function addDeliveries(webhook: Command) {
  webhook
    .command('deliveries')
    .description('list the deliveries to an endpoint, the newest events first')
    .argument('<endpoint>')
    .addOption(new Option('--status <status>').choices(['pending', 'delivered', 'failed']))
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async (endpoint: string, { status, ...list }: WebhookDeliveryFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(deliveryColumns, list, (limit) => stock.webhookEndpoints.deliveries(endpoint, { status, limit }))
    })

  webhook
    .command('delivery')
    .description('show a delivery, with its attempts')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.webhookDeliveries.get(id)
      output.one(found, () => deliveryWords(found))
    })

  webhook
    .command('retry')
    .description('send a delivery again, now')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, options, done } = openSession(command, 'create')
      const asked = await stock.webhookDeliveries.retry(id, options)
      done(asked, () => deliveryWords(asked))
    })
}

const eventOption = () => new Option('--event <type>', 'a type, a family such as hold.*, or * (default: *); may be repeated').argParser(gather(String))

const withChangeable = (command: Command) =>
  command.addOption(eventOption()).option('--description <text>').option('--metadata <name=value>', 'may be repeated', pair)

/** The server knows the types, and names them when it is given another. */
const eventsOf = (given: readonly string[] = ['*']) => given as CreateWebhookEndpoint['events']

const changesOf = ({ event, ...rest }: Changeable) => ({ ...rest, ...(event === undefined ? {} : { events: eventsOf(event) }) })

function endpointWords(endpoint: WebhookEndpoint): string {
  const { id, url, events, status, disabled, failingSince, description, replay } = endpoint
  const facts = [
    `  events: ${events.join(', ')}`,
    ...(description === null ? [] : [`  ${plain(description)}`]),
    ...(disabled === null ? [] : [`  disabled at ${time(disabled.at)}: ${reasons[disabled.reason]}`]),
    ...(failingSince === null ? [] : [`  has not succeeded since ${time(failingSince)}`]),
    ...(replay === null ? [] : [`  a replay goes on, from sequence ${replay.afterSequence + 1} to ${replay.untilSequence}`]),
  ]
  return [`Endpoint ${id}, ${plain(url)}, is ${status}.`, ...facts].join('\n')
}

const reasons = {
  asked: 'it was asked for',
  gone: 'the receiver answered that it is gone',
  failing: 'it had only failed for days',
} as const satisfies Record<NonNullable<WebhookEndpoint['disabled']>['reason'], string>

const secretWords = (endpoint: WebhookEndpointWithSecret) => `${endpointWords(endpoint)}\n\nIts secret, which is shown this once:\n\n  ${endpoint.secret}`

type Attempt = WebhookDelivery['attempts'][number]

const bodyWords = ({ responseBody }: Pick<Attempt, 'responseBody'>) => (responseBody === null || responseBody === '' ? '' : `\n  ${plain(responseBody)}`)

const deliveryWords = (delivery: WebhookDelivery) =>
  [
    `Delivery ${delivery.id} of ${delivery.eventType}, event ${delivery.event}, is ${delivery.status}${delivery.nextAttemptAt === null ? '' : `; next attempt at ${time(delivery.nextAttemptAt)}`}.`,
    ...(delivery.attempts.length === 0 ? [] : [table(attemptColumns, delivery.attempts)]),
  ].join('\n')

const endpointColumns: readonly Column<WebhookEndpoint>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'status', value: ({ status, failingSince }) => (status === 'enabled' && failingSince !== null ? 'failing' : status) },
  { title: 'url', value: ({ url }) => url },
  { title: 'events', value: ({ events }) => events.join(', ') },
]

const deliveryColumns: readonly Column<WebhookDelivery>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'sequence', value: ({ sequence }) => sequence },
  { title: 'type', value: ({ eventType }) => eventType },
  { title: 'status', value: ({ status }) => status },
  { title: 'attempts', value: ({ attempts }) => attempts.at(-1)?.number ?? 0 },
  { title: 'next', value: ({ nextAttemptAt }) => (nextAttemptAt === null ? null : time(nextAttemptAt)) },
]

const attemptColumns: readonly Column<Attempt>[] = [
  { title: 'attempt', value: ({ number }) => number },
  { title: 'when', value: ({ startedAt }) => time(startedAt) },
  { title: 'ms', value: ({ durationMs }) => durationMs },
  { title: 'answer', value: ({ responseStatus }) => responseStatus },
  { title: 'error', value: ({ error }) => error },
]

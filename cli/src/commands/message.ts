import type { ParkedMessage, ParkedMessageFilter } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { positiveNumber } from '../arguments.ts'
import { type Column, exportOption, type ListOptions, listOptions, plain, time } from '../output.ts'
import { openSession } from '../session.ts'

export function addMessageCommands(program: Command) {
  const message = program.command('message').description('messages that nobody could take')

  message
    .command('list')
    .description('list parked messages, newest first')
    .option('--queue <queue>', 'only of this one, for instance commands.stock')
    .addOption(new Option('--status <status>').choices(['parked', 'resent']))
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ queue, status, ...list }: ParkedMessageFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(columns, list, (limit) => stock.parkedMessages.list({ queue, status, limit }))
    })

  message
    .command('resend')
    .description('send a message again, in the name of its sender; one that fails again comes back')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const sent = await stock.parkedMessages.resend(id)
      done(sent, () => `${wordsOf(sent)}\nIt was sent again${sent.resentAt === null ? '' : ` at ${time(sent.resentAt)}`}.`)
    })

  message
    .command('discard')
    .description('throw a message away; the audit log keeps who did')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const gone = await stock.parkedMessages.discard(id)
      done(gone, () => `${wordsOf(gone)}\nIt was discarded.`)
    })
}

const wordsOf = ({ id, operation, sender, message }: ParkedMessage) =>
  `Message ${id}, ${plain(operation ?? 'of no operation')}, from ${plain(sender ?? 'nobody we know')}:\n  ${plain(message)}`

const columns: readonly Column<ParkedMessage>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'queue', value: ({ queue }) => queue },
  { title: 'operation', value: ({ operation }) => operation },
  { title: 'sender', value: ({ sender }) => sender },
  { title: 'parked', value: ({ parkedAt }) => time(parkedAt) },
  { title: 'resent', value: ({ resentAt }) => resentAt && time(resentAt) },
  { title: 'reason', value: ({ reason }) => reason },
]

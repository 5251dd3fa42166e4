import type { Transfer, TransferFilter } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { arrivalLine, gather, line, positiveNumber } from '../arguments.ts'
import { type Column, exportOption, type ListOptions, listOptions, plain, sum, table, time } from '../output.ts'
import { openSession } from '../session.ts'

type Line = ReturnType<typeof line>
type ArrivalLine = ReturnType<typeof arrivalLine>

export function addTransferCommands(program: Command) {
  const transfer = program.command('transfer').description('bring stock from one location to another')

  transfer
    .command('create')
    .description('plan a transfer; nothing moves before it is dispatched')
    .argument('<from>')
    .argument('<to>')
    .argument('<lines...>', 'SKU=QUANTITY', gather(line))
    .option('--reference <text>', 'your own word for it')
    .action(async (from: string, to: string, lines: readonly Line[], { reference }: { reference?: string }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const planned = await stock.transfers.create({ from, to, lines, reference }, options)
      done(planned, () => transferWords(planned))
    })

  transfer
    .command('dispatch')
    .description('send it off: its stock leaves, all of it or none')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const dispatched = await stock.transfers.dispatch(id, options)
      done(dispatched, () => transferWords(dispatched))
    })

  transfer
    .command('receive')
    .description('receive all that is outstanding, or the lines that have come')
    .argument('<id>')
    .argument('[lines...]', 'SKU=QUANTITY, or SKU=QUANTITY:damaged, :quality_control', gather(arrivalLine))
    .option('--close', 'nothing more will come: what is outstanding is missing')
    .option('--accept-excess', 'more may have come than was sent')
    .action(async (id: string, lines: readonly ArrivalLine[], { close, acceptExcess }: { close?: true; acceptExcess?: true }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const received = await stock.transfers.receive(id, { lines: lines.length > 0 || close === true ? lines : undefined, close, acceptExcess }, options)
      done(received, () => transferWords(received))
    })

  transfer
    .command('cancel')
    .description('drop the plan, or take back what has not arrived')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const canceled = await stock.transfers.cancel(id, options)
      done(canceled, () => transferWords(canceled))
    })

  transfer
    .command('get')
    .description('show a transfer')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.transfers.get(id)
      output.one(found, () => transferWords(found))
    })

  transfer
    .command('list')
    .description('list transfers, newest first')
    .addOption(new Option('--status <status>').choices(['open', 'dispatched', 'received', 'canceled']))
    .option('--location <code>', 'that come from it or go to it')
    .option('--reference <text>')
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ status, location, reference, ...list }: TransferFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(columns, list, (limit) => stock.transfers.list({ status, location, reference, limit }))
    })
}

function transferWords({ id, from, to, status, dispatchedAt, endedAt, reference, lines }: Transfer): string {
  const instant = endedAt ?? dispatchedAt
  const since = instant === null ? '' : ` since ${time(instant)}`
  return [
    `Transfer ${id} from ${from} to ${to} is ${status}${since}${reference === null ? '' : `, reference ${plain(reference)}`}.`,
    table(status === 'open' ? plannedColumns : lineColumns, lines),
  ].join('\n')
}

const plannedColumns: readonly Column<Transfer['lines'][number]>[] = [
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'quantity', value: ({ quantity }) => quantity },
]

const lineColumns: readonly Column<Transfer['lines'][number]>[] = [
  ...plannedColumns,
  { title: 'outstanding', value: ({ outstanding }) => outstanding },
  { title: 'received', value: ({ received }) => received },
  { title: 'missing', value: ({ missing }) => missing },
  { title: 'excess', value: ({ excess }) => excess },
  { title: 'taken back', value: ({ withdrawn }) => withdrawn },
]

const columns: readonly Column<Transfer>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'status', value: ({ status }) => status },
  { title: 'from', value: ({ from }) => from },
  { title: 'to', value: ({ to }) => to },
  { title: 'units', value: ({ lines }) => sum(lines.map(({ quantity }) => quantity)) },
  { title: 'outstanding', value: ({ lines }) => sum(lines.map(({ outstanding }) => outstanding)) },
  { title: 'reference', value: ({ reference }) => reference },
  { title: 'created', value: ({ createdAt }) => time(createdAt) },
]

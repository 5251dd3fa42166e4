import type { InboundShipment, InboundShipmentFilter } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { arrivalLine, gather, line, positiveNumber } from '../arguments.ts'
import { type Column, exportOption, type ListOptions, listOptions, plain, sum, table, time } from '../output.ts'
import { openSession } from '../session.ts'

type Line = ReturnType<typeof line>
type ArrivalLine = ReturnType<typeof arrivalLine>

export function addInboundCommands(program: Command) {
  const inbound = program.command('inbound').description('what suppliers say is coming')

  inbound
    .command('create')
    .description('announce what a supplier is sending')
    .argument('<location>')
    .argument('<lines...>', 'SKU=QUANTITY', gather(line))
    .requiredOption('--supplier <name>', 'who sends it')
    .option('--reference <text>', "the supplier's word for it: it belongs to one shipment, for ever")
    .option('--expected <instant>', 'when it comes, for instance 2026-12-01T08:00:00Z')
    .action(async (location: string, lines: readonly Line[], given: { supplier: string; reference?: string; expected?: string }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const { supplier, reference, expected: expectedAt } = given
      const announced = await stock.inboundShipments.create({ supplier, location, lines, reference, expectedAt }, options)
      done(announced, () => inboundWords(announced))
    })

  inbound
    .command('receive')
    .description('receive all that is outstanding, or the lines that have come')
    .argument('<id>')
    .argument('[lines...]', 'SKU=QUANTITY, or SKU=QUANTITY:damaged, :quality_control', gather(arrivalLine))
    .option('--close', 'nothing more will come: what is outstanding is no longer expected')
    .option('--accept-excess', 'more may have come than was announced')
    .action(async (id: string, lines: readonly ArrivalLine[], { close, acceptExcess }: { close?: true; acceptExcess?: true }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const received = await stock.inboundShipments.receive(id, { lines: lines.length > 0 || close === true ? lines : undefined, close, acceptExcess }, options)
      done(received, () => inboundWords(received))
    })

  inbound
    .command('cancel')
    .description('expect no longer what has not come')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const canceled = await stock.inboundShipments.cancel(id, options)
      done(canceled, () => inboundWords(canceled))
    })

  inbound
    .command('get')
    .description('show an inbound shipment')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.inboundShipments.get(id)
      output.one(found, () => inboundWords(found))
    })

  inbound
    .command('list')
    .description('list inbound shipments, newest first')
    .addOption(new Option('--status <status>').choices(['announced', 'received', 'canceled']))
    .option('--location <code>')
    .option('--reference <text>')
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ status, location, reference, ...list }: InboundShipmentFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(columns, list, (limit) => stock.inboundShipments.list({ status, location, reference, limit }))
    })
}

function inboundWords({ id, supplier, location, status, expectedAt, endedAt, reference, lines }: InboundShipment): string {
  const when = endedAt === null ? (expectedAt === null ? '' : `, expected ${time(expectedAt)}`) : ` since ${time(endedAt)}`
  return [
    `Shipment ${id} of ${plain(supplier)} to ${location} is ${status}${when}${reference === null ? '' : `, reference ${plain(reference)}`}.`,
    table(lineColumns, lines),
  ].join('\n')
}

const lineColumns: readonly Column<InboundShipment['lines'][number]>[] = [
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'quantity', value: ({ quantity }) => quantity },
  { title: 'outstanding', value: ({ outstanding }) => outstanding },
  { title: 'received', value: ({ received }) => received },
  { title: 'missing', value: ({ missing }) => missing },
  { title: 'excess', value: ({ excess }) => excess },
  { title: 'called off', value: ({ withdrawn }) => withdrawn },
]

const columns: readonly Column<InboundShipment>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'status', value: ({ status }) => status },
  { title: 'supplier', value: ({ supplier }) => supplier },
  { title: 'location', value: ({ location }) => location },
  { title: 'units', value: ({ lines }) => sum(lines.map(({ quantity }) => quantity)) },
  { title: 'outstanding', value: ({ lines }) => sum(lines.map(({ outstanding }) => outstanding)) },
  { title: 'reference', value: ({ reference }) => reference },
  { title: 'expected', value: ({ expectedAt }) => expectedAt && time(expectedAt) },
]

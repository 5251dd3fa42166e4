import type { Count, CountFilter } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { countedLine, gather, positiveNumber, wholeNumber } from '../arguments.ts'
import { count as digits } from '../count.ts'
import { type Column, exportOption, type ListOptions, listOptions, plain, table, time } from '../output.ts'
import { openSession } from '../session.ts'

type CountedLine = ReturnType<typeof countedLine>

export function addCountCommands(program: Command) {
  const count = program.command('count').description('count what is on the shelf, while the shop is open')

  count
    .command('create')
    .description('open a count')
    .argument('<location>')
    .argument('[skus...]', 'what is to be counted (default: whatever is found)')
    .option('--reference <text>', 'your own word for it')
    .action(async (location: string, skus: readonly string[], { reference }: { reference?: string }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const opened = await stock.counts.create({ location, skus: skus.length === 0 ? undefined : skus, reference }, options)
      done(opened, () => countWords(opened))
    })

  count
    .command('lines')
    .description('say what was found; an item that is said again replaces what was said of it')
    .argument('<id>')
    .argument('<lines...>', 'SKU=QUANTITY; 0 for an empty shelf', gather(countedLine))
    .option('--as-of <sequence>', 'the Stock-Sequence when it was counted (default: it was counted now)', wholeNumber)
    .action(async (id: string, lines: readonly CountedLine[], { asOf: asOfSequence }: { asOf?: number }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const counted = await stock.counts.lines(id, { lines: lines.map((each) => ({ ...each, asOfSequence })) }, options)
      done(counted, () => countWords(counted))
    })

  count
    .command('approve')
    .description('correct the books by the differences that were found')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const approved = await stock.counts.approve(id, options)
      done(approved, () => countWords(approved))
    })

  count
    .command('cancel')
    .description('end it and correct nothing')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const canceled = await stock.counts.cancel(id, options)
      done(canceled, () => countWords(canceled))
    })

  count
    .command('get')
    .description('show a count')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.counts.get(id)
      output.one(found, () => countWords(found))
    })

  count
    .command('list')
    .description('list counts, newest first')
    .addOption(new Option('--status <status>').choices(['open', 'approved', 'canceled']))
    .option('--location <code>')
    .option('--reference <text>')
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ status, location, reference, ...list }: CountFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(columns, list, (limit) => stock.counts.list({ status, location, reference, limit }))
    })
}

function countWords({ id, location, status, endedAt, reference, skus, lines }: Count): string {
  const since = endedAt === null ? '' : ` since ${time(endedAt)}`
  const left = status === 'open' ? (skus ?? []).filter((sku) => !lines.some((line) => line.sku === sku)) : []
  const more = left.length <= LEFT_SHOWN ? '' : ` and ${digits(left.length - LEFT_SHOWN)} more`
  return [
    `Count ${id} at ${location} is ${status}${since}${reference === null ? '' : `, reference ${plain(reference)}`}.`,
    ...(lines.length === 0 ? [] : [table(lineColumns, lines)]),
    ...(left.length === 0 ? [] : [`Still to be counted: ${left.slice(0, LEFT_SHOWN).map(plain).join(', ')}${more}.`]),
  ].join('\n')
}

/** Skus that are still to be counted, named up to here. */
const LEFT_SHOWN = 20

const lineColumns: readonly Column<Count['lines'][number]>[] = [
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'counted', value: ({ counted }) => counted },
  { title: 'expected', value: ({ expected }) => expected },
  { title: 'difference', value: ({ difference }) => difference },
  { title: 'when', value: ({ countedAt }) => time(countedAt) },
]

const columns: readonly Column<Count>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'status', value: ({ status }) => status },
  { title: 'location', value: ({ location }) => location },
  { title: 'counted', value: ({ lines }) => lines.length },
  { title: 'differ', value: ({ lines }) => lines.filter(({ difference }) => difference !== 0).length },
  { title: 'reference', value: ({ reference }) => reference },
  { title: 'created', value: ({ createdAt }) => time(createdAt) },
]

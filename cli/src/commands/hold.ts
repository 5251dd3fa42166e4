import type { Hold, HoldFilter } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { duration, gather, holdLine, line, positiveNumber } from '../arguments.ts'
import { type Column, exportOption, type ListOptions, listOptions, plain, sum, table, time } from '../output.ts'
import { openSession } from '../session.ts'

type Line = ReturnType<typeof line>
type HoldLine = ReturnType<typeof holdLine>

export function addHoldCommands(program: Command) {
  const hold = program.command('hold').description('promise stock to a buyer for a limited time, and keep or take back the promise')

  hold
    .command('place')
    .description('hold stock')
    .argument('<lines...>', 'SKU=QUANTITY, or SKU=QUANTITY@LOCATION', gather(holdLine))
    .option('--ttl <time>', 'how long: 900, 15m, 2h, 7d (default: as the server is set)', duration)
    .option('--customer <name>', 'who buys; needed for items that have a limit for one customer')
    .option('--reference <text>', 'your own word for it')
    .addOption(new Option('--mode <mode>', 'best_effort takes what there is').choices(['all_or_nothing', 'best_effort']))
    .action(async (lines: readonly HoldLine[], given: { ttl?: number; customer?: string; reference?: string; mode?: Hold['mode'] }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const { ttl, customer, reference, mode } = given
      const placed = await stock.holds.place({ lines, ttlSeconds: ttl, customer, reference, mode }, options)
      done(placed, () => holdWords(placed))
    })

  hold
    .command('execute')
    .description('confirm the purchase')
    .argument('<id>')
    .option('--line <line>', 'SKU=QUANTITY: only this much; may be repeated', gather(line))
    .option('--no-final', 'keep the rest held instead of releasing it')
    .action(async (id: string, { line: lines, final }: { line?: readonly Line[]; final: boolean }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const executed = await stock.holds.execute(id, { lines, ...(final ? {} : { final }) }, options)
      done(executed, () => holdWords(executed))
    })

  hold
    .command('release')
    .description('give back what is still held')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const released = await stock.holds.release(id, options)
      done(released, () => holdWords(released))
    })

  hold
    .command('extend')
    .description('let it live longer, counted from now')
    .argument('<id>')
    .requiredOption('--ttl <time>', '900, 15m, 2h, 7d', duration)
    .action(async (id: string, { ttl }: { ttl: number }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const extended = await stock.holds.extend(id, { ttlSeconds: ttl }, options)
      done(extended, () => holdWords(extended))
    })

  hold
    .command('cancel')
    .description('give back everything not yet shipped, and end it')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const canceled = await stock.holds.cancel(id, options)
      done(canceled, () => holdWords(canceled))
    })

  hold
    .command('get')
    .description('show a hold')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.holds.get(id)
      output.one(found, () => holdWords(found))
    })

  hold
    .command('list')
    .description('list holds, newest first')
    .addOption(new Option('--status <status>').choices(['active', 'executed', 'released', 'expired', 'canceled']))
    .option('--sku <sku>')
    .option('--customer <name>')
    .option('--reference <text>')
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ status, sku, customer, reference, ...list }: HoldFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(holdColumns, list, (limit) => stock.holds.list({ status, sku, customer, reference, limit }))
    })
}

function holdWords(hold: Hold): string {
  const until = hold.status === 'active' ? ` until ${time(hold.expiresAt)}` : hold.endedAt === null ? '' : ` since ${time(hold.endedAt)}`
  const customer = hold.customer === null ? '' : `, for ${plain(hold.customer)}`
  const reference = hold.reference === null ? '' : `, reference ${plain(hold.reference)}`
  const rows = hold.lines.flatMap(({ sku, allocations }) => allocations.map((allocation) => ({ sku, ...allocation })))
  const missing = hold.shortages.map(
    ({ sku, location, requested, available }) =>
      `Short: ${requested} of ${plain(sku)} asked${location === null ? '' : ` at ${plain(location)}`}, ${available} available.`,
  )
  return [`Hold ${hold.id} is ${hold.status}${until}${customer}${reference}.`, ...(rows.length === 0 ? [] : [table(allocationColumns, rows)]), ...missing].join(
    '\n',
  )
}

const allocationColumns: readonly Column<{ sku: string } & Hold['lines'][number]['allocations'][number]>[] = [
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'location', value: ({ location }) => location },
  { title: 'quantity', value: ({ quantity }) => quantity },
  { title: 'held', value: ({ held }) => held },
  { title: 'committed', value: ({ committed }) => committed },
  { title: 'shipped', value: ({ shipped }) => shipped },
  { title: 'released', value: ({ released }) => released },
]

const holdColumns: readonly Column<Hold>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'status', value: ({ status }) => status },
  { title: 'units', value: ({ lines }) => sum(lines.map(({ quantity }) => quantity)) },
  { title: 'skus', value: ({ lines }) => lines.length },
  { title: 'reference', value: ({ reference }) => reference },
  { title: 'created', value: ({ createdAt }) => time(createdAt) },
  { title: 'expires', value: ({ expiresAt }) => time(expiresAt) },
]

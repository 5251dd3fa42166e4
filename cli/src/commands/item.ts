import type { CreateItem, Item, ItemFilter } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { pair, positiveNumber, wholeNumber } from '../arguments.ts'
import { importItems } from '../item-import.ts'
import { knownColumns } from '../item-row.ts'
import { count } from '../count.ts'
import { type Column, exitCodes, type ListOptions, exportOption, listOptions, plain } from '../output.ts'
import { openSession } from '../session.ts'

/** Tries after the first for each row: an import goes on through a restart of the server. */
const IMPORT_RETRIES = 6

type Changeable = {
  name?: string
  description?: string
  brand?: string
  category?: string
  price?: number
  currency?: string
  barcode?: string
  safetyStock?: number
  reorderPoint?: number
  attribute?: Record<string, string>
  metadata?: Record<string, string>
}

export function addItemCommands(program: Command) {
  const item = program.command('item').description('the things that are stocked')

  withChangeable(item.command('create').description('make an item').argument('<sku>')).action(async (sku: string, given: Changeable, command: Command) => {
    const { stock, options, done } = openSession(command, 'create')
    const { name = sku, ...rest } = changesOf(given, command)
    const made = await stock.items.create({ sku, name, ...rest }, options)
    done(made, () => itemWords(made))
  })

  item
    .command('get')
    .description('show an item')
    .argument('<sku>')
    .action(async (sku: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.items.get(sku)
      output.one(found, () => itemWords(found))
    })

  item
    .command('list')
    .description('list items')
    .option('--q <words>', 'that contain these words')
    .option('--brand <brand>')
    .option('--category <category>')
    .addOption(new Option('--status <status>').choices(['active', 'archived']))
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ q, brand, category, status, ...list }: ItemFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(columns, list, (limit) => stock.items.list({ q, brand, category, status, limit }))
    })

  withChangeable(item.command('update').description('change what is named and leave the rest').argument('<sku>'))
    .addOption(new Option('--status <status>', 'active takes an item out of the archive').choices(['active', 'archived']))
    .option('--if-version <n>', 'only if it still has this version', wholeNumber)
    .action(async (sku: string, { status, ifVersion, ...given }: Changeable & { status?: Item['status']; ifVersion?: number }, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const changes = { ...changesOf(given, command), ...(status === undefined ? {} : { status }) }
      if (Object.keys(changes).length === 0) command.error('error: nothing to change was given')
      const changed = await stock.items.update(sku, { ...changes, ifVersion })
      done(changed, () => itemWords(changed))
    })

  item
    .command('archive')
    .description('archive an item: it is kept, and can no longer be held or received')
    .argument('<sku>')
    .action(async (sku: string, _: object, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const archived = await stock.items.archive(sku)
      done(archived, () => itemWords(archived))
    })

  item
    .command('import')
    .description('make items from a CSV file whose first line names the columns')
    .argument('<file>', 'may be read again after an interruption: what is there already stays as it is')
    .option('--update', 'change items that are there already to what the file says')
    .addHelpText(
      'after',
      `\nColumns: ${knownColumns.join(', ')}, and any attributes.NAME and metadata.NAME.\nOnly sku must be there; what is empty is left out. price is in the currency's smallest unit.`,
    )
    .action(async (file: string, { update = false }: { update?: boolean }, command: Command) => {
      const { stock, output } = openSession(command, 'change', { retries: IMPORT_RETRIES })
      const { made, changed, alreadyThere, refused } = await importItems({ file, stock, output, update, fail: (message) => command.error(`error: ${message}`) })
      output.one(
        { object: 'item_import', made, changed, alreadyThere, refused },
        () => `${count(made)} made, ${update ? `${count(changed)} changed` : `${count(alreadyThere)} already there`}, ${count(refused)} refused.`,
      )
      if (refused > 0) process.exitCode = exitCodes.refused
    })
}

const withChangeable = (command: Command) =>
  command
    .option('--name <name>', 'what people call it (default for a new one: its sku)')
    .option('--description <text>')
    .option('--brand <brand>')
    .option('--category <category>')
    .option('--price <amount>', "in the currency's smallest unit; with --currency", wholeNumber)
    .option('--currency <code>', 'for instance GBP; with --price')
    .option('--barcode <code>')
    .option('--safety-stock <n>', 'kept back from sale at every location', wholeNumber)
    .option('--reorder-point <n>', 'what counts as low', wholeNumber)
    .option('--attribute <name=value>', 'may be repeated', pair)
    .option('--metadata <name=value>', 'may be repeated', pair)

function changesOf({ price: amount, currency, attribute: attributes, ...rest }: Changeable, command: Command): Partial<CreateItem> {
  if ((amount === undefined) !== (currency === undefined)) command.error('error: --price and --currency go together')
  const price = amount === undefined || currency === undefined ? {} : { price: { amount, currency } }
  return { ...rest, ...price, ...(attributes === undefined ? {} : { attributes }) }
}

function itemWords(item: Item): string {
  const { sku, name, status, version, description, brand, category, price, barcode, safetyStock, reorderPoint, attributes, metadata } = item
  const facts = {
    description,
    brand,
    category,
    price: price && `${price.amount} ${price.currency}`,
    barcode,
    'safety stock': safetyStock === 0 ? null : String(safetyStock),
    'reorder point': reorderPoint === null ? null : String(reorderPoint),
    ...attributes,
    ...metadata,
  }
  const told = Object.entries(facts).filter(([, fact]) => fact !== null)
  return [
    `Item ${plain(sku)}, ${plain(name)}, is ${status}, version ${version}.`,
    ...told.map(([title, fact]) => `  ${plain(title)}: ${plain(fact ?? '')}`),
  ].join('\n')
}

const columns: readonly Column<Item>[] = [
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'name', value: ({ name }) => name },
  { title: 'brand', value: ({ brand }) => brand },
  { title: 'category', value: ({ category }) => category },
  { title: 'safety stock', value: ({ safetyStock }) => safetyStock },
  { title: 'status', value: ({ status }) => status },
]

import { type CreateItem, type Import, type Item, type ItemFilter, responseOf } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { pair, positiveNumber, purchaseLimit, wholeNumber } from '../arguments.ts'
import { importItems } from '../item-import.ts'
import { count } from '../count.ts'
import { type Column, exitCodes, type ListOptions, exportOption, listOptions, plain } from '../output.ts'
import { openSession } from '../session.ts'

/** Tries after the first that got no further: an import goes on through a restart of the server. */
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
  purchaseLimit?: ReturnType<typeof purchaseLimit>
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
    .description('make items from a file, and receive their opening stock')
    .argument('<file>', 'CSV whose first line names the columns, or a JSON object a line (.ndjson, .jsonl)')
    .option('--update', 'change items that are there already to what the file says; the same as --on-existing update')
    .addOption(new Option('--on-existing <what>', 'what becomes of a row whose item is there already (default: skip)').choices(['skip', 'update', 'refuse']))
    .option('--location <code>', 'for stock in rows that name no location')
    .addOption(new Option('--format <format>', 'if the name of the file does not say it').choices(['csv', 'ndjson']))
    .option('--errors <file>', 'where rows that are refused are written (default: FILE.errors.csv, beside the file)')
    .addHelpText(
      'after',
      `
Columns: sku, name, description, brand, category, barcode, price_amount, price_currency, safety_stock, reorder_point, quantity, location,
and any attributes.NAME and metadata.NAME. Only sku must be there, and name for new items; what is empty is left out.
An import that was interrupted goes on where it was when the same command is given again.`,
    )
    .action(async (file: string, given: ImportOptions, command: Command) => {
      const { stock, output, options } = openSession(command, 'move', { retries: IMPORT_RETRIES })
      const { update, onExisting = update === true ? 'update' : 'skip', location, format, errors } = given
      const done = await importItems({
        file,
        stock,
        output,
        options: { ...options, onExisting, location },
        format,
        errorsFile: errors,
        fail: (message) => command.error(`error: ${message}`),
      })
      output.one(done, () => importWords(done))
      if (options.dryRun === true) output.note('Dry run: nothing was changed.')
      else if (responseOf(done).replayed) output.note('This was done before under the same key; it was not done again.')
      if (done.rowsFailed > 0) process.exitCode = exitCodes.refused
    })
}

type ImportOptions = {
  readonly update?: true
  readonly onExisting?: 'skip' | 'update' | 'refuse'
  readonly location?: string
  readonly format?: 'csv' | 'ndjson'
  readonly errors?: string
}

/** What happened, without what did not. */
const importWords = ({ itemsCreated, itemsUpdated, itemsUnchanged, rowsSkipped, rowsFailed, unitsReceived }: Import): string => {
  const rest = [
    ...(itemsUpdated > 0 ? [`${count(itemsUpdated)} changed`] : []),
    ...(itemsUnchanged > 0 ? [`${count(itemsUnchanged)} unchanged`] : []),
    ...(rowsSkipped > 0 ? [`${count(rowsSkipped)} already there`] : []),
    ...(unitsReceived > 0 ? [`${count(unitsReceived)} units received`] : []),
  ]
  return `${[`${count(itemsCreated)} made`, ...rest, `${count(rowsFailed)} refused`].join(', ')}.`
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
    .option('--purchase-limit <limit>', 'what one customer may buy: 2/1d for two a day, none for no limit', purchaseLimit)
    .option('--attribute <name=value>', 'may be repeated', pair)
    .option('--metadata <name=value>', 'may be repeated', pair)

function changesOf({ price: amount, currency, attribute: attributes, ...rest }: Changeable, command: Command): Partial<CreateItem> {
  if ((amount === undefined) !== (currency === undefined)) command.error('error: --price and --currency go together')
  const price = amount === undefined || currency === undefined ? {} : { price: { amount, currency } }
  return { ...rest, ...price, ...(attributes === undefined ? {} : { attributes }) }
}

function itemWords(item: Item): string {
  const {
    sku,
    name,
    status,
    version,
    description,
    brand,
    category,
    price,
    barcode,
    safetyStock,
    reorderPoint,
    purchaseLimit: limit,
    attributes,
    metadata,
  } = item
  const facts = {
    description,
    brand,
    category,
    price: price && `${price.amount} ${price.currency}`,
    barcode,
    'safety stock': safetyStock === 0 ? null : String(safetyStock),
    'reorder point': reorderPoint === null ? null : String(reorderPoint),
    'purchase limit': limit && `${limit.quantity} for one customer in ${limit.windowSeconds} seconds`,
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

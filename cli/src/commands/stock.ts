import type {
  Adjustment,
  Availability,
  CreateAdjustment,
  EventFilter,
  ItemStock,
  LedgerEntry,
  LedgerEntryFilter,
  Receipt,
  Return,
  Shipment,
  StockEvent,
  StockLevel,
} from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { deltaLine, gather, line, positiveNumber, wholeNumber } from '../arguments.ts'
import { type Column, type ListOptions, exportOption, listOptions, table, time } from '../output.ts'
import { openSession } from '../session.ts'

/** Skus the server answers at a time. */
const MAX_SKUS = 500

const reasons = [
  'correction',
  'count',
  'damaged',
  'expired',
  'found',
  'lost',
  'quality',
  'stolen',
  'other',
] as const satisfies readonly CreateAdjustment['reason'][]
const states = ['available', 'quality_control', 'damaged'] as const
const places = [
  'available',
  'held',
  'committed',
  'damaged',
  'quality_control',
  'incoming',
  'supplier',
  'customer',
  'shrinkage',
  'transit',
] as const satisfies readonly LedgerEntry['from'][]

type Line = ReturnType<typeof line>
type State = (typeof states)[number]

export function addStockCommands(program: Command) {
  const stockCommand = program.command('stock').description('what stands where, and what moves it')
  addReads(stockCommand)
  addMoves(stockCommand)
  addHistory(stockCommand)
}

function addReads(parent: Command) {
  parent
    .command('levels')
    .description('show stock levels: of one item with its total, or of many')
    .argument('[sku]')
    .option('--location <code>')
    .option('--low', 'only what is at or below its reorder point')
    .option('--as-of <instant>', 'as they were then, for instance 2026-11-21T10:00:00Z; with a sku or a location')
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(
      async (sku: string | undefined, { location, low, asOf, ...list }: { location?: string; low?: true; asOf?: string } & ListOptions, command: Command) => {
        const { stock, output } = openSession(command, 'read')
        if (sku !== undefined && location === undefined && low === undefined && asOf === undefined && list.export === undefined) {
          const found = await stock.stockLevels.get(sku)
          output.one(found, () => itemStockWords(found))
        } else {
          await output.list(levelColumns, list, (limit) => stock.stockLevels.list({ sku, location, low, asOf, limit }))
        }
      },
    )

  parent
    .command('available')
    .description('show what can be sold')
    .argument('<skus...>')
    .action(async (skus: readonly string[], _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const show = output.rows(availabilityColumns)
      for (let from = 0; from < skus.length; from += MAX_SKUS) {
        const { data, stale, asOf } = await stock.availability.check({ skus: skus.slice(from, from + MAX_SKUS) })
        show(data)
        if (stale) output.note(`The database cannot be reached; this is as of ${time(asOf)}.`)
      }
    })
}

function addMoves(parent: Command) {
  parent
    .command('receive')
    .description('receive stock from a supplier')
    .argument('<location>')
    .argument('<lines...>', 'SKU=QUANTITY', gather(line))
    .option('--reference <text>', 'your own word for it')
    .action(async (location: string, lines: readonly Line[], { reference }: { reference?: string }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const receipt = await stock.receipts.create({ location, lines, reference }, options)
      done(receipt, () => `Receipt ${receipt.id} at ${receipt.location}:\n${table(movedColumns, receipt.lines)}`)
    })

  parent
    .command('adjust')
    .description('correct what is available, up or down')
    .argument('<location>')
    .argument('<lines...>', 'SKU=+QUANTITY or SKU=-QUANTITY', gather(deltaLine))
    .addOption(reasonOption())
    .option('--reference <text>', 'your own word for it')
    .option('--if-version <n>', 'only if the level still has this version; for one line', wholeNumber)
    .action(
      async (
        location: string,
        lines: readonly ReturnType<typeof deltaLine>[],
        given: Pick<CreateAdjustment, 'reason' | 'reference' | 'ifVersion'>,
        command: Command,
      ) => {
        const { stock, options, done } = openSession(command, 'move')
        const adjustment = await stock.adjustments.create({ location, lines, ...given }, options)
        done(adjustment, () => adjustmentWords(adjustment))
      },
    )

  parent
    .command('move')
    .description('move stock from one state to another at the same location')
    .argument('<location>')
    .argument('<lines...>', 'SKU=QUANTITY', gather(line))
    .addOption(new Option('--from <state>').choices(states).makeOptionMandatory())
    .addOption(new Option('--to <state>').choices(states).makeOptionMandatory())
    .addOption(reasonOption())
    .option('--reference <text>', 'your own word for it')
    .action(
      async (
        location: string,
        lines: readonly Line[],
        { from, to, ...given }: { from: State; to: State } & Pick<CreateAdjustment, 'reason' | 'reference'>,
        command: Command,
      ) => {
        const { stock, options, done } = openSession(command, 'move')
        const adjustment = await stock.adjustments.create({ location, lines: lines.map((each) => ({ ...each, from, to })), ...given }, options)
        done(adjustment, () => adjustmentWords(adjustment))
      },
    )

  parent
    .command('ship')
    .description('ship what was executed, whole or in part')
    .argument('<hold>')
    .argument('[lines...]', 'SKU=QUANTITY: only this much', gather(line))
    .option('--reference <text>', 'your own word for it')
    .action(async (hold: string, lines: readonly Line[], { reference }: { reference?: string }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const shipment = await stock.shipments.create({ hold, lines: lines.length === 0 ? undefined : lines, reference }, options)
      const rows = shipment.lines.flatMap(({ sku, allocations }) => allocations.map((allocation) => ({ sku, ...allocation })))
      done(
        shipment,
        () => `Shipment ${shipment.id} of ${typeof shipment.hold === 'string' ? shipment.hold : shipment.hold.id}:\n${table(shippedColumns, rows)}`,
      )
    })

  parent
    .command('return')
    .description('take back what a customer returns')
    .argument('<location>')
    .argument('<lines...>', 'SKU=QUANTITY', gather(line))
    .addOption(new Option('--to <state>', 'what becomes of it (default: available)').choices(states))
    .option('--hold <id>', 'the hold it was bought with')
    .option('--reference <text>', 'your own word for it')
    .action(async (location: string, lines: readonly Line[], { to, hold, reference }: { to?: State; hold?: string; reference?: string }, command: Command) => {
      const { stock, options, done } = openSession(command, 'move')
      const returned = await stock.returns.create({ location, lines: lines.map((each) => ({ ...each, to })), hold, reference }, options)
      done(returned, () => `Return ${returned.id} at ${returned.location}:\n${table(returnedColumns, returned.lines)}`)
    })
}

function addHistory(parent: Command) {
  parent
    .command('entries')
    .description('list the movements in the ledger, newest first')
    .option('--sku <sku>')
    .option('--location <code>')
    .option('--hold <id>')
    .option('--document <id>', 'of this transfer, receipt, count, …')
    .addOption(new Option('--from <state>').choices(places))
    .addOption(new Option('--to <state>').choices(places))
    .option('--since <instant>', 'from this instant on, for instance 2026-11-21T08:00:00Z')
    .option('--until <instant>', 'up to, but not, this instant')
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ limit, all, export: format, ...filter }: LedgerEntryFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(entryColumns, pick({ limit, all, export: format }), (pageRows) => stock.ledgerEntries.list({ ...filter, limit: pageRows }))
    })

  parent
    .command('events')
    .description('list what happened, newest first; after a sequence, or followed, oldest first')
    .option('--follow', 'go on as events happen, until Ctrl-C')
    .option('--after <sequence>', 'only what came after it', wholeNumber)
    .option('--type <type>', 'only of this type, for instance hold.placed; may be repeated', gather(String))
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(
      async (
        { follow, after: afterSequence, type: types, limit, all, export: format }: { follow?: true; after?: number; type?: readonly string[] } & ListOptions,
        command: Command,
      ) => {
        const { stock, output } = openSession(command, 'read')
        // The server knows the types, and names them when it is given another.
        const filter = { afterSequence, type: types as EventFilter['type'] }
        if (follow === true) {
          const show = output.rows(eventColumns)
          for await (const event of stock.events.stream(filter)) show([event])
        } else {
          await output.list(eventColumns, pick({ limit, all, export: format }), (pageRows) => stock.events.list({ ...filter, limit: pageRows }))
        }
      },
    )
}

const reasonOption = () => new Option('--reason <reason>', 'why').choices(reasons).makeOptionMandatory()

const pick = ({ limit, all, export: format }: { [Name in keyof ListOptions]: ListOptions[Name] | undefined }): ListOptions => ({
  ...(limit === undefined ? {} : { limit }),
  ...(all === undefined ? {} : { all }),
  ...(format === undefined ? {} : { export: format }),
})

const adjustmentWords = ({ id, location, reason, lines }: Adjustment) => `Adjustment ${id} at ${location}, reason ${reason}:\n${table(adjustedColumns, lines)}`

function itemStockWords({ total, locations }: ItemStock): string {
  const rows: Counts[] = [...locations, ...(locations.length === 1 ? [] : [{ ...total, location: 'all' }])]
  return table(countColumns, rows)
}

type Counts = ItemStock['total'] & { readonly location: string }

const countColumns: readonly Column<Counts>[] = [
  { title: 'location', value: ({ location }) => location },
  { title: 'on hand', value: ({ onHand }) => onHand },
  { title: 'to sell', value: ({ availableToSell }) => availableToSell },
  { title: 'available', value: ({ available }) => available },
  { title: 'held', value: ({ held }) => held },
  { title: 'committed', value: ({ committed }) => committed },
  { title: 'damaged', value: ({ damaged }) => damaged },
  { title: 'quality control', value: ({ qualityControl }) => qualityControl },
  { title: 'incoming', value: ({ incoming }) => incoming },
]

const levelColumns: readonly Column<StockLevel>[] = [{ title: 'sku', value: ({ sku }) => sku }, ...countColumns]

const availabilityColumns: readonly Column<Availability>[] = [
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'to sell', value: ({ availableToSell }) => availableToSell },
  { title: 'where', value: ({ locations }) => locations.map(({ location, availableToSell }) => `${location} ${availableToSell}`).join(', ') },
]

const movedColumns: readonly Column<Receipt['lines'][number]>[] = [
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'quantity', value: ({ quantity }) => quantity },
]

const adjustedColumns: readonly Column<Adjustment['lines'][number]>[] = [
  ...movedColumns,
  { title: 'from', value: ({ from }) => from },
  { title: 'to', value: ({ to }) => to },
]

const returnedColumns: readonly Column<Return['lines'][number]>[] = [...movedColumns, { title: 'to', value: ({ to }) => to }]

const shippedColumns: readonly Column<{ sku: string } & Shipment['lines'][number]['allocations'][number]>[] = [
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'location', value: ({ location }) => location },
  { title: 'quantity', value: ({ quantity }) => quantity },
]

const entryColumns: readonly Column<LedgerEntry>[] = [
  { title: 'when', value: ({ occurredAt }) => time(occurredAt) },
  { title: 'sku', value: ({ sku }) => sku },
  { title: 'location', value: ({ location }) => location },
  { title: 'quantity', value: ({ quantity }) => quantity },
  { title: 'from', value: ({ from }) => from },
  { title: 'to', value: ({ to }) => to },
  { title: 'document', value: ({ document }) => document },
]

/** As wide as most are, so that followed events stand in one line. */
const eventColumns: readonly Column<StockEvent>[] = [
  { title: 'sequence', value: ({ sequence }) => sequence, minWidth: 10 },
  { title: 'when', value: ({ occurredAt }) => time(occurredAt), minWidth: 20 },
  { title: 'type', value: ({ type }) => type, minWidth: 20 },
  { title: 'subject', value: ({ subject }) => subject.id, minWidth: 31 },
  { title: 'by', value: ({ actor }) => actor },
]

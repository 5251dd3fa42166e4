import type { Location, LocationFilter } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { decimal, positiveNumber, wholeNumber } from '../arguments.ts'
import { type Column, type ListOptions, exportOption, listOptions, plain } from '../output.ts'
import { openSession } from '../session.ts'

type Changeable = { name?: string; kind?: Location['kind']; priority?: number; latitude?: number; longitude?: number }

export function addLocationCommands(program: Command) {
  const location = program.command('location').description('the places that hold stock')

  withChangeable(location.command('create').description('make a location').argument('<code>')).action(
    async (code: string, { name, ...given }: Changeable, command: Command) => {
      const { stock, options, done } = openSession(command, 'create')
      const made = await stock.locations.create({ code, name: name ?? code, ...given }, options)
      done(made, () => locationWords(made))
    },
  )

  location
    .command('get')
    .description('show a location')
    .argument('<code>')
    .action(async (code: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.locations.get(code)
      output.one(found, () => locationWords(found))
    })

  location
    .command('list')
    .description('list locations')
    .addOption(new Option('--status <status>').choices(['active', 'inactive']))
    .addOption(kindOption())
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ status, kind, ...list }: LocationFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(columns, list, (limit) => stock.locations.list({ status, kind, limit }))
    })

  withChangeable(location.command('update').description('change what is named and leave the rest').argument('<code>'))
    .option('--activate', 'make an inactive location active again')
    .option('--if-version <n>', 'only if it still has this version', wholeNumber)
    .action(async (code: string, { activate, ifVersion, ...changes }: Changeable & { activate?: true; ifVersion?: number }, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      if (activate !== true && Object.keys(changes).length === 0) command.error('error: nothing to change was given')
      const changed = await stock.locations.update(code, { ...changes, ifVersion, ...(activate === true ? { status: 'active' } : {}) })
      done(changed, () => locationWords(changed))
    })

  location
    .command('deactivate')
    .description('use a location no more; refused while it has stock')
    .argument('<code>')
    .action(async (code: string, _: object, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const deactivated = await stock.locations.deactivate(code)
      done(deactivated, () => locationWords(deactivated))
    })
}

const kindOption = () => new Option('--kind <kind>').choices(['warehouse', 'store', 'third_party'])

const withChangeable = (command: Command) =>
  command
    .option('--name <name>', 'what people call it (default for a new one: its code)')
    .addOption(kindOption())
    .option('--priority <n>', 'smaller is asked first when a line names no location', wholeNumber)
    .option('--latitude <degrees>', 'north is positive', decimal)
    .option('--longitude <degrees>', 'east is positive', decimal)

const locationWords = ({ code, name, kind, status, priority, version }: Location) =>
  `Location ${code}, ${plain(name)}, is ${status}: ${kind.replace('_', ' ')}, priority ${priority}, version ${version}.`

const columns: readonly Column<Location>[] = [
  { title: 'code', value: ({ code }) => code },
  { title: 'name', value: ({ name }) => name },
  { title: 'kind', value: ({ kind }) => kind },
  { title: 'priority', value: ({ priority }) => priority },
  { title: 'status', value: ({ status }) => status },
  { title: 'version', value: ({ version }) => version },
]

import { randomBytes } from 'node:crypto'
import { text as readAll } from 'node:stream/consumers'
import { responseOf, type User, type UserFilter } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { positiveNumber, word } from '../arguments.ts'
import { type Column, exportOption, type ListOptions, listOptions, plain, time } from '../output.ts'
import { openSession } from '../session.ts'

const roles: readonly User['role'][] = ['shopper', 'viewer', 'operator', 'manager', 'auditor', 'administrator']
/** 120 bits, in letters that can be read aloud. */
const PASSWORD_LETTERS = 24

export function addUserCommands(program: Command) {
  const user = program.command('user').description('the people who may sign in')

  user
    .command('create')
    .description('make a user; without --password-stdin a password is made and shown once')
    .argument('<email>')
    .addOption(roleOption().makeOptionMandatory())
    .option('--name <name>', 'what people call them')
    .option('--location <code>', 'only this location; may be repeated (default: all that you may work with)', word)
    .option('--password-stdin', 'read the password from standard input')
    .action(async (email: string, given: Given & { role: User['role']; passwordStdin?: true }, command: Command) => {
      const { stock, options, done, output } = openSession(command, 'create')
      const { role, name, location: locations, passwordStdin } = given
      const password = await passwordOf(passwordStdin, command)
      const made = await stock.users.create({ email, password, role, name, locations }, options)
      done(made, () => userWords(made))
      // Made by an earlier command under the same key, they have the password of that one.
      const { replayed, attempts } = responseOf(made)
      if (passwordStdin !== true && !(replayed && attempts === 1)) output.note(`Their password, shown once: ${password}`)
    })

  user
    .command('get')
    .description('show a user')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.users.get(id)
      output.one(found, () => userWords(found))
    })

  user
    .command('list')
    .description('list users, newest first')
    .addOption(roleOption())
    .option('--email <email>', 'only the one with this address')
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ role, email, ...list }: UserFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(columns, list, (limit) => stock.users.list({ role, email, limit }))
    })

  user
    .command('update')
    .description('change what is named and leave the rest; with another role or other locations they sign in anew')
    .argument('<id>')
    .addOption(roleOption())
    .option('--name <name>', 'what people call them')
    .option('--location <code>', 'only this location; may be repeated', word)
    .option('--all-locations', 'restrict them to none any more')
    .option('--enable', 'let somebody in again who was disabled')
    .action(async (id: string, given: Given & { role?: User['role']; allLocations?: true; enable?: true }, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const { role, name, location, allLocations, enable } = given
      if (location !== undefined && allLocations === true) command.error('error: --location and --all-locations exclude each other')
      if (Object.keys(given).length === 0) command.error('error: nothing to change was given')
      const changed = await stock.users.update(id, {
        role,
        name,
        ...(allLocations === true ? { locations: null } : { locations: location }),
        ...(enable === true ? { disabled: false } : {}),
      })
      done(changed, () => userWords(changed))
    })

  user
    .command('disable')
    .description('let somebody in no more; refused for the last administrator')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const disabled = await stock.users.disable(id)
      done(disabled, () => userWords(disabled))
    })

  user
    .command('password')
    .description('give them a new password, made and shown once, or read with --password-stdin; their sessions end')
    .argument('<id>')
    .option('--password-stdin', 'read the password from standard input')
    .action(async (id: string, { passwordStdin }: { passwordStdin?: true }, command: Command) => {
      const { stock, done, output } = openSession(command, 'change')
      const password = await passwordOf(passwordStdin, command)
      const changed = await stock.users.setPassword(id, { password })
      done(changed, () => userWords(changed))
      if (passwordStdin !== true) output.note(`Their password, shown once: ${password}`)
    })
}

type Given = { name?: string; location?: readonly string[] }

const roleOption = () => new Option('--role <role>').choices(roles)

/** Never from the command line itself, where every list of processes shows it. */
const passwordOf = async (fromStdin: true | undefined, command: Command): Promise<string> => {
  if (fromStdin !== true) return madePassword()
  const password = (await readAll(process.stdin)).replace(/\r?\n$/, '')
  if (password === '') command.error('error: standard input has no password')
  return password
}

const madePassword = (): string => {
  const letters = Array.from(randomBytes(PASSWORD_LETTERS), (byte) => '0123456789abcdefghjkmnpqrstvwxyz'.charAt(byte & 31)).join('')
  return letters.replace(/(.{6})(?=.)/g, '$1-')
}

const userWords = ({ id, email, name, role, locations, disabled }: User) =>
  `User ${id}, ${plain(email)}${name === null ? '' : ` (${plain(name)})`}, is ${role} of ${locations === null ? 'all locations' : locations.map(plain).join(', ')}${disabled ? ', and disabled' : ''}.`

const columns: readonly Column<User>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'email', value: ({ email }) => email },
  { title: 'name', value: ({ name }) => name },
  { title: 'role', value: ({ role }) => role },
  { title: 'locations', value: ({ locations }) => (locations === null ? 'all' : locations.join(',')) },
  { title: 'state', value: ({ disabled }) => (disabled ? 'disabled' : 'active') },
  { title: 'created', value: ({ createdAt }) => time(createdAt) },
]

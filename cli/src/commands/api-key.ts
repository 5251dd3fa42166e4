import type { ApiKey } from '@holdfast/sdk'
import type { Command } from 'commander'
import { duration, positiveNumber, rate, word } from '../arguments.ts'
import { type Column, exportOption, type ListOptions, listOptions, plain, time } from '../output.ts'
import { openSession } from '../session.ts'

export function addApiKeyCommands(program: Command) {
  const apiKey = program.command('api-key').description('keys of programs, over the API; on the machine of the database, key does without one')

  apiKey
    .command('create')
    .description('make a key, which can do no more than you; it is shown once')
    .argument('<name>')
    .requiredOption('--scope <scope>', 'what it may do; may be repeated', word)
    .option('--location <code>', 'only this location; may be repeated (default: all that you may work with)', word)
    .option('--expires-in <time>', '900, 15m, 2h, 7d', duration)
    .option('--rate <rate>', 'requests within a time, for instance 100/1s, or unlimited', rate)
    .action(async (name: string, { scope, location, expiresIn, rate }: Given, command: Command) => {
      const { stock, options, done } = openSession(command, 'create')
      const made = await stock.apiKeys.create({ name, scopes: scopesOf(scope), locations: location, expiresInSeconds: expiresIn, rateLimit: rate }, options)
      done(made, () => madeWords(made))
    })

  apiKey
    .command('get')
    .description('show what a key may do')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const found = await stock.apiKeys.get(id)
      output.one(found, () => keyWords(found))
    })

  apiKey
    .command('list')
    .description('list keys, newest first')
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async (list: ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(columns, list, (limit) => stock.apiKeys.list({ limit }))
    })

  apiKey
    .command('update')
    .description('rename a key, or narrow what it may do')
    .argument('<id>')
    .option('--name <name>')
    .option('--scope <scope>', 'of those that it has, only these; may be repeated', word)
    .option('--location <code>', 'only this location; may be repeated', word)
    .option('--rate <rate>', 'requests within a time, for instance 100/1s, or unlimited', rate)
    .action(async (id: string, given: Omit<Given, 'scope'> & { name?: string; scope?: readonly string[] }, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      if (Object.keys(given).length === 0) command.error('error: nothing to change was given')
      const { name, scope, location, rate } = given
      const changed = await stock.apiKeys.update(id, { name, scopes: scope && scopesOf(scope), locations: location, rateLimit: rate })
      done(changed, () => keyWords(changed))
    })

  apiKey
    .command('rotate')
    .description('make a new key in place of one, which goes on for the overlap; the new one is shown once')
    .argument('<id>')
    .option('--overlap <time>', '900, 15m, 2h, 7d (default: 1d)', duration)
    .action(async (id: string, { overlap }: { overlap?: number }, command: Command) => {
      const { stock, options, done } = openSession(command, 'create')
      const made = await stock.apiKeys.rotate(id, { overlapSeconds: overlap }, options)
      done(made, () => madeWords(made))
    })

  apiKey
    .command('revoke')
    .description('refuse a key from now on')
    .argument('<id>')
    .action(async (id: string, _: object, command: Command) => {
      const { stock, done } = openSession(command, 'change')
      const revoked = await stock.apiKeys.revoke(id)
      done(revoked, () => keyWords(revoked))
    })
}

type Given = { scope: readonly string[]; location?: readonly string[]; expiresIn?: number; rate?: ReturnType<typeof rate> }

/** The server knows which there are, and says so of any other. */
const scopesOf = (words: readonly string[]): ApiKey['scopes'] => words as ApiKey['scopes'] // checked there

const stateOf = ({ revokedAt, expiresAt }: ApiKey) =>
  revokedAt !== null ? `revoked ${time(revokedAt)}` : expiresAt === null ? 'without end' : `until ${time(expiresAt)}`
const rateWords = ({ rateLimit }: ApiKey) =>
  rateLimit === null ? '' : rateLimit === 'unlimited' ? ', without a limit' : `, ${rateLimit.limit} requests in ${rateLimit.windowSeconds} s`

const keyWords = (apiKey: ApiKey) => {
  const { id, name, scopes, locations } = apiKey
  const where = locations === null ? 'all locations' : locations.map(plain).join(', ')
  return `Key ${id}, ${plain(name)}, ${stateOf(apiKey)}: ${scopes.join(', ')}; ${where}${rateWords(apiKey)}.`
}
const madeWords = (apiKey: ApiKey) =>
  apiKey.key === undefined
    ? `${keyWords(apiKey)}\nThe key itself was shown when it was made, and is not kept; rotate it if it was lost.`
    : `${apiKey.key}\n\nThis is the only time it is shown. ${keyWords(apiKey)}`

const columns: readonly Column<ApiKey>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'name', value: ({ name }) => name },
  { title: 'scopes', value: ({ scopes }) => scopes.join(',') },
  { title: 'locations', value: ({ locations }) => (locations === null ? 'all' : locations.join(',')) },
  { title: 'state', value: stateOf },
  { title: 'last used', value: ({ lastUsedAt }) => lastUsedAt && time(lastUsedAt) },
]

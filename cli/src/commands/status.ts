import type { Status } from '@holdfast/sdk'
import type { Command } from 'commander'
import { type Column, exitCodes, plain, table, time } from '../output.ts'
import { openSession } from '../session.ts'

export function addStatusCommand(program: Command) {
  program
    .command('status')
    .description('what is up and what is down, and what that means for users; ends with 1 when something is down')
    .action(async (_options: object, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      const status = await stock.status.get()
      output.one(status, () => words(status))
      if (status.components.some(({ state }) => state === 'down')) process.exitCode = exitCodes.unknown
    })
}

const words = ({ components, functions, checkedAt }: Status): string => {
  const felt = functions.filter(({ state }) => state !== 'up')
  return [
    table(columns, components),
    '',
    ...(felt.length === 0
      ? ['Everything works.']
      : felt.map(({ name, state, means, because }) => `${plain(name)} is ${state}: ${plain(means ?? '')} (${because.map(plain).join(', ')})`)),
    `As of ${time(checkedAt)}.`,
  ].join('\n')
}

const columns: readonly Column<Status['components'][number]>[] = [
  { title: 'component', value: ({ name }) => name },
  { title: 'kind', value: ({ kind }) => kind },
  { title: 'state', value: ({ state }) => state },
  { title: 'since', value: ({ since }) => time(since) },
  { title: 'why', value: ({ why }) => why },
]

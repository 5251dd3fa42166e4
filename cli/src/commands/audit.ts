import type { AuditEntry, AuditFilter } from '@holdfast/sdk'
import type { Command } from 'commander'
import { positiveNumber } from '../arguments.ts'
import { type Column, exportOption, type ListOptions, listOptions, time } from '../output.ts'
import { openSession } from '../session.ts'

export function addAuditCommands(program: Command) {
  program
    .command('audit')
    .description('who did what, newest first')
    .option('--actor <principal>', 'only what this one did')
    .option('--action <action>', 'only this, for instance api_key.created')
    .option('--subject <id>', 'only what was done to this user or key')
    .option('--since <instant>', 'from this instant on, for instance 2026-11-21T08:00:00Z')
    .option('--until <instant>', 'up to, but not, this instant')
    .option('--limit <n>', listOptions.limit, positiveNumber)
    .option('--all', listOptions.all)
    .addOption(exportOption())
    .action(async ({ actor, action, subject, since, until, ...list }: AuditFilter & ListOptions, command: Command) => {
      const { stock, output } = openSession(command, 'read')
      await output.list(columns, list, (limit) => stock.auditLog.list({ actor, action, subject, since, until, limit }))
    })
}

const changesOf = ({ changes }: AuditEntry): string =>
  // Each is told with what it was before and what it is after.
  Object.entries(changes as Record<string, { before: unknown; after: unknown }>)
    .map(([field, { before, after }]) =>
      before === null ? `${field}: ${JSON.stringify(after)}` : `${field}: ${JSON.stringify(before)} to ${JSON.stringify(after)}`,
    )
    .join('; ')

const columns: readonly Column<AuditEntry>[] = [
  { title: 'when', value: ({ occurredAt }) => time(occurredAt) },
  { title: 'actor', value: ({ actor }) => actor },
  { title: 'action', value: ({ action }) => action },
  { title: 'subject', value: ({ subject }) => subject.id },
  { title: 'from', value: ({ address }) => address },
  { title: 'changes', value: changesOf },
]

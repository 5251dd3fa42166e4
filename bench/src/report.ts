// The results as a page, and where they are kept.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { milliseconds, whole, type Results } from './results.ts'

export const pageOf = ({ date, quick, machine, postgres, redis, rounds, seconds, rows, beside }: Results): string =>
  [
    `# Measured on ${date.slice(0, 10)}`,
    '',
    ...(quick ? ['**A quick run: short rounds and a small past, to see that all of it works. Its figures are not to be quoted.**', ''] : []),
    ...table(
      ['machine', ''],
      [
        ['processor', `${machine.cpu}, ${machine.cores} cores, shared by the database, the server and the load`],
        ['memory', `${machine.memoryGiB} GiB`],
        ['kernel', machine.kernel],
        ['Node', machine.node],
        ['PostgreSQL', `${postgres.version}, ${postgres.source === 'own' ? 'as `npm start` runs it' : 'named with --database-url'}`],
        ...(redis === undefined ? [] : [['Redis', redis] as const]),
        ['date', date],
        ['load of the machine just before', String(machine.loadBefore)],
        ['rounds', `${rounds} of ${seconds} s each; figures are medians, the spread is of single rounds`],
      ],
    ),
    '',
    '## To reach',
    '',
    ...table(
      ['row', 'baseline', 'ours', 'figure', 'spread', 'at least', 'aim', 'verdict'],
      rows.map((row) => [
        row.title,
        row.baseline,
        row.ours,
        row.figureText,
        row.spread,
        row.atLeast,
        row.aim,
        row.verdict === 'missed' ? '**missed**' : row.verdict,
      ]),
    ),
    '',
    ...rows.flatMap(({ row, note }) => (note === undefined ? [] : [`*${row}*: ${note}`, ''])),
    ...(beside.length === 0
      ? []
      : [
          '## One by one',
          '',
          ...table(
            ['what', 'a second', 'lowest – highest', 'p50', 'p99'],
            beside.map(({ what, perSecond, spread, p50Ms, p99Ms }) => [
              what,
              whole(perSecond),
              spread,
              p50Ms === undefined ? '' : milliseconds(p50Ms),
              p99Ms === undefined ? '' : milliseconds(p99Ms),
            ]),
          ),
          '',
        ]),
    '## Settings of PostgreSQL',
    '',
    ...table(
      ['setting', 'value'],
      Object.entries(postgres.settings).map(([name, value]) => [name, value]),
    ),
    '',
  ].join('\n')

/** Writes the page and the JSON beside each other. The name tells the day and the kind of machine, not whose it is. */
export const writeResults = (results: Results, directory: string): { readonly page: string; readonly json: string } => {
  const { machine, date, quick } = results
  const cpu = machine.cpu
    .toLowerCase()
    .replaceAll(/\((r|tm)\)|processor|cpu|@.*$/g, ' ')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  const name = `${date.slice(0, 10)}-${cpu}-${machine.cores}-cores${quick ? '-quick' : ''}`
  mkdirSync(directory, { recursive: true })
  const page = join(directory, `${name}.md`)
  const json = join(directory, `${name}.json`)
  writeFileSync(page, pageOf(results))
  writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`)
  return { page, json }
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${' --- |'.repeat(head.length)}`,
  ...rows.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`),
]

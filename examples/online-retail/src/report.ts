// What a person reads at the end: what the file holds, what was done with it, and whether the server agrees.
import type { Plan } from './plan.ts'
import { grouped } from './progress.ts'
import type { Replay, Tally } from './replay.ts'
import { counts, type Verification } from './verify.ts'

/** Differences shown. Whoever has more of them learns nothing from the rest. */
const SHOWN_FAULTS = 20

export const planInWords = (file: string, plan: Plan): string => {
  const has = (part: 'purchase' | 'returns' | 'writeOffs') => plan.invoices.filter((invoice) => invoice[part].length > 0).length
  return table(file, [
    ['lines read', plan.linesRead],
    ...Object.entries(plan.linesSkipped).map(([reason, lines]): Row => [`  skipped: ${reason}`, lines]),
    ['invoices', plan.invoicesRead],
    ['  with purchases', has('purchase')],
    ['  with returns', has('returns')],
    ['  with write-offs', has('writeOffs')],
    ['  with no stock at all', plan.invoicesRead - plan.invoices.length],
    ['items', plan.items.length],
    ['locations', plan.locations.length],
    ['levels (item and location)', plan.movements.size],
  ])
}

export const replayInWords = (plan: Plan, replay: Replay): string => {
  if (replay.status === 'finished_before') {
    return `This run changed nothing: this file was replayed here before, finished at ${replay.finishedAt.toISOString()}.\nIt is not sent again, because ${replay.because}.`
  }
  const { tally, seconds, isFirst } = replay
  const { items, locations, receipts, purchases, returns, writeOffs, answers } = tally
  const told = table(`replayed with ${plan.opening} opening stock`, [
    ['items made', items.made, thereBefore(items.replayed + items.there)],
    ['locations made', locations.made, thereBefore(locations.there)],
    ['opening receipts', receipts.documents, units(receipts.units)],
    ['purchases shipped', purchases.shipped, units(purchases.units)],
    ['purchases rejected', purchases.rejected, units(purchases.unitsRejected)],
    ['returns', returns.documents, units(returns.units)],
    ['write-offs in full', writeOffs.full, units(writeOffs.units)],
    ['write-offs cut short', writeOffs.cut, `${units(writeOffs.unitsLeft)} not there`],
    ['requests', requestsOf(tally)],
    ['  done', answers.changed],
    ['  replayed (done before)', answers.replayed],
    ['  there already', answers.there],
    ['  refused: not enough stock', answers.refused],
    ['  sent again until answered', answers.resent],
    ['seconds', Number(seconds.toFixed(1))],
    ['lines/s', Math.round(plan.linesRead / Math.max(seconds, 0.001))],
  ])
  if (answers.changed > 0) return isFirst ? told : `${told}\n\nAn earlier run of this file had been stopped; this one went on with it.`
  return `${told}\n\nThis run changed nothing: all of it had been done before, and was answered as it was then.`
}

export const verificationInWords = ({ levels, onHand, differences, audit }: Verification): string => {
  const told: string[] = []
  if (audit) {
    const { documents, purchases, writtenOff, faults } = audit
    told.push(
      `${grouped(documents)} documents on the server: ${grouped(purchases.shipped)} purchases shipped in full (${units(purchases.units)}), ` +
        `${grouped(purchases.rejected)} not at all, ${units(writtenOff)} written off.`,
      ...(faults.length === 0
        ? ['No level was below zero at any time; opening - shipped + returned - adjusted is what they add up to.']
        : [`${grouped(faults.length)} of them are wrong:`, ...shown(faults, (fault) => `  ${fault}`)]),
    )
  }
  if (differences.length === 0) {
    const verdict = audit === undefined || audit.faults.length === 0 ? 'Verified' : 'The levels alone are right'
    const source = audit === undefined ? 'as the file says' : 'as these documents add up to'
    return [...told, `${verdict}: ${grouped(levels)} levels, ${units(onHand)} on hand, every one ${source}.`].join('\n')
  }

  const rows = differences.slice(0, SHOWN_FAULTS).map(({ sku, location, expected, found }) => [sku, location, expected, ...counts.map((count) => found[count])])
  told.push(
    `DIFFERENT: ${grouped(differences.length)} of ${grouped(levels)} levels are not ${audit === undefined ? 'as the file says' : 'as these documents add up to'}.`,
    columns([['sku', 'location', 'expected', 'on hand', 'available', 'held', 'committed', 'damaged', 'quality', 'incoming'], ...rows]),
    ...more(differences.length),
  )
  return told.join('\n')
}

type Row = readonly [name: string, value: number, note?: string]

const table = (title: string, rows: readonly Row[]): string => {
  const nameWidth = Math.max(...rows.map(([name]) => name.length))
  const valueWidth = Math.max(...rows.map(([, value]) => grouped(value).length))
  const lines = rows.map(([name, value, note]) => `  ${name.padEnd(nameWidth)}  ${grouped(value).padStart(valueWidth)}${note ? `  ${note}` : ''}`)
  return [title, ...lines].join('\n')
}

const columns = (rows: readonly (readonly (string | number)[])[]): string => {
  const cells = rows.map((row) => row.map(String))
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells
    .map((row) => `  ${row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}`)
    .join('\n')
}

const shown = <Thing>(things: readonly Thing[], say: (thing: Thing) => string): string[] => [...things.slice(0, SHOWN_FAULTS).map(say), ...more(things.length)]

const more = (count: number): string[] => (count > SHOWN_FAULTS ? [`  and ${grouped(count - SHOWN_FAULTS)} more`] : [])

const units = (count: number): string => `${grouped(count)} units`

const thereBefore = (count: number): string => (count === 0 ? '' : `${grouped(count)} there before`)

const requestsOf = ({ answers }: Tally): number => answers.changed + answers.replayed + answers.there + answers.refused

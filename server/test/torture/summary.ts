// What a run has shown, for people.
import type { Report } from './torture.ts'

const SHOWN = 10

export const summaryOf = (report: Report): string => {
  const { tally, faults, steps, violations, recovery } = report
  const { races } = tally
  const whole = (n: number) => Math.round(n).toLocaleString('en')
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`
  const lines = [
    `${whole(tally.operations)} operations, ${whole(report.perSecond)} answered a second; ${whole(tally.acknowledged)} acknowledged, ${whole(tally.refused)} refused (of holds ${(tally.refusedShare * 100).toFixed(1)} %), ${whole(tally.resolved)} resolved after an unknown answer, ${whole(tally.unresolved)} never; ${whole(tally.kept)} kept by the broker and not asked for again`,
    `races at the end of a hold: ${races.executed} executed, ${races.released} released, ${races.expired} expired; ${whole(tally.replays)} old keys once more`,
    `${whole(report.webhooks.taken)} webhooks taken of ${whole(report.webhooks.received)} received`,
    `${faults.length} faults`,
    ...Object.entries(tally.faults).map(([kind, count]) => {
      const times = recovery[kind as keyof typeof recovery] // the same kinds
      return `  ${kind.padEnd(9)} ${String(count).padStart(5)}   answered again after ${seconds(times?.median ?? 0)} (median), ${seconds(times?.most ?? 0)} (longest)`
    }),
    `longest time without an answer ${seconds(report.silenceMs)}; quiet ${report.quietAfterMs === null ? 'NEVER' : `after ${seconds(report.quietAfterMs)}`}`,
    `checked: ${steps.map(({ name, ms, found }) => `${name} ${seconds(ms)}${found === 0 ? '' : ` (${found} WRONG)`}`).join(', ')}`,
  ]
  if (violations.length === 0) return [...lines, `nothing is wrong (seed ${report.seed})`].join('\n')
  lines.push(`${violations.length} WRONG (seed ${report.seed})`)
  for (const [check, of] of Map.groupBy(violations, (one) => one.check)) {
    lines.push(`  ${check}: ${of.length}`)
    for (const { what } of of.slice(0, SHOWN)) lines.push(`    ${what}`)
  }
  lines.push('the last faults before the end:', ...faults.slice(-SHOWN).map(({ beganNs, kind, what }) => `    ${(beganNs / 1e9).toFixed(3)} ${kind}: ${what}`))
  return lines.join('\n')
}

// What was found, as it is written to JSON; the page for people is made of this and nothing else.
import type { Machine } from './machine.ts'
import type { ContenderName, ExtraName, RowName, Verdict } from './rows.ts'
import { rows, verdictOn } from './rows.ts'
import type { Rounds } from './rounds.ts'
import type { Auditor } from './audit.ts'
import type { Growth } from './scenarios/growth.ts'
import type { Measured } from './scenarios/measured.ts'
import type { Memory } from './scenarios/memory.ts'
import type { Mixed } from './scenarios/mixed.ts'
import type { SoldOut } from './scenarios/sell-out.ts'
import { median, range } from './statistics.ts'

export type RowResult = {
  readonly row: RowName
  readonly title: string
  readonly baseline: string
  readonly ours: string
  /** What is held against the goal: a ratio, milliseconds, units, mebibytes. */
  readonly figure: number
  readonly figureText: string
  /** The lowest and the highest of single rounds. */
  readonly spread: string
  readonly atLeast: string
  readonly aim: string
  readonly verdict: Verdict
  readonly note?: string
}

export type Beside = {
  readonly what: ExtraName | ContenderName
  readonly perSecond: number
  readonly spread: string
  readonly p50Ms?: number
  readonly p99Ms?: number
}

export type Found = {
  readonly rates: Rounds<ContenderName>
  readonly mixed: Mixed | undefined
  readonly mixedTwo: Mixed | undefined
  readonly soldOut: SoldOut | undefined
  readonly growth: Growth | undefined
  readonly memory: Memory | undefined
  readonly audits: ReturnType<Auditor['sum']>
}

export type Results = {
  readonly date: string
  readonly quick: boolean
  readonly machine: Machine
  readonly postgres: { readonly version: string; readonly source: 'own' | 'named'; readonly settings: Readonly<Record<string, string>> }
  readonly redis: string | undefined
  readonly rounds: number
  readonly seconds: number
  readonly rows: readonly RowResult[]
  readonly beside: readonly Beside[]
  readonly found: unknown
}

export const rowsOf = (found: Found, wanted: readonly RowName[]): RowResult[] =>
  rows
    .filter(({ name }) => wanted.includes(name))
    .flatMap((row): RowResult[] => {
      const { goal } = row
      const mark = (figure: number) => (goal.unit === '×' ? `${figure} ×` : `${figure} ${goal.unit}`)
      const finished = (
        figure: number,
        texts: Pick<RowResult, 'baseline' | 'ours' | 'figureText' | 'spread'> & { note?: string; verdict?: Verdict },
      ): RowResult[] => [
        {
          row: row.name,
          title: row.title,
          atLeast: (goal.better === 'less' && goal.atLeast > 0 ? '< ' : '') + mark(goal.atLeast),
          aim: (goal.better === 'less' && goal.aim > 0 ? '< ' : '') + mark(goal.aim),
          figure,
          verdict: verdictOn(figure, goal),
          ...texts,
        },
      ]

      if (row.compares) {
        const ours = ratesOf(found.rates, row.compares.ours)
        const baseline = ratesOf(found.rates, row.compares.baseline)
        const ratio = median(ours) / median(baseline)
        return finished(ratio, {
          baseline: perSecond(median(baseline)),
          ours: perSecond(median(ours)),
          figureText: times(ratio),
          spread: spreadOf(
            ours.map((rate, n) => rate / (baseline[n] ?? Number.NaN)),
            times,
          ),
        })
      }
      switch (row.name) {
        case 'mixed':
        case 'mixed-two': {
          const mixed = row.name === 'mixed' ? found.mixed : found.mixedTwo
          if (mixed === undefined) return []
          const { reads, holds, held, cpuShare, serverCpuShare, machineBusyShare } = mixed
          return finished(holds.p99Ms, {
            baseline: 'asked: 10,000 + 2,000/s',
            ours: `${whole(reads.perSecond)} + ${whole(holds.perSecond)}/s ${held ? 'held' : 'NOT HELD'}`,
            figureText: `p99 ${milliseconds(holds.p99Ms)}`,
            spread: `hold p50 ${milliseconds(holds.p50Ms)}, highest ${milliseconds(holds.highestMs)}; read p50 ${milliseconds(reads.p50Ms)}, p99 ${milliseconds(reads.p99Ms)}`,
            note:
              `Of one processor the server used ${percent(serverCpuShare)} and the loader ${percent(cpuShare)}; all processors together were busy ${percent(machineBusyShare)} of the time. ` +
              `Holds: ${counted(holds)}. Reads: ${counted(reads)}.`,
            ...(held ? {} : { verdict: 'missed' as const }),
          })
        }
        case 'oversold': {
          const { runs, answered, oversold, wrong } = found.audits
          const faults = [...wrong, ...(found.soldOut?.wrong ?? [])]
          return finished(oversold, {
            baseline: '—',
            ours: `${whole(answered)} holds in ${runs} runs`,
            figureText: whole(oversold),
            spread: '—',
            ...(faults.length > 0 ? { verdict: 'missed' as const } : {}),
            note: [
              ...(found.soldOut === undefined
                ? []
                : [
                    `Two servers sold ${whole(found.soldOut.units)} units of one item: ${whole(found.soldOut.accepted)} answered, ${whole(found.soldOut.refused)} refused.`,
                  ]),
              ...(faults.length === 0 ? ['The books of every run agree.'] : faults),
            ].join(' '),
          })
        }
        case 'growth': {
          if (found.growth === undefined) return []
          const rates = (measured: readonly Measured[]) => measured.map(({ perSecond }) => perSecond)
          const [young, old, all] = [rates(found.growth.young), rates(found.growth.old), rates(found.growth.oldWithAllKeys)]
          const ratio = median(young) / median(old)
          const allRatio = median(young) / median(all)
          return finished(ratio, {
            baseline: perSecond(median(young)),
            ours: perSecond(median(old)),
            figureText: times(ratio),
            spread: spreadOf(
              young.map((rate, n) => rate / (old[n] ?? Number.NaN)),
              times,
            ),
            note: `The old one is ${found.growth.oldSizeGiB.toFixed(1)} GiB and remembers the keys of two days in twelve. With all keys of its past still remembered: ${perSecond(median(all))}, ${times(allRatio)}.`,
          })
        }
        case 'memory': {
          if (found.memory === undefined) return []
          const { holds, atStartMiB, afterMiB, highestMiB } = found.memory
          return finished(afterMiB, {
            baseline: `${whole(atStartMiB)} MiB at start`,
            ours: `after ${whole(holds)} holds`,
            figureText: `${whole(afterMiB)} MiB`,
            spread: `highest ${whole(highestMiB)} MiB`,
          })
        }
        default:
          return []
      }
    })

/** Everybody's rate, for who wants more than the ratios. */
export const besideOf = (rates: Found['rates']): Beside[] =>
  [...rates]
    .filter(([, measured]) => measured.length > 0)
    .map(([what, measured]) => {
      const middle = (pick: (one: Measured) => number | undefined) => {
        const values = measured.map(pick).filter((value) => value !== undefined)
        return values.length === 0 ? undefined : median(values)
      }
      const [p50Ms, p99Ms] = [middle((one) => one.p50Ms), middle((one) => one.p99Ms)]
      const all = measured.map((one) => one.perSecond)
      return {
        what,
        perSecond: median(all),
        spread: spreadOf(all, whole),
        ...(p50Ms === undefined ? {} : { p50Ms }),
        ...(p99Ms === undefined ? {} : { p99Ms }),
      }
    })

const ratesOf = (rates: Found['rates'], name: ContenderName): number[] => {
  const measured = rates.get(name)
  if (measured === undefined || measured.length === 0) throw new Error(`${name} was not measured`)
  return measured.map(({ perSecond }) => perSecond)
}

const spreadOf = (values: readonly number[], inWords: (value: number) => string): string => {
  const { lowest, highest } = range(values)
  return `${inWords(lowest)} – ${inWords(highest)}`
}
export const whole = (value: number): string => Math.round(value).toLocaleString('en')
const perSecond = (value: number): string => `${whole(value)}/s`
const times = (value: number): string => `${value.toFixed(2)} ×`
export const milliseconds = (value: number): string => `${value < 10 ? value.toFixed(1) : whole(value)} ms`
const percent = (share: number): string => `${Math.round(share * 100)} %`
const counted = ({ asked, answered, refused }: Mixed['reads']): string => `${whole(asked)} asked, ${whole(answered)} answered, ${whole(refused)} refused`

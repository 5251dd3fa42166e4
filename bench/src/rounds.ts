// Noise: other work on the machine slows all that runs beside it. So contenders take turns, round by round, and every other
// round goes the other way, so that nobody always runs after the same neighbour.
import type { Measured } from './scenarios/measured.ts'

export type Rounds<Name extends string> = ReadonlyMap<Name, readonly Measured[]>

export const inRounds = async <Name extends string>({
  contenders,
  rounds,
  measure,
  say,
}: {
  readonly contenders: readonly { readonly name: Name; /** It sits out the rounds after these. */ readonly rounds: number }[]
  readonly rounds: number
  readonly measure: (name: Name) => Promise<Measured>
  readonly say: (words: string) => void
}): Promise<Rounds<Name>> => {
  const measured = new Map<Name, Measured[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 1; round <= rounds; round += 1) {
    const taking = contenders.filter((contender) => contender.rounds >= round)
    for (const { name } of round % 2 === 1 ? taking : taking.toReversed()) {
      const one = await measure(name)
      measured.get(name)?.push(one)
      say(`round ${round}/${rounds}  ${name}: ${Math.round(one.perSecond).toLocaleString('en')}/s`)
    }
  }
  return measured
}

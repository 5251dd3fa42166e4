// What a process has done, and has answered, it knows: what it remembers of a level is not older than that, however old it may
// otherwise be. This is for processes that decide themselves; a gateway does not know who has decided for it.
import type { Evidence, Violation } from './evidence.ts'
import type { Observer } from './observations.ts'

const CHECK = 'a process knows what it has done itself'

type Done = { readonly compNs: number; readonly version: number; readonly who: string }

export const checkOwn = (evidence: Evidence, observers: readonly Observer[]): Violation[] => {
  const done = doneBy(evidence)
  return observers.flatMap(({ who, node, invNs, seen }) =>
    node === undefined
      ? []
      : seen.flatMap(({ level, version, isCached }): Violation[] => {
          if (!isCached) return []
          const known = lastBefore(done.get(`${node} ${level}`) ?? [], invNs)
          return known === undefined || known.version <= version
            ? []
            : [{ check: CHECK, what: `${who}: ${node} said version ${version} of ${level}, and had answered ${known.version} before (${known.who})` }]
        }),
  )
}

/** What each process has answered of each level, by when, and with the highest version until then. */
const doneBy = ({ snapshot, entriesOf, levelName, askedFor }: Evidence): Map<string, Done[]> => {
  const done = new Map<string, Done[]>()
  for (const event of snapshot.events) {
    const operation = askedFor(event)
    const attempt = operation?.attempts.find(({ requestId }) => requestId === event.requestId)
    if (operation === undefined || attempt === undefined || attempt.outcome !== 'ok' || attempt.replayed || attempt.compNs === null) continue
    for (const entry of entriesOf.get(event.sequence) ?? []) {
      const where = `${attempt.node} ${levelName(entry)}`
      const some = done.get(where) ?? []
      done.set(where, some)
      some.push({ compNs: attempt.compNs, version: entry.version, who: `operation ${operation.i}` })
    }
  }
  for (const [where, some] of done) {
    let highest: Done | undefined
    const inOrder = some.toSorted((a, b) => a.compNs - b.compNs)
    done.set(
      where,
      inOrder.map((one) => {
        if (highest === undefined || one.version > highest.version) highest = one
        return { ...highest, compNs: one.compNs }
      }),
    )
  }
  return done
}

const lastBefore = (done: readonly Done[], atNs: number): Done | undefined => {
  let [low, high] = [0, done.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((done[middle]?.compNs ?? Infinity) < atNs) low = middle + 1
    else high = middle
  }
  return done[low - 1]
}

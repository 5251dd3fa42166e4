// The laws of documents with a life of their own, of limits for one customer, and of what is told of levels. Like those of
// given.ts they add up what was written down: what a line says is held against the movements, and never against the rule.
import type { Hold } from '../../src/domain/hold.ts'
import type { ItemNumber, LocationNumber, Uuid } from '../../src/domain/ids.ts'
import { levelKey, type Entry, type Level } from '../../src/domain/level.ts'
import type { Work } from '../../src/domain/work.ts'
import type { Stock } from './given.ts'

type Arriving = Exclude<Work, { kind: 'count' }>

export const lawsOfWork: Readonly<Record<string, (stock: Stock) => string[]>> = {
  'nothing is left in transit between two commands': (stock) =>
    stock.history.flatMap(({ step, decision }) => {
      const inTransit = new Map<ItemNumber, number>()
      for (const { item, from, to, quantity } of decision?.ok ? decision.entries : [])
        inTransit.set(item, (inTransit.get(item) ?? 0) + (to === 'transit' ? quantity : 0) - (from === 'transit' ? quantity : 0))
      return Array.from(inTransit)
        .filter(([, quantity]) => quantity !== 0)
        .map(([item, quantity]) => `${step.type} left ${quantity} of ${item} in transit`)
    }),

  'what is incoming at a level is what documents say is still to come': (stock) => {
    const coming = new Map<number, number>()
    for (const work of stock.works.values()) {
      if (!isOnItsWay(work)) continue
      for (const line of work.lines) {
        const key = levelKey(line.item, destinationOf(work))
        coming.set(key, (coming.get(key) ?? 0) + line.quantity - line.received - line.missing - line.withdrawn)
      }
    }
    return Array.from(stock.levels)
      .filter(([key, level]) => level.incoming !== (coming.get(key) ?? 0))
      .map(([key, level]) => `${level.incoming} of ${level.item} incoming, documents say ${coming.get(key) ?? 0}`)
  },

  'a line of what is on its way says what the movements of its document say': (stock) =>
    [...stock.works.values()].filter(isArriving).flatMap((work) => {
      const entries = entriesOf(stock, work.id)
      return work.lines.flatMap((line) => {
        const { quantity, received, missing, withdrawn, excess, levelVersion } = line
        const mine = entries.filter(({ entry }) => entry.item === line.item)
        const sum = (is: (entry: Entry, type: string) => boolean) => mine.reduce((units, { entry, type }) => units + (is(entry, type) ? entry.quantity : 0), 0)
        const isCancel = (type: string) => type === 'transfer.canceled' || type === 'inbound.canceled'
        const moved = {
          received: sum(({ from, to }) => from === 'incoming' && isAdjustable(to)),
          missing: sum(({ from, to }, type) => from === 'incoming' && !isAdjustable(to) && !isCancel(type)),
          withdrawn: sum(({ from, to }, type) => from === 'incoming' && !isAdjustable(to) && isCancel(type)),
          excess: sum(({ from, to }) => (from === 'supplier' || from === 'shrinkage') && isAdjustable(to)),
        }
        const faults: string[] = []
        if (JSON.stringify(moved) !== JSON.stringify({ received, missing, withdrawn, excess }))
          faults.push(`${JSON.stringify(line)}, moved ${JSON.stringify(moved)}`)
        if (Math.min(received, missing, withdrawn, excess, quantity - received - missing - withdrawn) < 0)
          faults.push(`less than nothing: ${JSON.stringify(line)}`)
        const last = mine.findLast(({ entry }) => entry.location === destinationOf(work))?.entry.levelVersion ?? null
        if (levelVersion !== last) faults.push(`version ${levelVersion}, the last movement made ${last}`)
        if (work.kind === 'transfer') {
          const lastAtSource = mine.findLast(({ entry }) => entry.location === work.from)?.entry.levelVersion ?? null
          const left = sum(({ from, to, location }) => from === 'available' && to === 'transit' && location === work.from)
          const cameBack = sum(({ from, to, location }) => from === 'transit' && to === 'available' && location === work.from)
          if ('sourceVersion' in line && line.sourceVersion !== lastAtSource)
            faults.push(`source version ${line.sourceVersion}, the last movement made ${lastAtSource}`)
          if (left !== (work.dispatchedAt === null ? 0 : quantity) || cameBack !== withdrawn)
            faults.push(`${left} left and ${cameBack} came back of ${JSON.stringify(line)}`)
        }
        return faults
      })
    }),

  'a document has ended when nothing of it is outstanding, and only then': (stock) =>
    [...stock.works.values()].flatMap((work) => {
      const faults: string[] = []
      const isOpen = work.status === 'open' || work.status === 'dispatched' || work.status === 'announced'
      if (isOpen !== (work.endedAt === null)) faults.push(`${work.status}, ended at ${work.endedAt}`)
      if (!isArriving(work)) return faults
      const left = work.lines.reduce((sum, line) => sum + line.quantity - line.received - line.missing - line.withdrawn, 0)
      const wasOnItsWay = work.kind === 'inbound_shipment' || work.dispatchedAt !== null
      if (wasOnItsWay && (left === 0) === isOpen) faults.push(`${work.status} with ${left} outstanding`)
      if (!wasOnItsWay && entriesOf(stock, work.id).length > 0) faults.push(`${work.status}, never dispatched, and moved`)
      return faults
    }),

  'a document goes on step by step, and what has ended stays as it is': (stock) => {
    const works = new Map<Uuid, Work>()
    return stock.history.flatMap(({ decision }) => {
      if (!decision?.ok || decision.work === undefined) return []
      const after = decision.work
      const before = works.get(after.id)
      works.set(after.id, after)
      const faults: string[] = []
      if (after.version !== (before?.version ?? 0) + 1) faults.push(`version ${after.version} follows ${before?.version}`)
      if (before !== undefined && before.endedAt !== null) faults.push(`${before.status} became ${after.status}`)
      if (decision.event?.subject.id !== after.id || decision.event.subject.version !== after.version)
        faults.push(`told as ${JSON.stringify(decision.event?.subject)}`)
      return faults
    })
  },

  'a name belongs to one document': (stock) => {
    const taken = new Map<Uuid, Uuid>()
    return stock.history.flatMap(({ step, decision }) => {
      if (step.type !== 'AnnounceInbound' || step.unique === null || decision === null) return []
      const other = taken.get(step.unique)
      if (!decision.ok) return decision.rejection.code === 'already_announced' && decision.rejection.id === other ? [] : ['refused for a name that was free']
      taken.set(step.unique, step.id)
      return other === undefined ? [] : [`${step.unique} belongs to ${other} and to ${step.id}`]
    })
  },

  'a count corrects by what was missed at the moment of counting, and moves nothing before': (stock) => {
    const judged = new Map<string, number>()
    const shelf = new Map<number, number>()
    /** The shelf of every level after each command that told something, from nothing on. */
    const shelves: ReadonlyMap<number, number>[] = [new Map()]
    const faults: string[] = []
    for (const { step, decision } of stock.history) {
      if (!decision?.ok || decision.event === undefined) continue
      const { work } = decision
      if (step.type === 'CountItems' && work?.kind === 'count')
        for (const { item, counted, expected, asOf, levelVersion } of work.lines) {
          if (!step.lines.some((line) => line.item === item)) continue
          const key = levelKey(item, work.location)
          const stood = (asOf === null ? shelf : (shelves[Math.min(asOf, shelves.length - 1)] ?? shelf)).get(key) ?? 0
          const asked = step.lines.reduce((sum, line) => sum + (line.item === item ? line.quantity : 0), 0)
          if (expected !== stood || counted !== asked) faults.push(`expected ${expected} of ${stood}, counted ${counted} of ${asked} of ${item}`)
          judged.set(`${work.id} ${item}`, counted - stood)
          if (levelVersion < 0) faults.push(`version ${levelVersion}`)
        }
      if (work?.kind === 'count') {
        const corrected = new Map<ItemNumber, number>()
        for (const { item, from, to, quantity } of decision.entries)
          corrected.set(item, (corrected.get(item) ?? 0) + (to === 'available' ? quantity : 0) - (from === 'available' ? quantity : 0))
        const wanted = step.type === 'ApproveCount' ? work.lines.map(({ item }) => [item, judged.get(`${work.id} ${item}`) ?? 0] as const) : []
        for (const [item, difference] of wanted)
          if ((corrected.get(item) ?? 0) !== difference) faults.push(`corrected ${corrected.get(item) ?? 0} of ${item}, missed were ${difference}`)
        if (corrected.size > wanted.length) faults.push(`${step.type} moved ${corrected.size} items`)
      }
      for (const { item, location, from, to, quantity } of decision.entries) {
        const key = levelKey(item, location)
        shelf.set(key, (shelf.get(key) ?? 0) + (isOnShelf(to) ? quantity : 0) - (isOnShelf(from) ? quantity : 0))
      }
      shelves.push(new Map(shelf))
    }
    return faults
  },

  'no customer has more of an item than its limit': (stock) => {
    const holds = new Map<Uuid, Hold>()
    return stock.history.flatMap(({ step, decision, at }) => {
      const bought = (customer: string, item: ItemNumber, windowMs: number) => {
        let sum = 0
        for (const hold of holds.values())
          for (const { item: other, held, committed, shipped } of hold.allocations)
            if (hold.customer === customer && other === item && hold.createdAt > at - windowMs) sum += committed + shipped + (hold.expiresAt > at ? held : 0)
        return sum
      }
      const faults: string[] = []
      if (step.type === 'PlaceHold' && step.customer !== null && decision?.ok === false && decision.rejection.code === 'purchase_limit_exceeded') {
        const { item, customer, requested, remaining } = decision.rejection
        const limit = step.purchaseLimits.find((one) => one.item === item)
        const left = limit && Math.max(0, limit.quantity - bought(customer, item, limit.windowMs))
        const asked = step.lines.reduce((sum, line) => sum + (line.item === item ? line.quantity : 0), 0)
        if (customer !== step.customer || requested !== asked || remaining !== left || requested <= remaining)
          faults.push(`${customer} was refused ${requested} of ${asked} with ${remaining} of ${left} left`)
      }
      if (!decision?.ok || decision.hold === undefined) return faults
      holds.set(decision.hold.id, decision.hold)
      if (step.type === 'PlaceHold' && step.customer !== null)
        for (const { item, quantity, windowMs } of step.purchaseLimits) {
          if (!step.lines.some((line) => line.item === item)) continue
          const sum = bought(step.customer, item, windowMs)
          if (sum > quantity) faults.push(`${step.customer} has ${sum} of ${item}, and may have ${quantity}`)
        }
      return faults
    })
  },

  'a level that crosses a line is told of, once, and nothing else is': (stock) => {
    type Standing = Pick<Level, 'available' | 'safetyStock' | 'reorderPoint'> & { readonly touched: boolean; readonly signal: Level['signal'] }
    const levels = new Map<number, Standing>()
    const at = (item: ItemNumber, location: LocationNumber): Standing =>
      levels.get(levelKey(item, location)) ?? { available: 0, safetyStock: 0, reorderPoint: null, touched: false, signal: null }
    const faults: string[] = []
    for (const { step, decision, signals } of stock.history) {
      if (step.type === 'SafetyStockKept') levels.set(levelKey(step.item, step.location), { ...at(step.item, step.location), safetyStock: step.quantity })
      if (step.type === 'ReorderPointSet') levels.set(levelKey(step.item, step.location), { ...at(step.item, step.location), reorderPoint: step.quantity })
      const touched = new Map<number, { item: ItemNumber; location: LocationNumber; change: number }>()
      for (const { item, location, from, to, quantity } of decision?.ok ? decision.entries : []) {
        const change = (to === 'available' ? quantity : 0) - (from === 'available' ? quantity : 0)
        const sum = touched.get(levelKey(item, location))?.change ?? 0
        touched.set(levelKey(item, location), { item, location, change: sum + change })
      }
      const wanted: string[] = []
      for (const [key, { item, location, change }] of touched) {
        const before = at(item, location)
        const available = before.available + change
        const { told, signal } = before.touched ? crossing(before, available) : { told: null, signal: null }
        levels.set(key, { ...before, available, touched: true, signal })
        if (told !== null) wanted.push(`${told} of ${item}@${location}`)
      }
      const said = signals.map(({ type, level }) => `${type} of ${level.item}@${level.location}`)
      if (said.toSorted().join() !== wanted.toSorted().join()) faults.push(`${step.type} told [${said.join(', ')}], crossed [${wanted.join(', ')}]`)
    }
    return faults
  },

  'what was sold out is told to be back before it is told to be sold out again': (stock) => {
    const out = new Map<number, boolean>()
    const told = new Map<number, number>()
    const faults: string[] = []
    for (const { type, level } of stock.history.flatMap(({ signals }) => signals)) {
      const key = levelKey(level.item, level.location)
      if (type === 'stock.out' && out.get(key) === true) faults.push(`${level.item} was out twice`)
      if (type === 'stock.back' && out.get(key) === false) faults.push(`${level.item} was back twice`)
      if (type === 'stock.low' && out.get(key) === true) faults.push(`${level.item} was low when it was out`)
      if (type !== 'stock.low') out.set(key, type === 'stock.out')
      told.set(key, (told.get(key) ?? 0) + 1)
      if (level.signals !== told.get(key)) faults.push(`signal ${level.signals} of ${level.item} is the ${told.get(key)}th`)
    }
    for (const [key, level] of stock.levels) if (level.signals !== (told.get(key) ?? 0)) faults.push(`${level.signals} signals, told ${told.get(key)}`)
    return faults
  },
}

const isArriving = (work: Work): work is Arriving => work.kind !== 'count'
const isOnItsWay = (work: Work): work is Arriving => work.status === 'dispatched' || work.status === 'announced'
const destinationOf = (work: Arriving): LocationNumber => (work.kind === 'transfer' ? work.to : work.location)
const isAdjustable = (place: string): boolean => place === 'available' || place === 'quality_control' || place === 'damaged'
const isOnShelf = (place: string): boolean => place === 'available' || place === 'held' || place === 'committed'

const entriesOf = (stock: Stock, id: Uuid): { readonly entry: Entry; readonly type: string }[] =>
  stock.history.flatMap(({ decision }) => {
    const event = decision?.ok ? decision.event : undefined
    return decision?.ok && event?.subject.id === id ? decision.entries.map((entry) => ({ entry, type: event.type })) : []
  })

/** What is to be told of a level that had units and has others now: the lines, said once more in other words than the rule's. */
const crossing = (
  { available: had, safetyStock, reorderPoint, signal }: Pick<Level, 'available' | 'safetyStock' | 'reorderPoint' | 'signal'>,
  available: number,
): { readonly told: string | null; readonly signal: Level['signal'] } => {
  const line = reorderPoint ?? -1
  const margin = reorderPoint === null ? 0 : Math.ceil(reorderPoint / 10)
  const plainly = (units: number) => (units <= 0 ? 'out' : units <= line ? 'low' : 'in_stock')
  const was = signal ?? plainly(had - safetyStock)
  const sellable = available - safetyStock
  if (was === 'out' && sellable > margin) return { told: 'stock.back', signal: plainly(sellable) }
  if (was !== 'out' && sellable <= 0) return { told: 'stock.out', signal: 'out' }
  if (was === 'in_stock' && sellable <= line) return { told: 'stock.low', signal: 'low' }
  if (was === 'low' && sellable > line + margin) return { told: null, signal: 'in_stock' }
  return { told: null, signal }
}

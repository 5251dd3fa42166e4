// Holds over HTTP: the whole server, with keys, authentication and validation, as many as 256 connections can get.
import type { Auditor } from '../audit.ts'
import { LOCATION, skuOf, startHoldfast, stockUp, type Server } from '../holdfast.ts'
import { cpuSecondsOf, memoryOf } from '../machine.ts'
import type { Database, Postgres } from '../postgres.ts'
import { driveHolds } from '../wrk.ts'
import { ITEMS, UNITS, type Measured, type Pace } from './measured.ts'

export type HttpDeps = { readonly postgres: Postgres; readonly audit: Auditor }

/** A database with 10,000 items and their stock, made through the API, to be copied for every measurement. */
export const makeStock = async (postgres: Postgres): Promise<Database> => {
  const database = await postgres.make('stocked')
  const server = await startHoldfast(database)
  try {
    await stockUp(server, ITEMS, UNITS)
  } finally {
    await server.stop()
  }
  await database.sql('vacuum (analyze)')
  return database
}

export const measureHttp = async (
  { postgres, audit }: HttpDeps,
  stocked: Database,
  { hot }: { readonly hot: boolean },
  { seconds, warmUpSeconds }: Pace,
): Promise<Measured> => {
  const database = await postgres.make('run', stocked)
  try {
    const server = await startHoldfast(database)
    let measured: Measured
    let answered: number
    try {
      await placesAHold(server)
      await postgres.settle()
      const wanted = hot ? { sku: skuOf(1) } : { items: ITEMS }
      const warm = await driveHolds({ url: server.url, wanted, seconds: warmUpSeconds, name: 'warm' })
      const cpuBefore = cpuSecondsOf(server.pid)
      const driven = await driveHolds({ url: server.url, wanted, seconds, name: 'run' })
      const cpuShare = (cpuSecondsOf(server.pid) - cpuBefore) / driven.seconds
      if (driven.refused + driven.failed > 0)
        throw new Error(`${driven.refused} holds were refused and ${driven.failed} failed, of ${driven.accepted} that were placed`)
      answered = warm.accepted + driven.accepted
      measured = {
        perSecond: driven.accepted / driven.seconds,
        p50Ms: driven.p50Ms,
        p99Ms: driven.p99Ms,
        facts: { serverCpuShare: cpuShare, serverMemoryMiB: memoryOf(server.pid).nowMiB },
      }
    } finally {
      await server.stop()
    }
    const { wrong } = await audit.check(`HTTP, ${hot ? 'hot' : 'spread'}`, database, answered)
    return { ...measured, facts: { ...measured.facts, wrong: wrong.length } }
  } finally {
    await database.drop()
  }
}

/** wrk only tells 2xx from the rest, so one hold is looked at closely before. */
const placesAHold = async (server: Server): Promise<void> => {
  const hold = await server.stock.holds.place({ lines: [{ sku: skuOf(1), quantity: 1, location: LOCATION }], ttlSeconds: 3600 })
  if (hold.status !== 'active' || hold.lines[0]?.held !== 1) throw new Error(`this is not a hold of one unit: ${JSON.stringify(hold)}`)
}

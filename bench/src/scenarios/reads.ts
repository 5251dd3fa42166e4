// Reads of availability over HTTP, as many as 256 connections can get: of the items that everybody looks at.
import { skuOf, startHoldfast } from '../holdfast.ts'
import { cpuSecondsOf } from '../machine.ts'
import type { Database, Postgres } from '../postgres.ts'
import { driveReads } from '../wrk.ts'
import { UNITS, type Measured, type Pace } from './measured.ts'

/** What a shop shows on its first pages. */
const LOOKED_AT = 100

export const measureReads = async (
  { postgres }: { readonly postgres: Postgres },
  stocked: Database,
  { cache }: { readonly cache: 'on' | 'off' },
  { seconds, warmUpSeconds }: Pace,
): Promise<Measured> => {
  const database = await postgres.make('run', stocked)
  try {
    const server = await startHoldfast(database, { HOLDFAST_CACHE: cache })
    try {
      // wrk only tells 2xx from the rest, so one answer is looked at closely before.
      const { data } = await server.stock.availability.check({ skus: [skuOf(1)] })
      if (data[0]?.availableToSell !== UNITS) throw new Error(`this is not the availability of ${UNITS} units: ${JSON.stringify(data)}`)
      await postgres.settle()
      await driveReads({ url: server.url, wanted: { items: LOOKED_AT }, seconds: warmUpSeconds, name: 'warm' })
      const cpuBefore = cpuSecondsOf(server.pid)
      const driven = await driveReads({ url: server.url, wanted: { items: LOOKED_AT }, seconds, name: 'run' })
      const cpuSeconds = cpuSecondsOf(server.pid) - cpuBefore
      if (driven.refused + driven.failed > 0) throw new Error(`${driven.refused} reads were refused and ${driven.failed} failed, of ${driven.accepted}`)
      const facts = { serverCpuShare: cpuSeconds / driven.seconds, serverCpuMicrosecondsEach: (cpuSeconds * 1e6) / driven.accepted }
      return { perSecond: driven.accepted / driven.seconds, p50Ms: driven.p50Ms, p99Ms: driven.p99Ms, facts }
    } finally {
      await server.stop()
    }
  } finally {
    await database.drop()
  }
}

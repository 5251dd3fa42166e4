// The same load on a young ledger and on an old one: does a hold cost more when there is much behind it?
import type { Auditor } from '../audit.ts'
import { migrate } from '../holdfast.ts'
import type { Database, Postgres } from '../postgres.ts'
import { fromRoot } from '../root.ts'
import { driveLedger, LEDGER_CALLERS } from './ledger.ts'
import { ITEMS, UNITS, type Measured, type Pace } from './measured.ts'

const YOUNG_ENTRIES = 100_000
/** Keys are forgotten after two days; as if the past had taken twelve. */
const KEYS_KEPT_SHARE = 2 / 12
/** After a checkpoint each page is written to the log whole once, and an old ledger has more of them. */
const WARM_UP_SECONDS = 5

export type Growth = {
  readonly young: readonly Measured[]
  readonly old: readonly Measured[]
  /** The old ledger with every key of its past still remembered, as after a single busy day. */
  readonly oldWithAllKeys: readonly Measured[]
  readonly oldSizeGiB: number
}

export const measureGrowth = async (
  { postgres, audit, say }: { readonly postgres: Postgres; readonly audit: Auditor; readonly say: (words: string) => void },
  { entries, rounds, seconds }: { readonly entries: number; readonly rounds: number; readonly seconds: number },
): Promise<Growth> => {
  const pace: Pace = { seconds, warmUpSeconds: WARM_UP_SECONDS }
  const { database: youngTemplate } = await pastOf(postgres, 'young', YOUNG_ENTRIES)
  say(`writing a past of ${entries.toLocaleString('en')} entries`)
  const { database: old, keysAfter } = await pastOf(postgres, 'old', entries)
  const oldSizeGiB = Number(await old.sql('select pg_database_size(current_database())')) / 2 ** 30
  let placedOnOld = 0
  const drive = async (database: Database): Promise<{ measured: Measured; placed: number }> => {
    await postgres.settle()
    return driveLedger(database, { items: ITEMS, callers: LEDGER_CALLERS }, pace)
  }
  const driveYoung = async (): Promise<Measured> => {
    const database = await postgres.make('run', youngTemplate)
    try {
      const { measured, placed } = await drive(database)
      await audit.check('young ledger', database, placed)
      return measured
    } finally {
      await database.drop()
    }
  }
  // Not a copy: it would take longer than the measurement, and what a round adds is little to it.
  const driveOld = async (): Promise<Measured> => {
    const { measured, placed } = await drive(old)
    placedOnOld += placed
    return measured
  }
  try {
    const young: Measured[] = []
    const oldOnes: Measured[] = []
    const oldWithAllKeys: Measured[] = []
    for (let round = 1; round <= rounds; round += 1) {
      for (const isYoung of round % 2 === 1 ? [true, false] : [false, true]) {
        const measured = isYoung ? await driveYoung() : await driveOld()
        const into = isYoung ? young : oldOnes
        into.push(measured)
        say(`round ${round}/${rounds}  ${isYoung ? 'young' : 'old'} ledger: ${Math.round(measured.perSecond).toLocaleString('en')} holds/s`)
      }
    }
    await old.file(fromRoot('server/test/load/history-keys.sql'), { after: 0, upto: keysAfter })
    for (let round = 1; round <= rounds; round += 1) {
      const measured = await driveOld()
      oldWithAllKeys.push(measured)
      say(`round ${round}/${rounds}  old ledger with all its keys: ${Math.round(measured.perSecond).toLocaleString('en')} holds/s`)
    }
    await audit.check('old ledger', old, placedOnOld, { withVerify: false })
    return { young, old: oldOnes, oldWithAllKeys, oldSizeGiB }
  } finally {
    await old.drop()
    await youngTemplate.drop()
  }
}

/** @returns keysAfter: the sequence after which events have a key that is still remembered */
const pastOf = async (postgres: Postgres, name: string, entries: number): Promise<{ readonly database: Database; readonly keysAfter: number }> => {
  const database = await postgres.make(name)
  await migrate(database)
  await database.file(fromRoot('server/test/load/history.sql'), { entries, items: ITEMS, units: UNITS })
  const head = Number(await database.sql('select h.sequence from ledger_head as h'))
  const keysAfter = Math.floor(head * (1 - KEYS_KEPT_SHARE))
  await database.file(fromRoot('server/test/load/history-keys.sql'), { after: keysAfter, upto: head })
  return { database, keysAfter }
}

// Imports: a file of items, and of their opening stock, taken in as it arrives. A chunk of rows is one transaction that also says how
// far the import is; its stock is received by the ledger under ids that were written with it. So a row is done once, whatever dies.
import { createHash, type Hash } from 'node:crypto'
import type { Upload } from '@holdfast/contract'
import type { LocationNumber, Uuid } from '../../domain/ids.ts'
import { encodeId } from '../../domain/ids.ts'
import { audit } from '../../storage/audit.ts'
import { loop } from '../../platform/loop.ts'
import { getDocument } from '../../storage/documents.ts'
import { appendEvents, type NewEvent } from '../../storage/events.ts'
import { Fault } from '../../storage/fault.ts'
import {
  dealtWith,
  forgetDealtWith,
  getImport,
  insertImportErrors,
  leaveImport,
  listImportErrors,
  listImports,
  lockImport,
  noteDealtWith,
  openImport,
  renewImport,
  saveProgress,
  type Import,
  type ImportFailure,
  type ImportProgress,
  type ImportRequest,
  type PendingReceipt,
} from '../../storage/imports.ts'
import { insertItems, itemsBySku, lockItems, setItemSequences, updateItems, type Item } from '../../storage/items.ts'
import { keyOf } from '../../storage/idempotency.ts'
import { setThresholds } from '../../storage/levels.ts'
import { transaction, type Connection } from '../../storage/pool.ts'
import { cursorId, invalidCursor, keyReused, namedId, pageOf, Refused } from '../answer.ts'
import type { Answer, Call, Handlers } from '../service.ts'
import { Unreadable, type SourceRecord } from './csv.ts'
import { decideChunk, type Chunk, type Named } from './import-chunk.ts'
import { formatOf, recordsOf } from './import-records.ts'
import { csvRows, jsonRows, type Read } from './import-rows.ts'
import type { InventoryDeps } from './inventory.ts'
import { namedLocation } from './named.ts'
import { renderImport, renderImportError, renderItem, type WireImport } from './render.ts'

export type ImportHandlers = { readonly run: Handlers['items']['import']; readonly read: Handlers['imports'] }

export const importHandlers = ({ catalog, imports: { limits, onFault, rows: rowReader }, ledger, newId, pool, wait }: InventoryDeps): ImportHandlers => {
  let underWay = 0

  /** Runs a transaction that may be run again, a few times while the database is busy. What may stand is left for the sender to find out. */
  const patiently = async <Result>(body: (connection: Connection) => Promise<Result>): Promise<Result> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await transaction(pool, body)
      } catch (error) {
        if (!(error instanceof Fault) || error.kind === 'unknown' || attempt >= limits.attempts) throw error
        onFault(error)
        await wait(2 ** attempt * FIRST_WAIT_MS)
      }
    }
  }

  /** Has the ledger receive what the last chunk brought. Under its ids, what was received before is answered, and not received again. */
  const receive = async (state: Import, call: Call): Promise<Import> => {
    for (const { id, location, lines } of state.receipts) {
      await catalog.remember(lines.map(({ item }) => item))
      const command = { type: 'ReceiveStock', id, location, lines, reference: encodeId('import', state.id), metadata: {} } as const
      const request = { command, key: { key: id, fingerprint: id }, actor: call.caller.principal, requestId: call.requestId }
      for (let attempt = 1; ; attempt += 1) {
        const outcome = await ledger.submit(request)
        if (outcome.ok) break
        if (outcome.rejection.code !== 'overloaded' || attempt >= limits.attempts)
          throw new Refused('unavailable', `The stock of row ${state.rowsRead} and those before it could not be received just now. ${GO_ON}`, {
            retryAfterSeconds: 1,
          })
        await wait(2 ** attempt * FIRST_WAIT_MS)
      }
    }
    return state.receipts.length === 0 ? state : { ...state, receipts: [], unitsReceived: state.unitsReceived + unitsIn(state.receipts) }
  }

  /** The same for an import that somebody left: its keys may have been forgotten since, its receipts are there for ever. */
  const receiveWhatWasLeft = async (state: Import, call: Call): Promise<Import> => {
    const open: PendingReceipt[] = []
    for (const receipt of state.receipts) if ((await getDocument(pool, 'receipt', receipt.id)) === undefined) open.push(receipt)
    const done = await receive({ ...state, receipts: open }, call)
    return { ...done, receipts: [], unitsReceived: state.unitsReceived + unitsIn(state.receipts) }
  }

  const locationsOf = async (rows: readonly Read[], { location: usual }: ImportRequest): Promise<(code: string) => Named> => {
    const codes = new Set(rows.flatMap((row) => ('error' in row || !row.fields.quantity ? [] : (row.fields.location ?? usual ?? []))))
    const found = new Map(
      await Promise.all(
        Array.from(codes, async (code): Promise<[string, Named]> => {
          const location = await catalog.location(code)
          if (location === undefined) return [code, { code: 'not_found', message: `is not there: ${code}` }]
          return [code, location.status === 'inactive' ? { code: 'location_inactive', message: `is inactive: ${code}` } : { number: location.number }]
        }),
      ),
    )
    return (code) => {
      const location = found.get(code)
      if (location === undefined) throw new Error(`location ${code} was not looked up`)
      return location
    }
  }

  /** Writes the items of a chunk, and what is told of them. Nothing waits behind the head of the ledger but the end of the transaction. */
  const writeItems = async (connection: Connection, { created, updated }: Chunk): Promise<Item[]> => {
    const made = inOrder(created, await insertItems(connection, created))
    const changed = inOrder(
      updated.map(({ after }) => after),
      await updateItems(
        connection,
        updated.map(({ after }) => after),
      ),
    )
    const rethought = updated.flatMap(({ before, after }) =>
      before.safetyStock === after.safetyStock && before.reorderPoint === after.reorderPoint ? [] : [{ ...after, number: before.number }],
    )
    if (rethought.length > 0) await setThresholds(connection, rethought)
    return [...made, ...changed]
  }
  const tell = async (connection: Connection, items: readonly Item[], call: Call): Promise<Item[]> => {
    if (items.length === 0) return []
    const first = await appendEvents(
      connection,
      items.map((item): NewEvent => ({
        type: item.version === 1 ? 'item.created' : 'item.updated',
        subject: { kind: 'item', id: item.sku, version: item.version },
        actor: call.caller.principal,
        requestId: call.requestId,
        data: renderItem(item),
      })),
    )
    await setItemSequences(
      connection,
      items.map((item) => item.number),
      first,
    )
    return items.map((item, index) => ({ ...item, sequence: first + index }))
  }

  /** Does the rows of a chunk, or in a dry run finds out what they would do, and writes how far the import is. */
  const doChunk = async (state: Import, rows: readonly Read[], { bytes, digest }: { bytes: number; digest: string }, work: Work): Promise<Import> => {
    const { call, worker } = work
    const locationOf = await locationsOf(rows, state)
    const skus = [...new Set(rows.flatMap((row) => ('error' in row ? [] : row.fields.sku)))]
    const after = await patiently(async (connection) => {
      if (!(await lockImport(connection, state, worker))) throw takenOver()
      const found = state.dryRun ? await itemsBySku(connection, skus) : await lockItems(connection, skus)
      const chunk = decideChunk(rows, {
        onExisting: state.onExisting,
        defaultLocation: state.location,
        mayReceive: call.caller.scopes.has('stock:adjust'),
        items: new Map(found.map((item) => [item.sku, item])),
        dealt: await dealtWith(connection, state.id, skus),
        locationOf,
      })
      const items = state.dryRun ? [] : await writeItems(connection, chunk)
      const numbers = new Map([...found, ...items].map((item) => [item.sku, item.number]))
      const receipts = state.dryRun ? [] : receiptsOf(chunk, numbers, newId)
      await noteDealtWith(connection, state.id, state.dryRun ? chunk.dealt : chunk.dealt.map((one) => ({ ...one, fields: null })))
      // Of a file that is wrong from end to end, the first rows say enough. All are counted.
      await insertImportErrors(connection, state.id, chunk.errors.slice(0, Math.max(0, limits.errors - state.rowsFailed)))
      const progress = { ...sumOf(state, chunk, bytes), digest, receipts, unitsReceived: state.unitsReceived + (state.dryRun ? chunk.counts.unitsReceived : 0) }
      const saved = await saveProgress(connection, state.id, progress, { status: 'running' })
      return { saved, items: await tell(connection, items, call) }
    })
    for (const item of after.items) catalog.itemChanged(item)
    return receive(after.saved, call)
  }

  const end = async (
    state: Import,
    { call, worker }: Work,
    how: { readonly status: 'completed' } | { readonly status: 'failed'; readonly failure: ImportFailure },
  ) => {
    const ended = await patiently(async (connection) => {
      if (!(await lockImport(connection, state, worker))) throw takenOver()
      const saved = await saveProgress(connection, state.id, state, how)
      await audited(connection, saved, call)
      return saved
    })
    if (how.status === 'completed') await forgetDealtWith(pool, state.id, limits.forgotten)
    return ended
  }

  /** Goes through the file: past what is done, seeing that it is what was done, and then from chunk to chunk to its end. */
  const goThrough = async (start: Import, source: Source, work: Work): Promise<Import> => {
    const { hash, read } = source
    let state = start
    let seen = 0
    let bytes = 0
    let rows: Read[] = []
    let characters = 0
    const digest = () => hash.copy().digest('hex')
    const flush = async () => {
      if (rows.length === 0) return
      state = await doChunk(state, rows, { bytes, digest: digest() }, work)
      rows = []
      characters = 0
    }
    /** What was done stays, and the corrected file may go on from there. */
    const fail = async (failure: ImportFailure & { readonly code: 'invalid_request' | 'payload_too_large' }): Promise<never> => {
      if (seen < state.rowsRead) throw otherFile()
      await flush()
      await end({ ...state, bytes }, work, { status: 'failed', failure })
      const detail = `Line ${failure.line}: ${failure.message}. The ${state.rowsRead} rows before it are done. Correct the file and send it again with the same Idempotency-Key.`
      const facts = failure.code === 'invalid_request' ? { errors: [{ param: `line ${failure.line}`, message: failure.message }] } : {}
      throw new Refused(failure.code, `${encodeId('import', state.id)} has ended. ${detail}`, facts)
    }
    let line = 0
    try {
      for await (const arrived of source.arrivals) {
        bytes = arrived.bytes
        for (const record of arrived.records) {
          if (seen >= limits.rows) throw new Refused('payload_too_large', `The file has more than ${limits.rows} rows. Send it in parts.`)
          seen += 1
          line = record.line
          addTo(hash, record)
          if (seen <= start.rowsRead) {
            if (seen === start.rowsRead && digest() !== start.digest) throw otherFile()
            continue
          }
          rows.push(read(record, seen))
          characters += record.raw.length
          if (rows.length >= limits.chunkRows || characters >= limits.chunkCharacters) await flush()
        }
      }
    } catch (error) {
      if (error instanceof Unreadable) return fail({ line: error.line, code: 'invalid_request', message: error.message })
      if (error instanceof Refused && error.refusal.code === 'payload_too_large') return fail({ line, code: 'payload_too_large', message: error.message })
      throw error
    }
    if (seen < start.rowsRead) throw otherFile()
    await flush()
    return end({ ...state, bytes }, work, { status: 'completed' })
  }

  /** As `goThrough`, of an import that is done: is it the file that was sent then? */
  const compare = async (done: Import, { arrivals, hash }: Source): Promise<void> => {
    let seen = 0
    try {
      for await (const { records } of arrivals)
        for (const record of records) {
          seen += 1
          if (seen > done.rowsRead) throw otherFile()
          addTo(hash, record)
        }
    } catch (error) {
      throw error instanceof Unreadable ? otherFile() : error
    }
    if (seen < done.rowsRead || (done.rowsRead > 0 && hash.digest('hex') !== done.digest)) throw otherFile()
  }

  const run: Handlers['items']['import'] = async ({ query, body: upload }, call): Promise<Answer<WireImport>> => {
    if (underWay >= limits.atOnce)
      throw new Refused('overloaded', `${underWay} imports are under way here, and no more are taken at a time; try again`, { retryAfterSeconds: 5 })
    underWay += 1
    try {
      const dryRun = query.dry_run === true
      const request: ImportRequest = { format: formatOf(upload), dryRun, onExisting: query.on_existing ?? 'refuse', location: query.location ?? null }
      if (request.location !== null) await namedLocation(catalog, request.location, { inactive: 'refused' })
      const source = await sourceOf(upload, call)
      const worker = newId()
      const key = dryRun ? undefined : keyOf({ operation: 'items.import', input: request, call })
      const opened = await openImport(pool, { id: newId(), key, worker, leaseMs: limits.leaseMs, request })
      switch (opened.is) {
        case 'reused':
          throw keyReused()
        case 'in use':
          throw new Refused('idempotency_key_in_use', 'a file is being imported under this key; what became of it is told by GET /v1/imports', {
            retryAfterSeconds: Math.ceil(opened.freeInMs / 1_000),
          })
        case 'done':
          await compare(opened.import, source)
          return { ok: true, body: renderImport(opened.import), replayed: true }
        case 'mine':
          return { ok: true, body: renderImport(await asTheOne(opened.import, worker, () => workOn(opened.import, source, { call, worker }))) }
      }
    } finally {
      underWay -= 1
    }
  }
  /** Which items were changed, and how, is told by their events; this, who sent the file, and from where. */
  const audited = async (connection: Connection, state: Import, call: Call): Promise<void> => {
    if (state.dryRun) return
    const { rows_read: rows, items_created: created, items_updated: updated, units_received: units } = renderImport(state)
    const counts = Object.entries({ rows, created, updated, units }).map(([name, after]) => [name, { before: null, after }])
    const action = state.status === 'running' ? 'import.begun' : `import.${state.status}`
    await audit(connection, call, { action, subject: { kind: 'import', id: encodeId('import', state.id) }, changes: Object.fromEntries(counts) })
  }
  const workOn = async (opened: Import, source: Source, work: Work): Promise<Import> => {
    // Before the first row: whoever breaks it off has done what was done by then.
    await transaction(pool, (connection) => audited(connection, opened, work.call))
    return goThrough(await receiveWhatWasLeft(opened, work.call), source, work)
  }

  /** Says again and again that the worker is alive, and lets go when it is done, or cannot go on. */
  const asTheOne = async <Result>({ id, dryRun }: Import, worker: Uuid, work: () => Promise<Result>): Promise<Result> => {
    const alive = loop({
      step: async () => {
        await renewImport(pool, id, worker, limits.leaseMs)
        return limits.leaseMs / 3
      },
      onFault,
      afterFaultMs: limits.leaseMs / 10,
    })
    alive.start()
    try {
      return await work()
    } finally {
      await alive.stop()
      // If it cannot be said now, the lease runs out by itself.
      await leaveImport(pool, id, worker).catch(onFault)
      // Without a key, nobody comes back to a dry run.
      if (dryRun) await forgetDealtWith(pool, id, limits.forgotten).catch(onFault)
    }
  }

  /** Reads as far as the header, so that a file of another kind is refused before anything is begun. */
  const sourceOf = async (upload: Upload, call: Call): Promise<Source> => {
    const arrivals = recordsOf(upload, limits)
    const hash = createHash('sha256')
    if (formatOf(upload) === 'ndjson') return { arrivals, hash, read: jsonRows(rowReader).read }
    try {
      for (let next = await arrivals.next(); !next.done; next = await arrivals.next()) {
        const [header, ...records] = next.value.records
        if (header === undefined) continue
        const { bringsStock, read } = csvRows(header, rowReader, limits)
        if (bringsStock && !call.caller.scopes.has('stock:adjust'))
          throw new Refused('permission_denied', 'The column quantity brings stock, which needs the scope stock:adjust besides items:write.')
        addTo(hash, header)
        return { arrivals: after({ records, bytes: next.value.bytes }, arrivals), hash, read }
      }
    } catch (error) {
      if (error instanceof Unreadable)
        throw new Refused('invalid_request', `Line ${error.line}: ${error.message}.`, { errors: [{ param: `line ${error.line}`, message: error.message }] })
      throw error
    }
    throw new Refused('invalid_request', 'The file is empty: a header is needed, and rows below it.')
  }

  return {
    run,
    read: {
      list: ({ query }, call) =>
        pageOf(query, {
          read: (limit) =>
            listImports(pool, {
              key:
                query.idempotency_key === undefined
                  ? null
                  : (keyOf({ operation: 'items.import', input: null, call: { ...call, idempotencyKey: query.idempotency_key } })?.key ?? null),
              before: query.starting_after === undefined ? null : cursorId('import', query.starting_after),
              limit,
            }),
          render: renderImport,
          cursorOf: ({ id }) => encodeId('import', id),
        }),
      get: async ({ params }) => {
        const found = await getImport(pool, namedId('import', params.id))
        if (found === undefined) throw new Refused('not_found', `there is no import ${params.id}`)
        return { ok: true, body: renderImport(found) }
      },
      errors: async ({ params, query }) => {
        const id = namedId('import', params.id)
        if ((await getImport(pool, id)) === undefined) throw new Refused('not_found', `there is no import ${params.id}`)
        const { starting_after: place = '0' } = query
        if (!/^\d{1,9}$/.test(place)) throw invalidCursor(place)
        return pageOf(query, {
          read: (limit) => listImportErrors(pool, id, { after: Number(place), limit }),
          render: renderImportError,
          cursorOf: ({ row }) => String(row),
        })
      },
    },
  }
}

type Work = { readonly call: Call; readonly worker: Uuid }
type Source = {
  readonly arrivals: ReturnType<typeof recordsOf>
  /** Of everything that was read so far. */
  readonly hash: Hash
  readonly read: (record: SourceRecord, row: number) => Read
}

const FIRST_WAIT_MS = 10
const GO_ON = 'Send the same file with the same Idempotency-Key, and it goes on from there.'

const takenOver = () => new Refused('idempotency_key_in_use', `Another sender of this file has taken over. ${GO_ON}`, { retryAfterSeconds: 1 })
const otherFile = () =>
  new Refused('idempotency_key_reused', 'this Idempotency-Key was used for another file: what was imported under it differs from what this one begins with')

const addTo = (hash: Hash, { raw }: SourceRecord): void => {
  hash.update(raw)
  hash.update('\n')
}

async function* after<One>(first: One, rest: AsyncIterable<One>): AsyncGenerator<One> {
  yield first
  yield* rest
}

const unitsIn = (receipts: readonly PendingReceipt[]): number =>
  receipts.reduce((sum, { lines }) => sum + lines.reduce((units, { quantity }) => units + quantity, 0), 0)

/** As they were given: the database answers rows in an order of its own. */
const inOrder = (given: readonly { readonly sku: string }[], items: readonly Item[]): Item[] => {
  const bySku = new Map(items.map((item) => [item.sku, item]))
  return given.map(({ sku }) => {
    const item = bySku.get(sku)
    if (item === undefined) throw new Error(`item ${sku} was not written`)
    return item
  })
}

const receiptsOf = ({ stock }: Chunk, numbers: ReadonlyMap<string, Item['number']>, newId: () => Uuid): PendingReceipt[] =>
  Array.from(stock, ([location, quantities]: [LocationNumber, ReadonlyMap<string, number>]) => ({
    id: newId(),
    location,
    lines: Array.from(quantities, ([sku, quantity]) => {
      const item = numbers.get(sku)
      if (item === undefined) throw new Error(`item ${sku} has no number`)
      return { item, quantity }
    }),
  }))

const sumOf = (state: ImportProgress, { counts }: Chunk, bytes: number) => ({
  rowsRead: state.rowsRead + counts.rowsRead,
  itemsCreated: state.itemsCreated + counts.itemsCreated,
  itemsUpdated: state.itemsUpdated + counts.itemsUpdated,
  itemsUnchanged: state.itemsUnchanged + counts.itemsUnchanged,
  rowsSkipped: state.rowsSkipped + counts.rowsSkipped,
  rowsFailed: state.rowsFailed + counts.rowsFailed,
  bytes,
})

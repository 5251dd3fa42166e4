// DATABASE_URL may name several servers, of which one is the primary and the others stand by. A connection goes to the one that
// was the primary when it was last looked; when that is lost, all of them are asked, and what is still open to another is cut.
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { callbackify } from 'node:util'
import pg from 'pg'

export type DatabaseServers = {
  /** Makes connections to the primary. With one server it is the driver's own. */
  readonly Client: typeof pg.Client
  /** For the driver: user, password, database and options. With several servers, which of them it names does not matter. */
  readonly url: string
  /** A connection was lost, or led to a server that takes no writes: before the next one is made, all are asked. */
  lost(): void
}

/** A server that would have to be the primary only follows one. */
export class StandbyError extends Error {}

/** None of the servers is a primary that can be reached. */
export class NoPrimaryError extends Error {
  readonly causes: readonly unknown[]
  constructor(servers: readonly string[], causes: readonly unknown[]) {
    super(`no connection to a primary: ${servers.map((server, n) => `${server}: ${messageOf(causes[n])}`).join('; ')}`)
    this.causes = causes
  }
}

/** How long all servers are waited for when they are asked which is the primary. One that is far away answers in a few round trips. */
const ASK_MS = 2_000
/** How long, once one is found, the others may take to say that it is another. */
const OBJECTION_MS = 250

// What one pool of the process has found out, the others need not find out again.
const known = new Map<string, DatabaseServers>()

export const databaseServers = (url: string): DatabaseServers => {
  const found = known.get(url) ?? serversOf(url)
  known.set(url, found)
  return found
}

/** The same URL once for each server that it names. Throws when the list is not one; what the URL says is not repeated. */
export const urlsOf = (url: string): readonly [string, ...string[]] => {
  const { before = '', hosts = '', after = '' } = /^(?<before>[a-z]+:\/\/(?:[^/?#]*@)?)(?<hosts>[^/?#@]*)(?<after>.*)$/s.exec(url)?.groups ?? {}
  if (!hosts.includes(',')) return [url]
  const [first = '', ...more] = hosts.split(',')
  const all = [first, ...more] as const
  if (!all.every(isHost)) throw new Error('each server of a list is a host, or host:port')
  if (new Set(all).size < all.length) throw new Error('no server may be named twice')
  return [`${before}${first}${after}`, ...more.map((host) => `${before}${host}${after}`)]
}

/** As it may be shown. */
export const withoutPassword = (url: string): string => {
  try {
    const servers = urlsOf(url).map((one) => new URL(one))
    return `${servers.map(({ hostname, port }) => `${hostname || 'local socket'}${port && `:${port}`}`).join(',')}${servers[0]?.pathname ?? ''}`
  } catch {
    return 'not a URL'
  }
}

const isHost = (text: string): boolean => {
  const port = /^(?:\[[0-9a-f:.]+\]|[\w.%-]+)(?::(?<port>\d{1,5}))?$/i.exec(text)?.groups
  return port !== undefined && Number(port['port'] ?? 1) >= 1 && Number(port['port'] ?? 1) <= 65_535
}

const serversOf = (url: string): DatabaseServers => {
  const urls = urlsOf(url)
  return urls.length === 1 ? { Client: pg.Client, url, lost: () => undefined } : several(urls)
}

type Server = { readonly host: string; readonly port: number }

const several = (urls: readonly [string, ...string[]]): DatabaseServers => {
  let primary: Server | undefined
  let asking: Promise<Server> | undefined
  const open = new Set<pg.Client>()
  const lost = () => void (primary = undefined)

  const ask = () =>
    (asking ??= primaryOf(urls)
      .then((found) => {
        primary = found
        // Whoever waits for an answer there would wait in vain, or be answered by a server that decides nothing any more.
        for (const client of open) if (!isAt(client, found)) streamOf(client).destroy()
        return found
      })
      .finally(() => (asking = undefined)))

  const connectTo = async (client: pg.Client, connect: () => Promise<unknown>): Promise<void> => {
    // It may be cut before whoever asked for it listens.
    client.on('error', () => undefined)
    const { host, port } = primary ?? (await ask())
    Object.assign(client, { host, port })
    try {
      await connectAsPrimary(client, connect)
    } catch (error) {
      lost()
      throw error
    }
    open.add(client)
    client.once('end', () => open.delete(client))
    // Another one may have become the primary by the time this was open.
    if (primary !== undefined && !isAt(client, primary)) streamOf(client).destroy()
  }

  // The pool of the driver makes its connections by a class, and calls connect() with a callback.
  class PrimaryClient extends pg.Client {
    override connect(): Promise<pg.Client>
    override connect(callback: (error: Error) => void): void
    override connect(callback?: (error: Error) => void): Promise<pg.Client> | void {
      const connected = async () => {
        await connectTo(this, () => super.connect())
        return this
      }
      return callback === undefined ? connected() : callbackify(connected)(callback)
    }
  }
  return { Client: PrimaryClient, url: urls[0], lost }
}

/** Asks all. When two say that they are it, the one that was promoted later is: the other was, and has not been told yet. */
const primaryOf = async (urls: readonly string[]): Promise<Server> => {
  const found: (Server & { readonly timeline: number })[] = []
  const answers = urls.map(async (url) => void found.push(await askOne(url)))
  try {
    await Promise.any(answers)
  } catch {
    const causes = (await Promise.allSettled(answers)).map((answer) => (answer.status === 'rejected' ? answer.reason : undefined) as unknown)
    throw new NoPrimaryError(urls.map(withoutPassword), causes)
  }
  await Promise.race([Promise.allSettled(answers), sleep(OBJECTION_MS)])
  const [primary] = found.toSorted((a, b) => b.timeline - a.timeline)
  if (primary === undefined) throw new Error('a server answered, and is not among those that answered')
  return primary
}

const askOne = async (url: string): Promise<Server & { readonly timeline: number }> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: ASK_MS, query_timeout: ASK_MS })
  client.on('error', () => undefined)
  try {
    await connectAsPrimary(client, () => client.connect())
    const { rows } = await client.query<{ timeline: string }>('select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as timeline')
    return { host: client.host, port: client.port, timeline: Number.parseInt(rows[0]?.timeline ?? '0', 16) }
  } finally {
    void client.end().catch(() => undefined)
  }
}

/** PostgreSQL says by itself, with its greeting, whether it stands by: it costs no question. */
const connectAsPrimary = async (client: pg.Client, connect: () => Promise<unknown>): Promise<void> => {
  let standsBy = false
  insideOf(client).on('parameterStatus', ({ parameterName, parameterValue }) => {
    if (parameterName === 'in_hot_standby') standsBy = parameterValue === 'on'
  })
  await connect()
  if (!standsBy) return
  void client.end().catch(() => undefined)
  throw new StandbyError(`the connection leads to a server that stands by (${client.host}:${client.port})`)
}

const isAt = (client: pg.Client, { host, port }: Server): boolean => client.host === host && client.port === port

type Inside = {
  readonly stream: Socket
  on(event: 'parameterStatus', listener: (status: { readonly parameterName: string; readonly parameterValue: string }) => void): void
}
const insideOf = (client: pg.Client): Inside => (client as unknown as { connection: Inside }).connection // the driver's own, which its types do not show
const streamOf = (client: pg.Client): Socket => insideOf(client).stream

const messageOf = (error: unknown): string => (error instanceof Error ? error.message || String('code' in error ? error.code : error.name) : String(error))

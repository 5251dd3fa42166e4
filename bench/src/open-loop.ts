// A program of its own: sends reads and holds at a fixed rate, whether or not those before were answered, and measures each
// from the instant at which it was meant to be sent. So a server that stalls is charged for all who would have come meanwhile.
// It speaks HTTP/1.1 by itself, over connections that stay open, because it shares the processors with what it measures.
import { connect, type Socket } from 'node:net'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

export type OpenLoopTask = {
  readonly url: string
  readonly apiKey: string
  readonly location: string
  /** SKU-1 to SKU-n, at random. */
  readonly items: number
  readonly seconds: number
  readonly readsPerSecond: number
  readonly holdsPerSecond: number
  /** Part of every Idempotency-Key. */
  readonly name: string
}

export type Paced = {
  readonly asked: number
  readonly answered: number
  /** Answered with anything but 2xx. */
  readonly refused: number
  /** Answered a second, from the beginning until the last answer. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly highestMs: number
}
export type OpenLoopMeasured = {
  readonly reads: Paced
  readonly holds: Paced
  /** Of one processor. */
  readonly cpuShare: number
}

/** Opened before the clock starts. Requests wait for one when all are busy, and that wait is measured. */
const READ_CONNECTIONS = 128
const HOLD_CONNECTIONS = 256
/** How long answers are waited for after the last request was due. */
const PATIENCE_MS = 10_000
/** Nothing is due before this, so that all connections stand. */
const LEAD_MS = 500

type Request = { readonly dueMs: number; readonly text: string }

type Lane = {
  /** Makes and sends what is due by now. */
  send(nowMs: number): void
  outstanding(): number
  measured(): Paced
  close(): void
}

const lane = async ({
  host,
  port,
  connections,
  perSecond,
  count,
  startMs,
  make,
}: {
  readonly host: string
  readonly port: number
  readonly connections: number
  readonly perSecond: number
  readonly count: number
  readonly startMs: () => number
  readonly make: () => string
}): Promise<Lane> => {
  const free: Connection[] = []
  const waiting: Request[] = []
  const latency: RecordableHistogram = createHistogram()
  let made = 0
  let answered = 0
  let refused = 0
  let lost = 0
  let lastAnswerMs = 0

  const onAnswer = (connection: Connection, dueMs: number, status: number) => {
    lastAnswerMs = performance.now()
    latency.record(Math.max(1, Math.round((lastAnswerMs - dueMs) * 1000)))
    answered += 1
    if (status < 200 || status > 299) refused += 1
    const next = waiting.shift()
    if (next) connection.send(next)
    else free.push(connection)
  }
  const all = await Promise.all(Array.from({ length: connections }, () => openConnection({ host, port, onAnswer, onLost: () => void (lost += 1) })))
  free.push(...all)

  return {
    send: (nowMs) => {
      for (let dueMs = startMs() + (made * 1000) / perSecond; made < count && dueMs <= nowMs; dueMs = startMs() + (made * 1000) / perSecond) {
        made += 1
        const request = { dueMs, text: make() }
        // In turn: a connection that never asks anything is told after ten seconds that its request did not come.
        const connection = free.shift()
        if (connection) connection.send(request)
        else waiting.push(request)
      }
    },
    outstanding: () => count - answered - lost,
    measured: () => ({
      asked: count,
      answered,
      refused,
      perSecond: answered === 0 ? 0 : (answered * 1000) / (lastAnswerMs - startMs()),
      p50Ms: latency.percentile(50) / 1000,
      p99Ms: latency.percentile(99) / 1000,
      highestMs: latency.max / 1000,
    }),
    close: () => {
      for (const connection of all) connection.close()
    },
  }
}

type Connection = { send(request: Request): void; close(): void }

/** One request at a time. An answer has a Content-Length: that is all that Holdfast sends here. */
const openConnection = ({
  host,
  port,
  onAnswer,
  onLost,
}: {
  readonly host: string
  readonly port: number
  readonly onAnswer: (connection: Connection, dueMs: number, status: number) => void
  readonly onLost: () => void
}): Promise<Connection> =>
  new Promise((resolve, reject) => {
    const socket: Socket = connect({ host, port, noDelay: true })
    let current: Request | undefined
    let received = ''
    const connection: Connection = {
      send: (request) => {
        current = request
        socket.write(request.text, 'latin1')
      },
      close: () => socket.destroy(),
    }
    socket.once('connect', () => resolve(connection))
    socket.once('error', reject)
    socket.on('close', () => {
      if (current) onLost()
    })
    socket.setEncoding('latin1').on('data', (data: string) => {
      received = received === '' ? data : received + data
      const headEnd = received.indexOf('\r\n\r\n')
      if (headEnd === -1) return
      const length = /\r\ncontent-length: (\d+)/i.exec(received)?.[1]
      if (length === undefined) throw new Error(`an answer without a length: ${received.slice(0, headEnd)}`)
      if (received.length < headEnd + 4 + Number(length)) return
      const status = Number(received.slice(9, 12))
      const { dueMs } = current ?? { dueMs: Number.NaN }
      received = ''
      current = undefined
      onAnswer(connection, dueMs, status)
    })
  })

const main = async (task: OpenLoopTask): Promise<OpenLoopMeasured> => {
  const { hostname, port, host } = new URL(task.url)
  const sku = () => `SKU-${1 + Math.floor(Math.random() * task.items)}`
  const common = ` HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${task.apiKey}\r\n`
  let key = 0
  const read = () => `GET /v1/availability/${sku()}${common}\r\n`
  const hold = () => {
    key += 1
    const body = `{"lines":[{"sku":"${sku()}","quantity":1,"location":"${task.location}"}],"ttl_seconds":3600}`
    return `POST /v1/holds${common}Content-Type: application/json\r\nIdempotency-Key: ${task.name}-${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  }

  let start = Number.POSITIVE_INFINITY
  const where = { host: hostname, port: Number(port), startMs: () => start }
  const reads = await lane({
    ...where,
    connections: READ_CONNECTIONS,
    perSecond: task.readsPerSecond,
    count: Math.round(task.readsPerSecond * task.seconds),
    make: read,
  })
  const holds = await lane({
    ...where,
    connections: HOLD_CONNECTIONS,
    perSecond: task.holdsPerSecond,
    count: Math.round(task.holdsPerSecond * task.seconds),
    make: hold,
  })
  start = performance.now() + LEAD_MS
  await sleep(LEAD_MS)

  const cpuBefore = process.cpuUsage()
  const end = start + task.seconds * 1000 + PATIENCE_MS
  for (let now = performance.now(); now < end && reads.outstanding() + holds.outstanding() > 0; now = performance.now()) {
    holds.send(now)
    reads.send(now)
    await sleep(1)
  }
  const cpu = process.cpuUsage(cpuBefore)
  const elapsedMs = performance.now() - start
  const measured = { reads: reads.measured(), holds: holds.measured(), cpuShare: (cpu.user + cpu.system) / 1000 / elapsedMs }
  reads.close()
  holds.close()
  return measured
}

const task = JSON.parse(process.argv[2] ?? 'null') as OpenLoopTask | null // given by scenarios/mixed.ts
if (task === null) throw new Error('usage: open-loop.ts TASK, as JSON')
console.log(JSON.stringify(await main(task)))

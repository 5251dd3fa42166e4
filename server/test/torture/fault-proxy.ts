// A network that can be broken: a TCP proxy between two programs that delays, stalls, cuts in the middle of a message, closes one
// way only, or lets little through. In user space, because not every kernel can do it, and because then it needs no rights.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** There: from whoever connected to the server behind. Back: the other way. */
export type Direction = 'there' | 'back'
export type NetFault =
  /** Everything arrives later, and in order. */
  | { readonly kind: 'delay'; readonly ms: number; readonly jitterMs: number }
  /** Nothing arrives, nobody is told, and all of it arrives when the fault ends: a cable that was pulled and put back. */
  | { readonly kind: 'stall'; readonly directions: readonly Direction[] }
  /** Every connection breaks after so many bytes more, most likely within a message. New ones are let through. */
  | { readonly kind: 'cut'; readonly afterBytes: number; readonly direction: Direction }
  /** One side is told that the other has said its last word, though it has not. */
  | { readonly kind: 'half-close'; readonly direction: Direction }
  | { readonly kind: 'bandwidth'; readonly bytesPerSecond: number }
  /** Connections are closed as soon as they are made. */
  | { readonly kind: 'refuse' }

export type FaultProxy = {
  readonly port: number
  /** Takes the place of the fault before. */
  fault(fault: NetFault): void
  /** All is well again; what was stalled goes on. */
  heal(): void
  connections(): number
  close(): Promise<void>
}

/** More than this waits in the sender's own buffers, as it would in a network's. */
const QUEUE_BYTES = 1_048_576
/** What a narrow line lets through at a time. */
const SLICE_MS = 20

export const faultProxy = async ({
  target,
  random,
}: {
  readonly target: { readonly host: string; readonly port: number }
  /** From 0 up to but not 1. */
  readonly random: () => number
}): Promise<FaultProxy> => {
  let current: NetFault | undefined
  const pairs = new Set<Pair>()

  // Either side may have said its last word while the other still speaks: that is passed on as it is.
  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (current?.kind === 'refuse') {
      near.resetAndDestroy()
      return
    }
    const far = connect({ ...target, allowHalfOpen: true })
    const pair: Pair = { near, far, lanes: [lane('there', near, far), lane('back', far, near)] }
    pairs.add(pair)
    for (const socket of [near, far]) {
      socket.setNoDelay(true)
      socket.on('error', () => breakOff(pair))
      socket.on('close', () => breakOff(pair))
    }
    for (const one of pair.lanes) feed(one, pair)
  })

  /** What one side says is queued here, and given to the other side as the fault of the moment allows. */
  const feed = (one: Lane, pair: Pair): void => {
    one.from.on('data', (chunk) => {
      const cutting = current?.kind === 'cut' && current.direction === one.direction ? current : undefined
      if (cutting !== undefined && chunk.length > 0) {
        const part = chunk.subarray(0, Math.min(cutting.afterBytes, chunk.length - 1))
        if (part.length > 0) one.to.write(part)
        return breakOff(pair)
      }
      const delayMs = current?.kind === 'delay' ? current.ms + random() * current.jitterMs : 0
      // Never before what was said before.
      const dueMs = Math.max(one.queue.at(-1)?.dueMs ?? 0, performance.now() + delayMs)
      one.queue.push({ chunk, dueMs })
      one.bytes += chunk.length
      if (one.bytes > QUEUE_BYTES) one.from.pause()
      pump(one)
    })
    one.from.on('end', () => {
      one.ended = true
      pump(one)
    })
  }

  const pump = (one: Lane): void => {
    clearTimeout(one.timer)
    if (one.to.destroyed) return
    for (;;) {
      const fault = current
      if (fault?.kind === 'stall' && fault.directions.includes(one.direction)) return
      const next = one.queue[0]
      if (next === undefined) break
      const waitMs = next.dueMs - performance.now()
      if (waitMs > 0) {
        one.timer = setTimeout(() => pump(one), waitMs)
        return
      }
      if (fault?.kind === 'bandwidth') {
        const most = Math.max(1, Math.floor((fault.bytesPerSecond * SLICE_MS) / 1_000))
        give(one, next.chunk.subarray(0, most))
        if (next.chunk.length > most) next.chunk = next.chunk.subarray(most)
        else one.queue.shift()
        one.timer = setTimeout(() => pump(one), SLICE_MS)
        return
      }
      one.queue.shift()
      give(one, next.chunk)
    }
    if (one.ended) one.to.end()
  }

  const give = (one: Lane, bytes: Buffer): void => {
    one.bytes -= bytes.length
    if (!one.to.writableEnded) one.to.write(bytes)
    if (one.bytes <= QUEUE_BYTES / 2 && one.from.isPaused()) one.from.resume()
  }

  const breakOff = (pair: Pair): void => {
    if (!pairs.delete(pair)) return
    for (const one of pair.lanes) clearTimeout(one.timer)
    for (const socket of [pair.near, pair.far]) if (!socket.destroyed) socket.resetAndDestroy()
  }
  const pumpAll = () => {
    for (const pair of pairs) for (const one of pair.lanes) pump(one)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port, // it listens on a port
    fault: (fault) => {
      current = fault
      if (fault.kind === 'half-close')
        for (const pair of pairs) for (const one of pair.lanes) if (one.direction === fault.direction && !one.to.writableEnded) one.to.end()
      if (fault.kind === 'refuse') for (const pair of pairs) breakOff(pair)
      pumpAll()
    },
    heal: () => {
      current = undefined
      pumpAll()
    },
    connections: () => pairs.size,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const pair of pairs) breakOff(pair)
      await closed
    },
  }
}

type Lane = {
  readonly direction: Direction
  readonly from: Socket
  readonly to: Socket
  readonly queue: { chunk: Buffer; readonly dueMs: number }[]
  bytes: number
  ended: boolean
  timer: NodeJS.Timeout | undefined
}
type Pair = { readonly near: Socket; readonly far: Socket; readonly lanes: readonly Lane[] }

const lane = (direction: Direction, from: Socket, to: Socket): Lane => ({ direction, from, to, queue: [], bytes: 0, ended: false, timer: undefined })

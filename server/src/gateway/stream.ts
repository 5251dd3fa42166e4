// Server-sent events: one line of JSON an event, a heartbeat while nothing happens, and no more than the reader takes.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { GatewayLimits } from '../platform/limits.ts'
import type { Logger } from '../platform/log.ts'
import type { Answer, Refusal } from '../services/service.ts'
import { Refused } from './problem.ts'

export type Streams = {
  follow(
    request: FastifyRequest,
    reply: FastifyReply,
    open: (signal: AbortSignal) => Promise<Answer<unknown>>,
    to: {
      readonly refuse: (refusal: Refusal) => FastifyReply
      readonly serialize: (event: Record<string, unknown>) => string
      /** Asked again and again while it is open. */
      readonly isStillAdmitted: () => Promise<boolean>
    },
  ): Promise<FastifyReply>
  open(): number
  /** Ends every stream, and resolves when nothing reads for one any more. */
  stop(): Promise<void>
}

export const openStreams = ({
  limits,
  log,
}: {
  readonly limits: Pick<GatewayLimits, 'streams' | 'heartbeatMs' | 'admittedAgainMs'>
  readonly log: Pick<Logger, 'warn'>
}): Streams => {
  const running = new Map<AbortController, Promise<void>>()
  let opening = 0
  let stopped = false

  return {
    follow: async (request, reply, open, { refuse, serialize, isStillAdmitted }) => {
      if (stopped || running.size + opening >= limits.streams) {
        throw new Refused({
          code: 'overloaded',
          detail: `There are ${limits.streams} streams, which is as many as can be served; try again, or list events instead.`,
        })
      }
      const ended = new AbortController()
      const { raw } = reply
      raw.once('close', () => ended.abort())
      opening += 1
      let answer: Answer<unknown>
      try {
        answer = await open(ended.signal)
      } finally {
        opening -= 1
      }
      if (!answer.ok) return refuse(answer.refusal)

      const headers = reply.getHeaders()
      reply.hijack()
      raw.writeHead(200, { ...withoutGaps(headers), 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
      // At once, so that the reader knows that it is being served before anything happens.
      raw.write(': here\n\n')
      const events = answer.body as AsyncIterable<Record<string, unknown>> // an operation that streams answers one
      const again = setInterval(() => {
        isStillAdmitted().then(
          (isAdmitted) => isAdmitted || ended.abort(),
          () => ended.abort(),
        )
      }, limits.admittedAgainMs)
      const told = tell(raw, events, { ended, serialize, heartbeatMs: limits.heartbeatMs }).catch((error: unknown) => {
        if (!ended.signal.aborted) log.warn({ err: error, requestId: request.id }, 'a stream of events broke; its reader comes back by itself')
      })
      running.set(
        ended,
        told.finally(() => {
          clearInterval(again)
          running.delete(ended)
        }),
      )
      if (stopped) ended.abort()
      return reply
    },
    open: () => running.size,
    stop: async () => {
      stopped = true
      for (const ended of running.keys()) ended.abort()
      await Promise.all(running.values())
    },
  }
}

const withoutGaps = (headers: Readonly<Record<string, number | string | string[] | undefined>>): Record<string, number | string | string[]> => {
  const there: Record<string, number | string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) there[name] = value
  return there
}

type Telling = { readonly ended: AbortController; readonly serialize: (event: Record<string, unknown>) => string; readonly heartbeatMs: number }

const tell = async (raw: ServerResponse, events: AsyncIterable<Record<string, unknown>>, { ended, serialize, heartbeatMs }: Telling): Promise<void> => {
  const { signal } = ended
  const finish = () => raw.end()
  // The answer ends at once; the source of events notices the signal in its own time.
  signal.addEventListener('abort', finish, { once: true })
  if (signal.aborted) finish()

  let silentBeats = 0
  const heart = setInterval(() => {
    if (!raw.writableNeedDrain) {
      silentBeats = 0
      raw.write(':\n\n')
    } else if ((silentBeats += 1) === STUCK_BEATS) raw.destroy()
  }, heartbeatMs)
  try {
    for await (const event of events) {
      if (signal.aborted) return
      if (!raw.write(`id: ${String(event['sequence'])}\ndata: ${serialize(event)}\n\n`)) await once(raw, 'drain', { signal })
    }
  } finally {
    clearInterval(heart)
    signal.removeEventListener('abort', finish)
    raw.end()
  }
}

/** A reader that has taken nothing for so many heartbeats is gone, whatever its connection says. */
const STUCK_BEATS = 4

// RabbitMQ, through its management API: whether it takes messages, and whether somebody takes ours from it. The API is a plugin, and
// may be away while messages go on: whether the broker itself is away, our own connection to it knows.
import { Agent, request } from 'undici'
import type { PartState } from '../service.ts'
import { degraded, down, up } from './component.ts'
import type { Look } from './probe.ts'

export type RabbitLimits = { readonly depth: number; readonly queues: number; readonly answerBytes: number }

/**
 * @param url     with user, password and, as its path, the virtual host; none: the first one, `/`
 * @param prefix  what our queues' names begin with
 * @param connection  how the connection of this process does, where it has one
 */
export const rabbitLook = ({
  url,
  prefix,
  connection = () => up,
  limits,
}: {
  readonly url: string
  readonly prefix: string
  readonly connection?: (() => PartState) | undefined
  readonly limits: RabbitLimits
}): Look => {
  const { origin, username, password, pathname } = new URL(url)
  const vhost = pathname === '/' ? '/' : decodeURIComponent(pathname.slice(1))
  const headers = { authorization: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}` }
  const dispatcher = new Agent({ pipelining: 0, maxResponseSize: limits.answerBytes })
  const parked = `${prefix}.parking`

  const get = async (path: string, signal: AbortSignal): Promise<{ readonly status: number; readonly body: unknown }> => {
    const { statusCode, body } = await request(`${origin}/api${path}`, { headers, dispatcher, signal })
    const text = await body.text()
    if (statusCode !== 200 && statusCode !== 503) throw new Error(`the management API answered ${statusCode} to GET ${path.split('?', 1)[0]}`)
    return { status: statusCode, body: JSON.parse(text) as unknown }
  }

  return {
    component: 'rabbitmq',
    where: origin,
    ask: async (signal) => {
      const alarms = await get('/health/checks/alarms', signal)
      if (alarms.status !== 200) return down('an alarm for memory or disk: it takes no messages until there is room again')
      const query = new URLSearchParams({ page: '1', page_size: String(limits.queues), name: `^${escaped(prefix)}\\.`, use_regex: 'true' })
      const { status, body } = await get(`/queues/${encodeURIComponent(vhost)}?${query.toString()}`, signal)
      if (status !== 200) throw new Error('the management API cannot tell the queues')
      const complaints = queuesIn(body).flatMap(({ name, messages, consumers, state }) => {
        if (state === 'down' || state === 'stopped') return [`${name} is ${state}`]
        if (name === parked) return messages > 0 ? [`${messages} messages that could not be worked on are in ${name}`] : []
        if (consumers === 0) return [`nobody takes from ${name}, where ${messages} messages wait`]
        return messages > limits.depth ? [`${messages} messages wait in ${name}`] : []
      })
      const { state, why } = connection()
      if (state === 'down') complaints.push(`this process is not connected to it: ${why}`)
      return complaints.length === 0 ? up : degraded(complaints.join('; '))
    },
    unanswered: (why) => {
      const { state, why: whyNot } = connection()
      return state === 'down' ? down(`${whyNot}; nor can it be asked: ${why}`) : degraded(`it cannot be asked: ${why}`)
    },
  }
}

type Queue = { readonly name: string; readonly messages: number; readonly consumers: number; readonly state: string }

/** A queue that was made this very moment has no numbers yet. */
const queuesIn = (body: unknown): readonly Queue[] => {
  if (typeof body !== 'object' || body === null || !('items' in body) || !Array.isArray(body.items))
    throw new Error('the management API answered no list of queues')
  return body.items.flatMap((queue: unknown): Queue[] => {
    const { name, messages, consumers, state } = queue as Partial<Queue> // each part is looked at
    return typeof name === 'string' && typeof messages === 'number' && typeof consumers === 'number'
      ? [{ name, messages, consumers, state: String(state) }]
      : []
  })
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

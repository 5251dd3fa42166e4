// A RabbitMQ of a test's own, with its management API.
import { freePort } from './free-port.ts'
import { startRabbit, type OwnRabbit } from './rabbit.ts'
import { until } from './until.ts'

export type ManagedRabbit = Pick<OwnRabbit, 'control' | 'kill'> & {
  /** Of the management API, with its user. */
  readonly url: string
  api(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: object): Promise<void>
}

export const startManagedRabbit = async (): Promise<ManagedRabbit> => {
  const managementPort = await freePort()
  const { control, kill } = await startRabbit({ managementPort })
  const origin = `http://127.0.0.1:${managementPort}`
  const headers = { authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}`, 'content-type': 'application/json' }
  await until('the management API answers', async () => (await fetch(`${origin}/api/overview`, { headers }).catch(() => undefined))?.ok === true, {
    withinMs: 60_000,
  })
  return {
    url: origin.replace('//', '//guest:guest@'),
    control,
    kill,
    api: async (method, path, body) => {
      const response = await fetch(`${origin}/api${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
      await response.body?.cancel()
    },
  }
}

import { expect, test } from 'vitest'
import { holdfast } from './support/command.ts'
import { startServer } from './support/server.ts'

const relay = {
  object: 'component',
  name: 'relay',
  kind: 'role',
  state: 'up',
  since: '2026-11-21T08:00:00.000Z',
  why: null,
  affects: [{ function: 'events', means: 'Webhooks and other listeners hear nothing new.' }],
  processes: [{ where: 'http://relay:4000', state: 'up', why: null }],
}
const status = {
  object: 'status',
  state: 'up',
  checked_at: '2026-11-21T10:15:00.000Z',
  components: [relay],
  functions: [{ name: 'events', state: 'up', means: null, because: [] }],
}
const broken = {
  ...status,
  state: 'down',
  components: [{ ...relay, state: 'down', since: '2026-11-21T10:14:51.000Z', why: 'http://relay:4000: connect ECONNREFUSED' }],
  functions: [{ name: 'events', state: 'down', means: 'Webhooks and other listeners hear nothing new.', because: ['relay'] }],
}

test('what is down is said with what users notice, and the command ends with 1', async () => {
  await using server = await startServer(() => ({ body: broken }))
  const { code, stdout } = await holdfast(['status'], server)
  expect(server.asked).toMatchObject([{ call: 'GET /v1/status' }])
  expect(stdout).toBe(
    [
      'COMPONENT  KIND  STATE  SINCE                 WHY',
      'relay      role  down   2026-11-21 10:14:51Z  http://relay:4000: connect ECONNREFUSED',
      '',
      'events is down: Webhooks and other listeners hear nothing new. (relay)',
      'As of 2026-11-21 10:15:00Z.',
      '',
    ].join('\n'),
  )
  expect(code).toBe(1)
})

test('when everything is up, or somebody should only look, it ends with 0', async () => {
  await using up = await startServer(() => ({ body: status }))
  expect(await holdfast(['status'], up)).toMatchObject({ code: 0, stdout: expect.stringContaining('Everything works.') })
  await using degraded = await startServer(() => ({ body: { ...status, state: 'degraded', components: [{ ...relay, state: 'degraded', why: 'slow' }] } }))
  expect(await holdfast(['status', '--json'], degraded)).toMatchObject({ code: 0, stdout: expect.stringContaining('"state":"degraded"') })
})

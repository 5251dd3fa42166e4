// What whoever is called at night looks at first.
import { expect, test } from 'vitest'
import { freshCell } from '../../test/support/ledger.ts'
import { readBacklog, type Backlog } from './backlog.ts'

const bounds = { most: 3, idleMs: 60_000 }
const nothing: Backlog = { outboxSeconds: 0, deliveries: 0, overdueSeconds: 0, importsRunning: 0, importsLeft: 0, sessions: 0 }

test('where nothing waits, nothing is told', async () => {
  const { pool } = await freshCell()
  expect(await readBacklog(pool, bounds)).toEqual(nothing)
})

test('events that nobody tells, webhooks that nobody sends, and imports that broke off are seen', async () => {
  const { pool } = await freshCell()
  const endpoint = (name: string, status: 'enabled' | 'disabled') =>
    pool.query(
      `insert into webhook_endpoints (id, url, events, secret, since_sequence, status, disabled_reason, disabled_at)
       values (gen_random_uuid(), $1, '{*}', 'sealed', 0, $2::text, case when $2 = 'disabled' then 'asked' end, case when $2 = 'disabled' then now() end)`,
      [name, status],
    )
  const due = (name: string, inSeconds: number) =>
    pool.query(
      `insert into webhook_deliveries (id, endpoint_id, event_id, event_type, next_attempt_at)
       select gen_random_uuid(), e.id, gen_random_uuid(), 'hold.placed', now() + make_interval(secs => $2) from webhook_endpoints as e where e.url = $1`,
      [name, inSeconds],
    )
  await pool.query("insert into outbox values (7, 9, now() - interval '100 seconds'), (10, 11, now())")
  await endpoint('shop', 'enabled')
  await endpoint('other', 'enabled')
  await endpoint('gone', 'disabled')
  await due('shop', 3_600)
  await due('other', -300)
  // Whoever is disabled waits for nothing.
  await due('gone', -9_000)
  for (const until of ["now() + interval '5 seconds'", "now() - interval '5 seconds'", 'null'])
    await pool.query(
      `insert into imports (id, fingerprint, format, dry_run, on_existing, worker, working_until, created_at, updated_at)
       values (gen_random_uuid(), gen_random_uuid(), 'csv', false, 'refuse', case when ${until} is not null then gen_random_uuid() end, ${until}, now(), now())`,
    )

  const found = await readBacklog(pool, bounds)
  expect(found).toEqual({ ...nothing, outboxSeconds: expect.any(Number), overdueSeconds: expect.any(Number), deliveries: 2, importsRunning: 1, importsLeft: 2 })
  expect(found.outboxSeconds).toBeGreaterThan(99)
  expect(found.overdueSeconds).toBeGreaterThan(299)
  expect(found.overdueSeconds).toBeLessThan(9_000)

  for (let more = 0; more < 5; more += 1) await due('shop', 60)
  expect((await readBacklog(pool, bounds)).deliveries).toBe(3)
})

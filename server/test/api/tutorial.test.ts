// The tutorial's program is run as it stands there: what a newcomer is told must work.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { API_KEY, ownDatabase, startServer, verifyBooks } from '../support/server.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const page = readFileSync(`${root}/docs/guides/a-checkout-in-ten-minutes.md`, 'utf8')

test('the shop of the tutorial sells, gives back, refuses, and ships what it hears was sold; and does so again', async () => {
  const program = /^```ts\n([\s\S]*?)^```/m.exec(page)?.[1]
  if (program === undefined) throw new Error('the tutorial has no program')
  const database = await ownDatabase()
  const server = await startServer(database, { HOLDFAST_WEBHOOKS_ALLOW_HTTP: 'true', HOLDFAST_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.0/8' })
  const port = String(await freePort())

  for (const left of [8, 6]) {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module-typescript', '--eval', program], {
      cwd: root,
      env: { PATH: process.env['PATH'], HOLDFAST_URL: server.url, HOLDFAST_API_KEY: API_KEY, PORT: port },
      timeout: 20_000,
    })
    const said = stdout.replaceAll(/^\w+-(?=anna|ben|carl)/gm, '').split('\n')
    expect(said).toEqual(
      expect.arrayContaining([
        'anna  paid and confirmed',
        'ben  not paid, given back',
        `carl  1000 wanted, ${left} to be had`,
        expect.stringMatching(/^webhook {3}hold\.executed hold_/),
        expect.stringMatching(/^webhook {3}stock\.shipped hold_/),
        `MUG-1     ${left} to sell, 0 held, 0 committed`,
      ]),
    )
  }
  expect((await verifyBooks(database)).violations).toEqual([])
})

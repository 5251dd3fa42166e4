// The program as it is started: what it prints, that it can be pasted, and that it is all still there afterwards.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const program = fileURLToPath(new URL('./main.ts', import.meta.url))
const run = promisify(execFile)
let dataDir: string
let port: number
let running: { child: ChildProcess; printed: string } | undefined

const environment = (more: Record<string, string> = {}): Record<string, string | undefined> => {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_') && name !== 'DATABASE_URL'))
  return { ...own, PORT: String(port), HOLDFAST_DATA_DIR: dataDir, HOLDFAST_LOG_LEVEL: 'warn', ...more }
}

/** Starts it and answers what it printed until it was ready. */
const up = async (more: Record<string, string> = {}): Promise<string> => {
  const child = spawn(process.execPath, [program, 'up'], { env: environment(more), stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  let complaints = ''
  child.stderr.on('data', (chunk: Buffer) => void (complaints += String(chunk)))
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      printed += String(chunk)
      if (printed.includes('/v1/shipments')) resolve()
    })
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${complaints}`)))
  })
  running = { child, printed }
  return printed
}

const end = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> => {
  if (running === undefined) return null
  const { child } = running
  running = undefined
  const exited = once(child, 'exit') as Promise<[number | null]> // says node:child_process
  child.kill(signal)
  return (await exited)[0]
}

type Ended = { stdout: string; stderr: string; code: number }
const command = (...args: string[]): Promise<Ended> => commandWith({}, ...args)
const commandWith = async (more: Record<string, string>, ...args: string[]): Promise<Ended> => {
  try {
    return { ...(await run(process.execPath, [program, ...args], { env: environment(more) })), code: 0 }
  } catch (error) {
    const { stdout, stderr, code } = error as Ended // execFile's own error
    return { stdout, stderr, code }
  }
}

const paste = (printed: string, more: Record<string, string> = {}) =>
  run(
    'bash',
    [
      '-c',
      `set -e\n${printed
        .split('\n')
        .filter((line) => /^(HOLD=|curl )/.test(line))
        .join('\n')}\necho $HOLD`,
    ],
    { env: environment(more) },
  )

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'holdfast-main-'))
  // As root, PostgreSQL runs under another account, which has to get in here.
  chmodSync(dataDir, 0o711)
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  port = (probe.address() as { port: number }).port // it listens on a port
  probe.close()
})
afterAll(async () => {
  await end()
  rmSync(dataDir, { recursive: true, force: true })
})

test('from nothing: started, three lines pasted, stopped, started again, and all is still there', { timeout: 120_000 }, async () => {
  const first = await up()
  const key = /^API key \(shown once\) {2}(hf_\S+)$/m.exec(first)?.[1] ?? ''
  expect(first).toContain(`http://127.0.0.1:${port}`)
  expect(first).toMatch(/^Password \(shown once\) [0-9a-z-]{23}$/m)

  expect(first).toContain(`\nexport HOLDFAST_API_KEY=${key}\n`)

  const pasted = await paste(first)
  const lines = pasted.stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
  const hold = lines.at(-1)
  expect(lines.slice(0, -1).map((line) => JSON.parse(line))).toMatchObject([
    { object: 'hold', id: hold, status: 'executed' },
    { object: 'shipment', hold },
  ])

  // Beside the one that serves, on the same data directory.
  expect(await command('verify')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nothing is wrong: 1 levels/) })
  const made = JSON.parse((await command('key', 'create', 'Reader', '--scope', 'holds:read', '--json')).stdout) as { id: string; key: string } // printed by the program
  const read = (withKey: string) => fetch(`http://127.0.0.1:${port}/v1/holds/${hold}`, { headers: { authorization: `Bearer ${withKey}` } })
  expect((await read(made.key)).status).toBe(200)
  expect((await command('key', 'list')).stdout).toMatch(/Reader {2}holds:read\n.*First key/)
  expect((await command('key', 'revoke', made.id)).code).toBe(0)

  expect(await end()).toBe(0)
  const second = await up()
  expect(second).not.toContain('shown once')
  expect(second).not.toContain(key)
  expect(second).not.toContain('export ')
  expect((await read(made.key)).status).toBe(401)
  expect(await (await read(key)).json()).toMatchObject({ id: hold, status: 'executed', lines: [{ shipped: 3 }] })

  // The demo's hundred units came in once; the printed lines take the key from the environment now.
  await paste(second, { HOLDFAST_API_KEY: key })
  const left = await fetch(`http://127.0.0.1:${port}/v1/availability/DEMO-TEA`, { headers: { authorization: `Bearer ${key}` } })
  expect(await left.json()).toMatchObject({ available_to_sell: 94 })

  const other = await command('serve')
  expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('Another Holdfast')])
  expect(other.stderr).not.toContain('    at ')
  expect(await end()).toBe(0)
})

test('a first start that cannot listen makes nothing that is shown once: the next one shows it', { timeout: 60_000 }, async () => {
  const directory = join(dataDir, 'port-taken')
  const other = createServer().listen(port, '127.0.0.1')
  await once(other, 'listening')
  const { code, stderr } = await commandWith({ HOLDFAST_DATA_DIR: directory }, 'up')
  expect([code, stderr]).toEqual([1, expect.stringContaining('another program listens there')])
  other.close()
  await once(other, 'close')

  const printed = await up({ HOLDFAST_DATA_DIR: directory })
  expect(printed).toMatch(/^Password \(shown once\) /m)
  expect(printed).toMatch(/^API key \(shown once\) {2}hf_/m)
  expect(printed).toContain('There are 100 units of DEMO-TEA at LON.')
  expect(await end()).toBe(0)
})

test('a first start with a key of its own says what there is to try, and with which key', { timeout: 60_000 }, async () => {
  const own = { HOLDFAST_API_KEY: 'hf_a-key-of-somebodys-own-0123456789' }
  const printed = await up({ HOLDFAST_DATA_DIR: join(dataDir, 'own-key'), ...own })
  expect(printed).not.toContain(own.HOLDFAST_API_KEY)
  expect(printed).toContain('There are 100 units of DEMO-TEA at LON.\nThese three lines')
  expect(printed).toContain('with your key in HOLDFAST_API_KEY:')
  expect((await paste(printed, own)).stdout).toContain('"status":"executed"')
  expect(await end()).toBe(0)
})

test('what is wrong with a command is said, and it ends with 2', async () => {
  expect(await command('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('key create NAME') })
  for (const wrong of [['nonsense'], [], ['up', 'twice'], ['--nonsense'], ['serve', 'payments'], ['key', 'create', ''], ['key', 'create', ' ']]) {
    const { code, stderr } = await command(...wrong)
    expect([wrong, code]).toEqual([wrong, 2])
    expect(stderr).toMatch(/^holdfast: .*\nholdfast --help says what there is\.\n$/)
  }
})

test('a data directory that cannot be made is said in a sentence', async () => {
  for (const directory of ['/dev/null/holdfast', program]) {
    const { code, stderr } = await commandWith({ HOLDFAST_DATA_DIR: directory }, 'up')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^holdfast: The data directory .* cannot be used: .*HOLDFAST_DATA_DIR\.\n$/)
  }
})

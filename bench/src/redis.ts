// Redis as a baseline: a script that checks and holds one unit and adds an entry to a stream, made durable every second.
import { createServer } from 'node:net'
import { makeDirectory, removeDirectory } from './directories.ts'
import { keep, run } from './processes.ts'

const REDIS_CALLERS = 64

/** Checks, holds and tells: the least that a hold is. */
const holdOne = `
local available = tonumber(redis.call('HGET', KEYS[1], 'available'))
if available == nil or available < tonumber(ARGV[1]) then return redis.error_reply('insufficient_stock') end
redis.call('HINCRBY', KEYS[1], 'available', -ARGV[1])
redis.call('HINCRBY', KEYS[1], 'held', ARGV[1])
redis.call('XADD', 'holds', '*', 'level', KEYS[1], 'quantity', ARGV[1])
return 1`

/** As above, and what else Holdfast keeps of a hold: the hold itself, when it is due, and the caller's key. */
const holdInFull = `
local id = redis.call('INCR', 'ids')
if not redis.call('SET', 'key:' .. id, id, 'NX', 'EX', 172800) then return redis.error_reply('idempotency_key_reused') end
local available = tonumber(redis.call('HGET', KEYS[1], 'available'))
if available == nil or available < tonumber(ARGV[1]) then return redis.error_reply('insufficient_stock') end
local due = redis.call('TIME')[1] + 900
redis.call('HINCRBY', KEYS[1], 'available', -ARGV[1])
redis.call('HINCRBY', KEYS[1], 'held', ARGV[1])
redis.call('HSET', 'hold:' .. id, 'status', 'active', 'level', KEYS[1], 'quantity', ARGV[1], 'due', due)
redis.call('ZADD', 'due', due, id)
redis.call('XADD', 'holds', '*', 'hold', id, 'level', KEYS[1], 'quantity', ARGV[1])
return 1`

const fill = `
for n = 0, ARGV[1] - 1 do redis.call('HSET', string.format('level:%012d', n), 'available', ARGV[2], 'held', 0) end
return 1`

const audit = `
local held = 0
for n = 0, ARGV[1] - 1 do
  local level = string.format('level:%012d', n)
  local counts = redis.call('HMGET', level, 'available', 'held')
  if counts[1] + counts[2] ~= tonumber(ARGV[2]) or tonumber(counts[1]) < 0 then return redis.error_reply(level .. ' does not add up') end
  held = held + counts[2]
end
if held ~= redis.call('XLEN', 'holds') or held ~= tonumber(ARGV[3]) then return redis.error_reply('the stream, the levels and the requests differ') end
return held`

export type RedisMeasured = { readonly perSecond: number; readonly p50Ms: number; readonly p99Ms: number; readonly version: string }

/** A Redis of its own for one measurement. */
export const measureRedis = async ({
  items,
  hot,
  inFull,
  units,
  seconds,
  warmUpSeconds,
}: {
  readonly items: number
  readonly hot: boolean
  /** With everything that Holdfast keeps of a hold, or the least. */
  readonly inFull: boolean
  readonly units: number
  readonly seconds: number
  readonly warmUpSeconds: number
}): Promise<RedisMeasured> => {
  const directory = makeDirectory('redis')
  const port = String(await freePort())
  const server = keep({
    program: 'redis-server',
    package: 'redis-server',
    // Rewriting the log while it is measured would cost Redis a fork and half of a processor; it is spared that.
    args: [
      '--port',
      port,
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'yes',
      '--appendfsync',
      'everysec',
      '--auto-aof-rewrite-percentage',
      '0',
    ],
  })
  const cli = async (...args: string[]): Promise<string> => {
    const out = (await run({ program: 'redis-cli', package: 'redis-tools', args: ['-h', '127.0.0.1', '-p', port, ...args] })).trim()
    if (/^\(error\)|^(ERR|insufficient|level:|the stream)/.test(out)) throw new Error(`redis-cli ${args[0]}: ${out}`)
    return out
  }
  try {
    await server.line((line) => line.includes('Ready to accept connections'))
    await cli('eval', fill, '0', String(items), String(units))
    const script = await cli('script', 'load', inFull ? holdInFull : holdOne)
    let placed = 0
    const drive = async (requests: number) => {
      placed += requests
      const out = await run({
        program: 'redis-benchmark',
        package: 'redis-tools',
        args: [
          '-h',
          '127.0.0.1',
          '-p',
          port,
          '-c',
          String(REDIS_CALLERS),
          '-n',
          String(requests),
          ...(hot ? [] : ['-r', String(items)]),
          '--csv',
          'evalsha',
          script,
          '1',
          hot ? `level:${'0'.repeat(12)}` : 'level:__rand_int__',
          '1',
        ],
      })
      return readCsv(out)
    }
    const first = await drive(PROBE_REQUESTS)
    await drive(Math.ceil(first.perSecond * warmUpSeconds))
    const measured = await drive(Math.ceil(first.perSecond * seconds))
    await cli('eval', audit, '0', String(items), String(units), String(placed))
    const version = /redis_version:(\S+)/.exec(await cli('info', 'server'))?.[1] ?? 'unknown'
    return { ...measured, version }
  } finally {
    await server.stop()
    removeDirectory(directory)
  }
}

/** redis-benchmark counts requests and not seconds: a few tell how many fill the time. */
const PROBE_REQUESTS = 20_000

const readCsv = (out: string): { perSecond: number; p50Ms: number; p99Ms: number } => {
  const lines = out
    .trim()
    .split('\n')
    .map((line) => line.split('","').map((field) => field.replaceAll('"', '')))
  const header = lines.findIndex((fields) => fields.includes('rps'))
  const [names, values] = [lines[header], lines[header + 1]]
  const field = (name: string) => Number(values?.at(names?.indexOf(name) ?? -1))
  const read = { perSecond: field('rps'), p50Ms: field('p50_latency_ms'), p99Ms: field('p99_latency_ms') }
  if (!(read.perSecond > 0)) throw new Error(`redis-benchmark did not say how fast it was: ${out}`)
  return read
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port was given'))))
    })
  })

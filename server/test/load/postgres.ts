// A PostgreSQL for the benchmark: the one that `npm start` gives, with its settings and full durability, in a directory that
// is named. Says where it is in one line of JSON, and ends when whoever started it asks for it or is gone.
import { openLog } from '../../src/platform/log.ts'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'

const dataDir = process.argv[2]
if (dataDir === undefined) throw new Error('usage: postgres.ts DIRECTORY')

const postgres = await startPostgres({ dataDir, log: openLog({ level: 'warn' }), durability: 'full' })
const { url, version, source } = postgres
console.log(JSON.stringify({ url, version, source }))

let ending = false
const end = () => {
  if (ending) return
  ending = true
  void postgres.stop().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
}
process.on('SIGTERM', end)
process.on('SIGINT', end)
// The other end of standard input closes with the process that holds it, however that ends.
process.stdin.on('end', end).resume()

// Stands in for the server: says what it was given, and ends as it is told to.
const args = process.argv.slice(2)
process.on('SIGTERM', () => {
  console.log('got SIGTERM')
  process.exit(5)
})
console.log(`began with ${args.join(' ')}`)
if (args.includes('wait')) setInterval(() => {}, 60_000)
if (args.includes('kill')) process.kill(process.pid, 'SIGKILL')
process.exitCode = Number(args.find((arg) => arg.startsWith('exit='))?.slice(5) ?? 0)

// Hands over to the stand-in as the command line hands over to the server.
import { fileURLToPath } from 'node:url'
import { handOver } from '../../src/hand-over.ts'

await handOver({ main: fileURLToPath(new URL('stand-in.js', import.meta.url)), args: process.argv.slice(2) })

// Commands that run the server itself, on this machine. The server is a program of its own; it is started, not imported.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { handOver } from '../hand-over.ts'
import { exitCodes } from '../output.ts'

const main = fileURLToPath(new URL('../../../server/src/main.ts', import.meta.url))

const commands = {
  up: 'run everything here, with a database of its own',
  serve: 'run everything here, on the database of DATABASE_URL',
  migrate: 'bring the database to the form this version needs',
  verify: 'check that stock levels are what the ledger says',
  rebuild: 'make stock levels anew from the ledger',
  key: 'create, list and revoke API keys beside the database, without a key: key create | list | revoke',
} as const

export function addServerCommands(program: Command) {
  for (const [name, description] of Object.entries(commands)) {
    program
      .command(name)
      .description(description)
      .argument('[args...]', 'passed on to the server as they are')
      .allowUnknownOption()
      .action(async () => {
        if (!existsSync(main)) {
          process.stderr.write(`error: the server is not installed beside the command line: there is no ${main}\n`)
          process.exitCode = exitCodes.unknown
          return
        }
        // As they were typed, with what commander would take for its own: everything from the command's name on.
        const typed = process.argv.slice(2)
        await handOver({ main, args: typed.slice(typed.indexOf(name)) })
      })
  }
}

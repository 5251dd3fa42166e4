#!/usr/bin/env node
import { Command } from 'commander'
import { addApiKeyCommands } from './commands/api-key.ts'
import { addAuditCommands } from './commands/audit.ts'
import { addCountCommands } from './commands/count.ts'
import { addHoldCommands } from './commands/hold.ts'
import { addInboundCommands } from './commands/inbound.ts'
import { addItemCommands } from './commands/item.ts'
import { addLocationCommands } from './commands/location.ts'
import { addMessageCommands } from './commands/message.ts'
import { addServerCommands } from './commands/server.ts'
import { addStockCommands } from './commands/stock.ts'
import { addStatusCommand } from './commands/status.ts'
import { addUserCommands } from './commands/user.ts'
import { addTransferCommands } from './commands/transfer.ts'
import { addWebhookCommands } from './commands/webhook.ts'
import { report } from './output.ts'
import { addGlobalOptions, isJson } from './session.ts'

const program = new Command('holdfast')
  .description('Counts stock and promises it to buyers without ever promising a unit twice.')
  .exitOverride()
  .showHelpAfterError('Give the command with --help to see how it is used.')
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    `
Exit codes:
  0  done
  1  a defect, or an answer nobody foresaw; of status, something is down
  2  wrong usage: nothing was sent
  3  refused by the server, for instance not enough stock; of an import, at least one row
  4  the server cannot be reached or cannot answer now: worth another try`,
  )

addGlobalOptions(program)
addServerCommands(program)
addHoldCommands(program)
addStockCommands(program)
addTransferCommands(program)
addInboundCommands(program)
addCountCommands(program)
addItemCommands(program)
addLocationCommands(program)
addUserCommands(program)
addApiKeyCommands(program)
addAuditCommands(program)
addStatusCommand(program)
addWebhookCommands(program)
addMessageCommands(program)

// Whoever reads our answer may have seen enough, as `head` has; that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error, { json: isJson(program) })
}

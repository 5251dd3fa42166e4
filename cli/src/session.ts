// What every command that asks the server has in common: whom to ask, as whom, and how to print.
import { holdfast, type Holdfast, type MoveOptions, responseOf } from '@holdfast/sdk'
import { type Command, Option } from 'commander'
import { createOutput, type Output } from './output.ts'

const DEFAULT_URL = 'http://127.0.0.1:4000'
/** Tries after the first. A person waits: less than a second is spent on a server that is not there. */
const RETRIES = 2

type GlobalOptions = { readonly url: string; readonly apiKey?: string; readonly json?: true; readonly idempotencyKey?: string; readonly dryRun?: true }

/** `read` and `change` take neither key nor dry run, `create` a key, `move` both. */
type Kind = 'read' | 'change' | 'create' | 'move'

type Session = {
  readonly stock: Holdfast
  readonly output: Output
  /** For calls that write. */
  readonly options: MoveOptions
  /** Prints an answer of a write, and says when nothing was changed by it. */
  readonly done: (answer: object, words: () => string) => void
}

export const addGlobalOptions = (program: Command) =>
  program
    .addOption(new Option('--url <url>', 'the server').env('HOLDFAST_URL').default(DEFAULT_URL))
    .addOption(new Option('--api-key <key>', 'the key to ask with; better in the environment, where no list of processes shows it').env('HOLDFAST_API_KEY'))
    .option('--json', 'print JSON: one document, or one a line for lists')
    .option('--idempotency-key <key>', 'the name of this very wish: asked again under it, it is not done again')
    .option('--dry-run', 'decide and answer, but change nothing')

export const isJson = (program: Command) => program.opts<GlobalOptions>().json === true

export function openSession(command: Command, kind: Kind, { retries = RETRIES }: { retries?: number } = {}): Session {
  const { url, apiKey, json, idempotencyKey, dryRun } = command.optsWithGlobals<GlobalOptions>()
  // Left unsaid, these would make a command do what its caller believes it does not do.
  if (dryRun === true && kind !== 'move') command.error('error: --dry-run is only for commands that move stock')
  if (idempotencyKey !== undefined && kind !== 'move' && kind !== 'create')
    command.error('error: --idempotency-key is only for commands that make something or move stock')
  if (apiKey === undefined || apiKey === '') command.error('error: no API key; set HOLDFAST_API_KEY or give --api-key')

  const output = createOutput({ json: json === true })
  return {
    stock: openClient(command, { url, apiKey, retries }),
    output,
    options: { idempotencyKey, dryRun },
    done: (answer, words) => {
      output.one(answer, words)
      if (dryRun === true) output.note('Dry run: nothing was changed.')
      else if (responseOf(answer).replayed) output.note('This was done before under the same key; it was not done again.')
    },
  }
}

function openClient(command: Command, options: Parameters<typeof holdfast>[0]): Holdfast {
  try {
    return holdfast(options)
  } catch (error) {
    if (error instanceof TypeError) command.error(`error: ${error.message}`)
    throw error
  }
}

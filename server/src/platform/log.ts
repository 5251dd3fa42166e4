// One JSON line per fact, to standard error: standard output belongs to what a command answers.
import { destination, pino, stdSerializers, type DestinationStream, type Logger } from 'pino'

export type { Logger }
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

const STANDARD_ERROR = 2

export const openLog = ({ level, to }: { readonly level: LogLevel; readonly to?: DestinationStream }): Logger =>
  pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (name) => ({ level: name }) },
      serializers: { err: stdSerializers.errWithCause },
      // Whatever is logged by mistake: no key, no password, no session gets out.
      redact: { paths: secretPaths, censor: '[secret]' },
    },
    // Written at once: the line that matters most is the last one before a crash.
    to ?? destination({ dest: STANDARD_ERROR, sync: true }),
  )

const secretNames = ['authorization', 'cookie', 'password', 'secret', 'token', 'apiKey', 'api_key']
const secretPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.headers.${name}`])

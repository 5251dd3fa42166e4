// What of other people's programs is installed here. Where one is not, what needs it is left out, and that is said.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

export const hasProgram = (name: string): boolean => spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined

/** The library that makes a program believe in another time. */
export const faketime = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1'].find(existsSync)

/** Debian's own starters want to be root. */
const RABBIT = '/usr/lib/rabbitmq/bin/rabbitmq-server'
export const RABBIT_CONTROL = '/usr/lib/rabbitmq/bin/rabbitmqctl'
export const rabbitProgram = existsSync(RABBIT) ? RABBIT : undefined

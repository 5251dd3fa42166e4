// Runs another program in our place: its terminal is ours, our signals are its, and its end is ours.
import { spawn } from 'node:child_process'

const PASSED_ON = ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM'] as const

export async function handOver({ main, args }: { main: string; args: readonly string[] }): Promise<void> {
  // Without our own options for Node: one of them may name the program we are, and it would be started without end.
  const child = spawn(process.execPath, [main, ...args], { stdio: 'inherit' })
  const passOn = (signal: NodeJS.Signals) => {
    // A terminal sends its own signals to both of us; passed on, they would arrive twice, and the second Ctrl-C means "now".
    if (process.stdin.isTTY && signal !== 'SIGTERM') return
    child.kill(signal)
  }
  for (const signal of PASSED_ON) process.on(signal, passOn)

  const { code, signal } = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve({ code, signal }))
  })
  for (const each of PASSED_ON) process.off(each, passOn)

  process.exitCode = code ?? 1
  // Whoever started us sees the end the program itself met.
  if (signal !== null) process.kill(process.pid, signal)
}

#!/usr/bin/env node
// Starts the command line on a Node that can run TypeScript. Begun outside npm, the running Node may be older than that; then
// the Node installed beside the packages takes over, with the same terminal, the same signals and the same exit code.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = [22, 19]
const main = new URL('../src/main.ts', import.meta.url)

if (isNewEnough(process.versions.node)) {
  await import(main.href)
} else {
  handOver()
}

function handOver() {
  const node = installedNode(dirname(fileURLToPath(import.meta.url)))
  if (node === undefined) {
    console.error(`holdfast needs Node ${OLDEST_NODE.join('.')} or newer and runs on ${process.version}. Give this once in the Holdfast folder: npm ci`)
    process.exit(1)
  }

  const child = spawn(node, [...process.execArgv, fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM']) {
    process.on(signal, () => {
      // A terminal sends its signals to both of us; passed on, they would arrive twice, and the second Ctrl-C means "now".
      if (process.stdin.isTTY && signal !== 'SIGTERM') return
      child.kill(signal)
    })
  }
  child.on('error', (error) => {
    console.error(`holdfast could not start ${node}: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    // Whoever started us sees the end the command itself met.
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

function installedNode(directory) {
  const candidate = join(directory, 'node_modules/.bin/node')
  if (existsSync(candidate)) return candidate
  const parent = dirname(directory)
  return parent === directory ? undefined : installedNode(parent)
}

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
}

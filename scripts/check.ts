// `npm run check`: types, lint, folder rules, unused code, the document of the API, format. Everything is run, and everything that is wrong is said.
import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkFolders } from './folders.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const tool = (name: string, command: string, args: string[]) => () => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  return { name, ok: status === 0, says: `${stdout ?? ''}${stderr ?? ''}${error ? String(error) : ''}`.trim() }
}

const checks = [
  tool('types', 'tsc', ['-p', '.']),
  tool('lint', 'oxlint', ['--type-aware', '--deny-warnings']),
  () => {
    const { files, imports, violations } = checkFolders(root)
    return { name: 'folders', ok: violations.length === 0, says: violations.join('\n') || `${files} files, ${imports} imports` }
  },
  tool('unused', 'knip', ['--no-progress']),
  tool('openapi', process.execPath, ['scripts/lint-openapi.ts']),
  tool('format', 'oxfmt', ['--check', '.']),
]

let failed = false
for (const check of checks) {
  const started = performance.now()
  const { name, ok, says } = check()
  failed ||= !ok
  console.log(
    `${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(8)} ${((performance.now() - started) / 1000).toFixed(1)} s${ok && name !== 'folders' ? '' : `  ${says}`}`,
  )
}
process.exitCode = failed ? 1 : 0

// `npm run lint:openapi`: the document of the API, as it is served, held against redocly.yaml.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { allOperations } from '@holdfast/contract'
import { openApi } from '../server/src/gateway/openapi.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = mkdtempSync(join(tmpdir(), 'holdfast-openapi-'))
try {
  const file = join(folder, 'openapi.json')
  writeFileSync(file, JSON.stringify(openApi(allOperations), null, 2))
  const { status, error } = spawnSync('redocly', ['lint', file, '--config', join(root, 'redocly.yaml')], {
    stdio: 'inherit',
    // It reports its use, and looks for newer versions, unless it is asked not to.
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
  })
  if (error !== undefined) throw error
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true })
}

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventTypes, problems, roles, scopes } from '@holdfast/contract'
import { expect, test } from 'vitest'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const read = (path: string) => readFileSync(join(root, path), 'utf8')

test('every refusal has a paragraph in docs/api/errors.md, with its status, and there is no other', () => {
  const told = new Map(
    Array.from(read('docs/api/errors.md').matchAll(/^### (\w+)\n(\d{3})(, retryable)?\. /gm), ([, code, status, retryable]) => [
      code,
      { status: Number(status), retryable: retryable !== undefined },
    ]),
  )
  expect(told).toEqual(new Map(Object.entries(problems).map(([code, { status, retryable }]) => [code, { status, retryable }])))
})

test('every type of event stands in docs/words.md, and no other', () => {
  const page = read('docs/words.md')
  const table = page.slice(page.indexOf('## Events'), page.indexOf('### Signals'))
  const told = Array.from(table.matchAll(/`([a-z_]+)\.([a-z_]+(?:\\\|[a-z_]+)+)`/g), ([, subject = '', verbs = '']) =>
    verbs.split('\\|').map((verb) => `${subject}.${verb}`),
  )
  expect(told.flat().toSorted()).toEqual(eventTypes.toSorted())
})

test('every role and every scope stands in docs/guides/keys-and-roles.md', () => {
  const rows = read('docs/guides/keys-and-roles.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => Array.from((line.split('|')[1] ?? '').matchAll(/`([\w:]+)`/g), ([, word]) => word))
  expect(new Set(rows)).toEqual(new Set<string>([...scopes, ...roles]))
})

test('every variable that is read from the environment stands in docs/operating/running.md, and no other', () => {
  const names = (text: string) => new Set([...text.matchAll(/\b(HOST|PORT|DATABASE_URL|REDIS_URL|AMQP_URL|HOLDFAST_[A-Z_]+)\b/g)].map(([name]) => name))
  const table = read('docs/operating/running.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
  const source = read('server/src/config.ts')
  expect(names(table.map((line) => line.split('|')[1]).join(' '))).toEqual(
    names(source.slice(source.indexOf('const variables = {'), source.indexOf('satisfies Record<string, Variable'))),
  )
})

test('no link of the documentation leads nowhere', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'sdk/README.md', 'cli/README.md', 'bench/README.md', 'examples/online-retail/README.md'].concat(
    readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.md'))
      .map((path) => join('docs', path)),
  )
  const lost = pages.flatMap((page) =>
    Array.from(read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g), ([, target]) => target ?? '').flatMap((target) => {
      try {
        readFileSync(resolve(root, dirname(page), target))
        return []
      } catch (error) {
        return error instanceof Error && 'code' in error && error.code === 'EISDIR' ? [] : [`${page}: ${target}`]
      }
    }),
  )
  expect(lost).toEqual([])
})

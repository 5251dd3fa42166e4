// Who may import whom. Reads every import of every file, and proves that it did: no files read is a failure, too.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

type Rule = {
  /** The folder, from the root, that the rule is for. The longest that fits a file is the one that counts. */
  readonly folder: string
  /** Folders that it may import from, besides itself. */
  readonly may: readonly string[]
  /** Packages that it may import: all, none, or these. `node:` modules count as packages. */
  readonly packages: 'all' | 'none' | readonly string[]
}

const server = 'server/src'

export const rules: readonly Rule[] = [
  { folder: `${server}/domain`, may: [], packages: 'none' },
  { folder: `${server}/platform`, may: [], packages: 'all' },
  { folder: `${server}/storage`, may: [`${server}/domain`, `${server}/platform`], packages: 'all' },
  { folder: `${server}/messaging`, may: [`${server}/domain`, `${server}/platform`], packages: 'all' },
  { folder: `${server}/cache`, may: [`${server}/platform`], packages: 'all' },
  { folder: `${server}/ledger`, may: [`${server}/domain`, `${server}/storage`, `${server}/platform`], packages: 'none' },
  { folder: `${server}/gateway`, may: [`${server}/platform`, `${server}/cache`, `${server}/services/service.ts`, 'contract'], packages: 'all' },
  { folder: `${server}/inside`, may: [`${server}/platform`, `${server}/services/service.ts`, 'contract'], packages: 'all' },
  {
    folder: `${server}/services`,
    packages: 'all',
    may: [
      `${server}/domain`,
      `${server}/ledger`,
      `${server}/storage`,
      `${server}/messaging`,
      `${server}/cache`,
      `${server}/platform`,
      `${server}/services/service.ts`,
      `${server}/services/answer.ts`,
      'contract',
    ],
  },
  { folder: server, may: [server, 'contract'], packages: 'all' },
  { folder: 'contract/src', may: [], packages: ['typebox'] },
  { folder: 'sdk/src', may: [], packages: 'none' },
  { folder: 'cli/src', may: ['sdk'], packages: 'all' },
  { folder: 'bench/src', may: ['sdk'], packages: 'all' },
  { folder: 'examples', may: ['sdk'], packages: 'all' },
]

/** Workspaces by the name they are imported by. */
const workspaces: Readonly<Record<string, string>> = {
  '@holdfast/contract': 'contract',
  '@holdfast/sdk': 'sdk',
  '@holdfast/server': 'server',
  '@holdfast/cli': 'cli',
}

/** One import as it stands in a file. `typesOnly` imports are gone when the file runs. */
export type Import = { readonly from: string; readonly typesOnly: boolean }

export const importsOf = (source: string): Import[] =>
  [...source.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm)].map((match) => ({
    from: match[2] ?? match[3] ?? '',
    typesOnly: match[1] !== undefined,
  }))

/** What is wrong with an import of a file, or nothing. Both paths are from the root of the repository. */
export const violation = (file: string, { from, typesOnly }: Import): string | undefined => {
  const rule = ruleOf(file)
  if (rule === undefined) return undefined
  const isTest = file.endsWith('.test.ts')
  const target = from.startsWith('.') ? join(dirname(file), from) : workspaces[from.split('/').slice(0, 2).join('/')]
  if (target === undefined) {
    if (isTest) return undefined
    const allowed = rule.packages === 'all' || (rule.packages !== 'none' && rule.packages.some((name) => from === name || from.startsWith(`${name}/`)))
    return allowed ? undefined : `${file} imports ${from}: ${rule.folder} may import ${rule.packages === 'none' ? 'no package' : String(rule.packages)}`
  }
  if (rule.folder === 'sdk/src' && target === 'contract' && typesOnly) return undefined
  if (isTest && within(target, 'server/test')) return undefined
  // One service is a stranger to another: each has a folder of its own below services/.
  const own = rule.folder === `${server}/services` ? file.split('/').slice(0, 4).join('/') : rule.folder
  const mayReach = [own, ...rule.may].some((folder) => within(target, folder))
  return mayReach ? undefined : `${file} imports ${from}: ${own} may import ${rule.may.join(', ') || 'nothing but itself'}`
}

/** Reads all files below the root and answers what is wrong, and how much was read. */
export const checkFolders = (root: string): { files: number; imports: number; violations: string[] } => {
  let files = 0
  let imports = 0
  const violations: string[] = []
  for (const folder of new Set(rules.map((rule) => rule.folder.split('/')[0] ?? ''))) {
    for (const file of sourceFiles(join(root, folder))) {
      const path = relative(root, file)
      if (ruleOf(path) === undefined) continue
      files += 1
      for (const found of importsOf(readFileSync(file, 'utf8'))) {
        imports += 1
        const wrong = violation(path, found)
        if (wrong !== undefined) violations.push(wrong)
      }
    }
  }
  if (files === 0 || imports === 0) violations.push(`nothing was read below ${root}: ${files} files, ${imports} imports`)
  return { files, imports, violations }
}

const within = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)
const ruleOf = (file: string): Rule | undefined => rules.filter((rule) => within(file, rule.folder)).toSorted((a, b) => b.folder.length - a.folder.length)[0]

const sourceFiles = (folder: string): string[] =>
  (existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [])
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => resolve(entry.parentPath, entry.name))

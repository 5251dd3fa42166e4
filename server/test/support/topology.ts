// How the program is run for the tests that see what users see: as one process, or, with HOLDFAST_TEST_TOPOLOGY=roles, every role in a
// process of its own behind nginx. The tests are the same.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { allRoles, urlVariable, type Role } from '../../src/roles.ts'

export const isOfRoles = process.env['HOLDFAST_TEST_TOPOLOGY'] === 'roles'

/** What roles know each other by, in every test. */
export const SERVICE_KEY = 'for-tests-only-the-roles-know-each-other'

/** The roles that run, each with a port, and what each must find in its environment. */
export const rolesAt = (ports: ReadonlyMap<Role, number>): ReadonlyMap<Role, Readonly<Record<string, string>>> => {
  // A gateway answers the other roles at a port of its own, which these do not have.
  const asked = [...ports].filter(([role]) => role !== 'gateway')
  const urls = Object.fromEntries(asked.map(([role, port]) => [urlVariable(role), `http://127.0.0.1:${port}`]))
  return new Map(
    Array.from(ports, ([role, port]) => [
      role,
      { ...urls, HOLDFAST_SERVICE_KEY: SERVICE_KEY, PORT: String(port), ...(role === 'gateway' ? { HOLDFAST_TRUSTED_PROXIES: '127.0.0.1' } : {}) },
    ]),
  )
}

export const rolesToRun: readonly Role[] = allRoles

/** Servers of one database share its queues, on the broker that a file of tests has. */
export const queuesOf = (databaseUrl: string): Readonly<Record<string, string>> => ({
  HOLDFAST_AMQP_PREFIX: new URL(databaseUrl).pathname.slice(1).replaceAll('_', '-'),
})

/** nginx in front of some gateways, as deploy/nginx says, in a folder of its own and on another port. */
export const nginxFolder = (port: number, gateways: readonly number[]): { readonly args: readonly string[]; remove(): void } => {
  const folder = mkdtempSync(join(tmpdir(), `holdfast-test-nginx-${process.pid}-`))
  const deployed = readFileSync(new URL('../../../deploy/nginx/holdfast.conf', import.meta.url), 'utf8')
  const site = deployed
    .replace(/^ {4}server 127\.0\.0\.1:4000 (.*)$/m, (_line, options: string) =>
      gateways.map((gateway) => `    server 127.0.0.1:${gateway} ${options}`).join('\n'),
    )
    .replace('listen 127.0.0.1:8080;', `listen 127.0.0.1:${port};`)
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log warn;
events { worker_connections 2048; }
http { access_log off; ${scratch}
${site}}
`,
  )
  return {
    args: ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')],
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

// Asks another process how its roles do.
import { Agent, request } from 'undici'
import type { PartState } from '../service.ts'
import type { Probe } from './probe.ts'

/** @param url  of the process, without a path */
export const askOverHttp = (url: string, serviceKey: string): Probe['ask'] => {
  // A connection of its own each time: one that was kept would not tell that nobody can come in any more.
  const dispatcher = new Agent({ pipelining: 0, maxResponseSize: LONGEST_ANSWER_BYTES })
  return async (signal) => {
    const { statusCode, body } = await request(`${url}/state`, { headers: { authorization: `Bearer ${serviceKey}` }, dispatcher, signal })
    if (statusCode !== 200) {
      await body.dump()
      throw new Error(`GET /state answered ${statusCode}`)
    }
    return rolesIn(await body.json())
  }
}

/** A few roles with a sentence each. */
const LONGEST_ANSWER_BYTES = 65_536

const rolesIn = (answer: unknown): readonly (PartState & { readonly name: string })[] => {
  if (typeof answer !== 'object' || answer === null || !('roles' in answer) || !Array.isArray(answer.roles) || !answer.roles.every(isRole))
    throw new Error('what GET /state answered is no state')
  return answer.roles
}

const isRole = (role: unknown): role is PartState & { readonly name: string } =>
  typeof role === 'object' &&
  role !== null &&
  'name' in role &&
  typeof role.name === 'string' &&
  'state' in role &&
  (role.state === 'up' || role.state === 'degraded' || role.state === 'down') &&
  'why' in role &&
  (role.why === null || typeof role.why === 'string')

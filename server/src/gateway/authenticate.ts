// Who is asking: the key in the Authorization header, or the session in its cookie; never one in the other's place, nor in an address.
import type { Operation } from '@holdfast/contract'
import type { Caller } from '../services/service.ts'
import { Refused } from './problem.ts'

/** The caller behind a key, or behind the token of a session. Answers at once when it is remembered; rejects when it cannot be found out now. */
export type Identify = (key: string) => Caller | undefined | Promise<Caller | undefined>

/** The key of a request, or a refusal that says how to send one. */
export const keyIn = (authorization: string | undefined): string => {
  if (authorization === undefined) {
    throw new Refused({ code: 'unauthenticated', detail: 'No key was sent. Send Authorization: Bearer hf_…' }, { 'www-authenticate': 'Bearer' })
  }
  if (authorization.length > LONGEST_HEADER || authorization.slice(0, PREFIX.length).toLowerCase() !== PREFIX) throw wrongKey()
  return authorization.slice(PREFIX.length).trim()
}

/** Let in, or refused. An unknown, a revoked and an expired key are told the same. */
export const admitted = (caller: Caller | undefined, operation: Operation, unknown: () => Refused = wrongKey): Caller => {
  if (caller === undefined) throw unknown()
  const { scope, reach, name } = operation
  if (scope === 'person' && caller.person === undefined)
    throw new Refused({ code: 'permission_denied', detail: `${name} is for people who are signed in, not for keys.` })
  if (scope !== 'person' && scope !== 'anyone' && scope !== 'caller' && !caller.scopes.has(scope))
    throw new Refused({
      code: 'permission_denied',
      detail: `${name} needs the scope ${scope}, which ${caller.person === undefined ? 'this key' : `the role ${caller.person.role}`} does not have.`,
    })
  if (reach === 'everywhere' && caller.locations !== null)
    throw new Refused({
      code: 'permission_denied',
      detail: `${name} concerns all locations, and this caller is restricted to ${[...caller.locations].join(', ')}.`,
    })
  return caller
}

export const wrongKey = (): Refused =>
  new Refused({ code: 'unauthenticated', detail: 'The key is not known, or may no longer be used.' }, { 'www-authenticate': 'Bearer error="invalid_token"' })

export const identityAway = (): Refused => new Refused({ code: 'unavailable', detail: 'The key could not be checked just now; try again.' })

const PREFIX = 'bearer '
/** A key has at most 200 characters. */
const LONGEST_HEADER = 300

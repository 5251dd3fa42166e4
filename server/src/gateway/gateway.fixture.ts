// A gateway with stub handlers, for the tests beside it.
import { scopes, type Operation, type Scope } from '@holdfast/contract'
import { limits } from '../platform/limits.ts'
import { openLog } from '../platform/log.ts'
import { openMetrics } from '../platform/metrics.ts'
import type { Answer, Call, Caller } from '../services/service.ts'
import { exampleOf } from './example.ts'
import type { OperationInput } from './route.ts'
import { buildGateway, type Gateway, type GatewayDeps } from './server.ts'

export const KEY = 'hf_a-key-that-has-every-scope-there-is'
/** Of an administrator who is signed in. */
export const TOKEN = 'the-token-of-an-administrator'

export type Asked = { readonly operation: Operation; readonly input: OperationInput; readonly call: Call }
export type Stub = Gateway & { readonly asked: Asked[]; readonly logged: Record<string, unknown>[] }

/** Keys are `hf_…` with all scopes, or scopes joined with `+`. */
export const stubGateway = (answer: (asked: Asked) => Promise<Answer<unknown>> | Answer<unknown> = exampleAnswer, changes: Partial<GatewayDeps> = {}): Stub => {
  const asked: Asked[] = []
  const logged: Record<string, unknown>[] = []
  const gateway = buildGateway({
    dispatch: async (operation, input, call) => {
      const one = { operation, input, call }
      asked.push(one)
      return answer(one)
    },
    identify: (key): Caller | undefined => {
      if (key === KEY) return { principal: 'shop', scopes: new Set(scopes), locations: null }
      const some = key.split('+').filter((word): word is Scope => scopes.some((scope) => scope === word))
      return some.length > 0 ? { principal: 'part', scopes: new Set(some), locations: null } : undefined
    },
    identifySession: (token): Caller | undefined => {
      if (token !== TOKEN) return undefined
      const id = 'user_01jd8w2k5v7x9n3q4r6t8y0z1b'
      return { principal: id, scopes: new Set(scopes), locations: null, person: { id, session: 'sess_01jd8w2k5v7x9n3q4r6t8y0z1b', role: 'administrator' } }
    },
    log: openLog({ level: 'debug', to: { write: (line) => void logged.push(JSON.parse(line) as Record<string, unknown>) } }), // pino writes objects
    metrics: openMetrics({ process: false }),
    ready: () => true,
    limits: limits.gateway,
    ...changes,
  })
  return { ...gateway, asked, logged }
}

const exampleAnswer = ({ operation }: Asked): Answer<unknown> => ({ ok: true, body: exampleOf(operation.output), sequence: 12 })

export const headers = (more: Record<string, string> = {}): Record<string, string> => ({ authorization: `Bearer ${KEY}`, ...more })
export const HOLD = 'hold_01jd8w2k5v7x9n3q4r6t8y0z1b'
export const hold = { lines: [{ sku: 'TEA-1', quantity: 3 }] }

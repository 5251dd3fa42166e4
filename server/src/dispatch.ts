// From an operation to whoever answers it. All roles run in this process, so that is a handler of one of its services.
import type { Operation } from '@holdfast/contract'
import type { Answer, Call, Service } from './services/service.ts'

type AnyHandler = (input: unknown, call: Call) => Promise<Answer<unknown>>
export type Dispatch = (operation: Operation, input: unknown, call: Call) => Promise<Answer<unknown>>

export const dispatcher = (services: readonly Service[]): Dispatch => {
  const handlers = new Map<string, AnyHandler>()
  for (const service of services)
    for (const [resource, byName] of Object.entries(service.handlers))
      for (const [name, handler] of Object.entries(byName)) handlers.set(`${resource}.${name}`, handler as AnyHandler) // the gateway gives each what its schema says

  return (operation, input, call) => {
    const handler = handlers.get(operation.name)
    if (handler) return handler(input, call)
    return Promise.resolve({ ok: false, refusal: { code: 'unavailable', detail: `nothing that answers ${operation.name} runs here` } })
  }
}

// From an operation to whoever answers it: a handler of a service in this process, else the same call to the role that has it. One
// process and twelve differ here and nowhere else.
import type { Operation } from '@holdfast/contract'
import type { Answer, Call, Service } from './services/service.ts'

type AnyHandler = (input: unknown, call: Call) => Promise<Answer<unknown>>
export type Dispatch = (operation: Operation, input: unknown, call: Call) => Promise<Answer<unknown>>

export type Dispatcher = {
  readonly dispatch: Dispatch
  /** The handler of an operation that is answered in this process. */
  readonly handlerOf: (operation: Operation) => AnyHandler | undefined
}

export type DispatcherDeps = {
  /** Those that run here. */
  readonly services: readonly Service[]
  /** Asks a role that runs elsewhere; undefined where it is not known. */
  readonly elsewhere?: (role: Operation['service']) => Dispatch | undefined
}

export const dispatcher = ({ services, elsewhere = () => undefined }: DispatcherDeps): Dispatcher => {
  const handlers = new Map<string, AnyHandler>()
  for (const service of services)
    for (const [resource, byName] of Object.entries(service.handlers))
      for (const [name, handler] of Object.entries(byName)) handlers.set(`${resource}.${name}`, handler as AnyHandler) // the gateway gives each what its schema says

  return {
    handlerOf: ({ name }) => handlers.get(name),
    dispatch: (operation, input, call) => {
      const handler = handlers.get(operation.name)
      if (handler) return handler(input, call)
      const ask = elsewhere(operation.service)
      if (ask) return ask(operation, input, call)
      return Promise.resolve({ ok: false, refusal: { code: 'unavailable', detail: `nothing that answers ${operation.name} runs here` } })
    },
  }
}

// Hashing a password takes a third of a tenth of a second of a whole core, and 19 MiB. So it is done by few at a time, a short
// queue waits, and whoever comes after that is told to come back: signing in cannot be used to stop everything else.
import { hashPassword, isPassword, nobodysHash } from './password.ts'

export type PasswordGate = {
  hash(password: string): Promise<string | Busy>
  /** With `undefined` for the hash of nobody, it takes as long as with one, and answers no. */
  check(password: string, phc: string | undefined): Promise<boolean | Busy>
}
/** Too many wait already. */
export const busy = Symbol('busy')
export type Busy = typeof busy

/** @param hashing  tests count what is hashed */
export const passwordGate = ({
  limits,
  hashing = { hashPassword, isPassword },
}: {
  readonly limits: { readonly hashesAtOnce: number; readonly hashesWaiting: number }
  readonly hashing?: { readonly hashPassword: typeof hashPassword; readonly isPassword: typeof isPassword }
}): PasswordGate => {
  let under = 0
  const waiting: (() => void)[] = []
  const nobodys = nobodysHash()

  const through = async <Result>(work: () => Promise<Result>): Promise<Result | Busy> => {
    if (under >= limits.hashesAtOnce) {
      if (waiting.length >= limits.hashesWaiting) return busy
      // Whoever is done hands its place on, so that nobody who comes later takes it.
      await new Promise<void>((resolve) => void waiting.push(resolve))
    } else under += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else under -= 1
    }
  }

  return {
    hash: (password) => through(() => hashing.hashPassword(password)),
    check: (password, phc) =>
      through(async () => {
        const isRight = await hashing.isPassword(password, phc ?? nobodys)
        return isRight && phc !== undefined
      }),
  }
}

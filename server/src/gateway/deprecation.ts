// An operation that will go says so with every answer: since when, until when, and what comes after it (RFC 9745, RFC 8594).
import type { Operation } from '@holdfast/contract'

/** The headers of every answer of the operation; nothing for one that stays. */
export const deprecationHeaders = ({ deprecated }: Operation): Readonly<Record<string, string>> | undefined => {
  if (deprecated === undefined) return undefined
  const { since, sunset, successor } = deprecated
  return Object.freeze({
    deprecation: `@${Math.floor(instantOf(since) / 1_000)}`,
    ...(sunset === undefined ? {} : { sunset: new Date(instantOf(sunset)).toUTCString() }),
    ...(successor === undefined ? {} : { link: `<${successor}>; rel="successor-version"` }),
  })
}

const instantOf = (written: string): number => {
  const at = Date.parse(written)
  // Found when the routes are made: a wrong table does not start.
  if (Number.isNaN(at)) throw new Error(`${written} in the table of operations is no instant`)
  return at
}

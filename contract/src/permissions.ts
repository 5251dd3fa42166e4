// Who may do what: the scopes that operations ask for, and the roles of people, each a set of scopes. This is the one table of permissions.

export const scopes = [
  'items:read',
  'items:write',
  'availability:read',
  'stock:read',
  'stock:adjust',
  'stock:approve',
  'holds:read',
  'holds:write',
  'webhooks:manage',
  'messages:manage',
  'users:manage',
  'keys:manage',
  'audit:read',
  'status:read',
] as const
export type Scope = (typeof scopes)[number]

const viewer = ['items:read', 'availability:read', 'stock:read', 'holds:read', 'status:read'] as const
const operator = [...viewer, 'stock:adjust', 'holds:write'] as const
const manager = [...operator, 'items:write', 'stock:approve', 'webhooks:manage', 'messages:manage'] as const

/** What a person may do by their role. */
export const roleScopes = {
  /** Buys: sees what there is to buy. */
  shopper: ['items:read', 'availability:read'],
  /** Looks at stock. */
  viewer,
  /** Works in a warehouse: receives, counts, moves, ships. */
  operator,
  /** Answers for a warehouse: the catalogue, approvals, and what other systems are told and ask for. */
  manager,
  /** Reads everything, changes nothing. */
  auditor: [...viewer, 'audit:read'],
  /** May do everything, and decides who else may. */
  administrator: scopes,
} as const satisfies Record<string, readonly Scope[]>

export type Role = keyof typeof roleScopes
export const roles = Object.keys(roleScopes) as Role[] // the keys of a constant

/** Whoever has the first may also do what the second is for. */
const includes: Readonly<Partial<Record<Scope, readonly Scope[]>>> = { 'stock:read': ['availability:read'] }

/** Scopes with those that they include, in the order of the table. */
export const withIncluded = (given: readonly string[]): Scope[] => {
  const all = new Set<string>(given)
  for (const scope of scopes) if (all.has(scope)) for (const included of includes[scope] ?? []) all.add(included)
  return scopes.filter((scope) => all.has(scope))
}

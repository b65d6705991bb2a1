// A token of the admin API, and its scopes.

export type Scope = 'read' | 'purge' | 'sessions' | 'admin'

export interface AdminToken {
  /** The name of the token in the log. */
  readonly name: string
  readonly token: string
  readonly scopes: readonly Scope[]
}

/** `admin` may be given by name, or by all other scopes. */
export function allows({ scopes }: AdminToken, scope: Scope): boolean {
  return scopes.includes(scope) || (scope === 'admin' && (['read', 'purge', 'sessions'] as const).every((each) => scopes.includes(each)))
}

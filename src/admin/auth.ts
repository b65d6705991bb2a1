// Who may ask for what: bearer tokens and their scopes (RFC 6750).
import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { AdminProblem } from './problems.ts'

export type Scope = 'read' | 'purge' | 'sessions'

export interface AdminToken {
  /** What the log calls whoever used it. */
  readonly name: string
  readonly token: string
  readonly scopes: readonly Scope[]
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The scope that a route of the admin listener needs; `any`: a token, whatever its scopes; `open`: no token at all. */
    scope?: Scope | 'any' | 'open'
  }
  interface FastifyRequest {
    /** Name of the token that the request came with; empty on open routes. */
    tokenName: string
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Makes the look-up of a presented token among those of now: it is made anew when there are others. */
function currentFinder(parts: { readonly tokens: readonly AdminToken[] }): (presented: string) => AdminToken | undefined {
  let { tokens } = parts
  let find = tokenFinder(tokens)
  return (presented) => {
    if (parts.tokens !== tokens) {
      tokens = parts.tokens
      find = tokenFinder(tokens)
    }
    return find(presented)
  }
}

function tokenFinder(tokens: readonly AdminToken[]): (presented: string) => AdminToken | undefined {
  const known = tokens.map((token) => ({ token, hash: digest(token.token) }))
  return (presented) => {
    // Equal-length hashes, every one compared, no early exit: the time taken tells neither which token nor how much of it was right.
    const hash = digest(presented)
    let found: AdminToken | undefined
    for (const candidate of known) {
      if (timingSafeEqual(hash, candidate.hash)) found = candidate.token
    }
    return found
  }
}

/**
 * Asks every request for a token with the scope that its route names, before its body is read. `parts.tokens` is looked at
 * for each request: a token that is not in it any more is refused on connections that are open, too. A path that is no
 * route asks for any valid token, so that a stranger does not learn which paths exist.
 */
export function requireTokens(app: FastifyInstance, parts: { readonly tokens: readonly AdminToken[] }): void {
  const find = currentFinder(parts)
  app.decorateRequest('tokenName', '')

  app.addHook('onRoute', (route) => {
    // Fails at start, not open: a new route cannot forget to say who may use it.
    if (route.config?.scope === undefined) throw new Error(`the route ${route.url} names no scope`)
  })

  app.addHook('onRequest', async (request) => {
    const scope = request.routeOptions.config.scope ?? 'any'
    if (scope === 'open') return
    const presented = /^bearer +([^\s]+) *$/i.exec(request.headers.authorization ?? '')?.[1]
    if (presented === undefined) throw new AdminProblem('UNAUTHENTICATED', {}, { 'www-authenticate': 'Bearer realm="springhouse"' })
    const token = find(presented)
    // RFC 6750 §3.1: which of the two it was, in words that a client library knows.
    if (token === undefined) {
      throw new AdminProblem('UNAUTHENTICATED', {}, { 'www-authenticate': 'Bearer realm="springhouse", error="invalid_token"' })
    }
    if (scope !== 'any' && !token.scopes.includes(scope)) {
      throw new AdminProblem('FORBIDDEN', { scope }, { 'www-authenticate': `Bearer realm="springhouse", error="insufficient_scope", scope="${scope}"` })
    }
    request.tokenName = token.name
  })
}

// Access control of the admin API: bearer tokens and their scopes (RFC 6750).
import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Clock } from '../clock.ts'
import { AdminProblem } from './problems.ts'
import { Refusals } from './refusals.ts'

export type Scope = 'read' | 'purge' | 'sessions' | 'admin'

export interface AdminToken {
  /** The name of the token in the log. */
  readonly name: string
  readonly token: string
  readonly scopes: readonly Scope[]
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The scope that a route of the admin listener needs. `any`: any valid token. `open`: no token. */
    scope?: Scope | 'any' | 'open'
    /** True if the handler gets the text of the JSON body (`JsonText`): values would round its big integers. */
    keepsJsonText?: boolean
  }
  interface FastifyRequest {
    /** The name of the request's token; empty on open routes. */
    tokenName: string
  }
}

/** `admin` may be given by name, or by all other scopes. */
function allows({ scopes }: AdminToken, scope: Scope): boolean {
  return scopes.includes(scope) || (scope === 'admin' && (['read', 'purge', 'sessions'] as const).every((each) => scopes.includes(each)))
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Returns a lookup among the current tokens. It is rebuilt when the tokens change. */
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
    // Compares hashes of equal length with every token, without an early exit. So the time reveals neither which token matched nor
    // how much of it.
    const hash = digest(presented)
    let found: AdminToken | undefined
    for (const candidate of known) {
      if (timingSafeEqual(hash, candidate.hash)) found = candidate.token
    }
    return found
  }
}

/**
 * Requires a token with the route's scope from every request, before its body is read. `parts.tokens` is read for each request,
 * so a removed token is refused on open connections too. A path without a route needs any valid token, so that a client without
 * one does not learn which paths exist. Refused tokens are logged, without the token, and limited for each address.
 */
export function requireTokens(app: FastifyInstance, parts: { readonly tokens: readonly AdminToken[]; readonly clock: Clock; readonly logger: FastifyBaseLogger }): void {
  const find = currentFinder(parts)
  const refusals = new Refusals(parts.clock, parts.logger)
  app.decorateRequest('tokenName', '')

  app.addHook('onRoute', (route) => {
    // Fails the start, so that a new route without a scope is never open.
    if (route.config?.scope === undefined) throw new Error(`the route ${route.url} names no scope`)
  })

  app.addHook('onRequest', async (request) => {
    const scope = request.routeOptions.config.scope ?? 'any'
    if (scope === 'open') return
    const presented = /^bearer +([^\s]+) *$/i.exec(request.headers.authorization ?? '')?.[1]
    if (presented === undefined) throw new AdminProblem('UNAUTHENTICATED', {}, { 'www-authenticate': 'Bearer realm="springhouse"' })
    const token = find(presented)
    const address = request.socket.remoteAddress ?? ''
    const waitS = refusals.waitOf(address, token?.name)
    if (waitS !== undefined) throw new AdminProblem('ADMIN_THROTTLED', {}, { 'retry-after': String(waitS) })
    // RFC 6750 §3.1: error codes that client libraries know.
    if (token === undefined) {
      refusals.refused(address)
      throw new AdminProblem('UNAUTHENTICATED', {}, { 'www-authenticate': 'Bearer realm="springhouse", error="invalid_token"' })
    }
    if (scope !== 'any' && !allows(token, scope)) {
      refusals.outOfScope(address, token.name, scope)
      throw new AdminProblem('FORBIDDEN', { scope }, { 'www-authenticate': `Bearer realm="springhouse", error="insufficient_scope", scope="${scope}"` })
    }
    refusals.accepted(address, token.name)
    request.tokenName = token.name
  })
}

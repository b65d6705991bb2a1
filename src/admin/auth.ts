// Access control of the admin API: bearer tokens (RFC 6750) or the cookie of a login, and the scopes of the token.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { equal, LoginCookies, setCookieLine, type Login } from './login-cookie.ts'
import { AdminProblem } from './problems.ts'
import { Refusals } from './refusals.ts'
import { allows, type AdminToken, type Scope } from './token.ts'

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

/** The parts by which requests are let in. A reload replaces `tokens`. */
export interface AccessParts {
  readonly tokens: readonly AdminToken[]
  readonly clock: Clock
  readonly logger: FastifyBaseLogger
  /** Failed logins of an address within a minute, after which its logins get 429. */
  readonly loginsPerMinute: number
}

/** The token of a request, and the login that its cookie proves; undefined if it was sent as a bearer token. */
export interface Credentials {
  readonly token: AdminToken
  readonly login: Login | undefined
}

const challenge = 'Bearer realm="springhouse"'
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Finds the token of each request, and counts those that are refused. */
export class AccessControl {
  readonly cookies = new LoginCookies()
  readonly #parts: AccessParts
  readonly #find: (presented: string) => AdminToken | undefined
  readonly #refusals: Refusals
  /** Apart from those of bearer tokens: failed logins never slow a program down. */
  readonly #logins: Refusals
  readonly #credentials = new WeakMap<FastifyRequest, Credentials>()

  constructor(parts: AccessParts) {
    this.#parts = parts
    this.#find = currentFinder(parts)
    this.#refusals = new Refusals(parts.clock, parts.logger)
    this.#logins = new Refusals(parts.clock, parts.logger, { most: parts.loginsPerMinute, what: 'logins with an admin token', further: 'logins' })
  }

  /** Returns the credentials with which a request was let in. @throws Error on an open route */
  credentialsOf(request: FastifyRequest): Credentials {
    const credentials = this.#credentials.get(request)
    if (credentials === undefined) throw new Error('an open route has no credentials')
    return credentials
  }

  /** Lets a request in by its token and the scope, or throws the refusal. */
  admit(request: FastifyRequest, scope: Scope | 'any'): void {
    const presented = /^bearer +([^\s]+) *$/i.exec(request.headers.authorization ?? '')?.[1]
    const credentials = presented === undefined ? this.#byCookie(request) : { token: this.#byBearer(request, presented), login: undefined }
    const { token } = credentials
    request.tokenName = token.name
    if (scope !== 'any') this.#requireScope(request, token, scope)
    if (credentials.login === undefined) this.#refusals.accepted(addressOf(request), token.name)
    this.#credentials.set(request, credentials)
  }

  /** Requires a further scope of a request that was let in. @throws AdminProblem 403 */
  require(request: FastifyRequest, scope: Scope): void {
    this.#requireScope(request, this.credentialsOf(request).token, scope)
  }

  /** Requires one of several scopes of a request that was let in. @throws AdminProblem 403 */
  requireOneOf(request: FastifyRequest, scopes: readonly [Scope, ...Scope[]]): void {
    const { token } = this.credentialsOf(request)
    if (!scopes.some(scope => allows(token, scope))) this.#requireScope(request, token, scopes[0])
  }

  #requireScope(request: FastifyRequest, token: AdminToken, scope: Scope): void {
    if (allows(token, scope)) return
    this.#refusals.outOfScope(addressOf(request), token.name, scope)
    // RFC 6750 §3.1: error codes that client libraries know.
    throw new AdminProblem('FORBIDDEN', { scope }, { 'www-authenticate': `${challenge}, error="insufficient_scope", scope="${scope}"` })
  }

  /** Returns the token of a login. @throws AdminProblem 401; 429 after too many that failed */
  logIn(request: FastifyRequest, presented: string): AdminToken {
    const address = addressOf(request)
    const waitS = this.#logins.waitOf(address, undefined)
    if (waitS !== undefined) throw throttled(waitS)
    const token = this.#find(presented)
    if (token === undefined) {
      this.#logins.refused(address)
      throw new AdminProblem('UNAUTHENTICATED', {}, { 'www-authenticate': challenge })
    }
    this.#logins.accepted(address, token.name)
    request.tokenName = token.name
    return token
  }

  #byBearer(request: FastifyRequest, presented: string): AdminToken {
    const token = this.#find(presented)
    const address = addressOf(request)
    const waitS = this.#refusals.waitOf(address, token?.name)
    if (waitS !== undefined) throw throttled(waitS)
    if (token !== undefined) return token
    this.#refusals.refused(address)
    throw new AdminProblem('UNAUTHENTICATED', {}, { 'www-authenticate': `${challenge}, error="invalid_token"` })
  }

  #byCookie(request: FastifyRequest): Credentials {
    const { clock, tokens } = this.#parts
    const login = this.cookies.read(request.headers.cookie, tokens, clock.now())
    if (login === 'none') throw new AdminProblem('UNAUTHENTICATED', {}, { 'www-authenticate': challenge })
    const address = addressOf(request)
    // A forged cookie is a guess of the token that would have signed it.
    const waitS = this.#logins.waitOf(address, typeof login === 'string' ? undefined : login.token.name)
    if (waitS !== undefined && login !== 'ended') throw throttled(waitS)
    if (login === 'forged') this.#logins.refused(address)
    // Takes the cookie back, so that a page which polls does not go on with it.
    if (typeof login === 'string') throw new AdminProblem('UNAUTHENTICATED', {}, { 'www-authenticate': challenge, 'set-cookie': setCookieLine('', 0, false) })
    this.#logins.accepted(address, login.token.name)
    request.tokenName = login.token.name
    refuseForeign(request, login)
    return { token: login.token, login }
  }
}

/**
 * Refuses requests that another page of the same host can make a browser send: SameSite ignores ports. The listener's own page reads the
 * CSRF token from the login, which no other page can.
 */
function refuseForeign(request: FastifyRequest, { csrf }: Login): void {
  const site = request.headers['sec-fetch-site']
  if (site === 'cross-site' || site === 'same-site') throw new AdminProblem('FOREIGN_ORIGIN')
  if (safeMethods.has(request.method)) return
  const given = request.headers['x-csrf-token']
  if (typeof given !== 'string' || !equal(given, csrf)) throw new AdminProblem('CSRF_REFUSED', { detail: 'Send X-CSRF-Token with the value of csrf from /v1/login.' })
}

function throttled(waitS: number): AdminProblem {
  return new AdminProblem('ADMIN_THROTTLED', {}, { 'retry-after': String(waitS) })
}

function addressOf(request: FastifyRequest): string {
  return request.socket.remoteAddress ?? ''
}

/**
 * Requires a token with the route's scope from every request, before its body is read. `parts.tokens` is read for each request,
 * so a removed token is refused on open connections too, and so are its logins. A path without a route needs any valid token, so that a
 * client without one does not learn which paths exist. Refused tokens are logged, without the token, and limited for each address.
 */
export function requireTokens(app: FastifyInstance, parts: AccessParts): AccessControl {
  const access = new AccessControl(parts)
  app.decorateRequest('tokenName', '')

  app.addHook('onRoute', (route) => {
    // Fails the start, so that a new route without a scope is never open.
    if (route.config?.scope === undefined) throw new Error(`the route ${route.url} names no scope`)
  })

  app.addHook('onRequest', async (request) => {
    const scope = request.routeOptions.config.scope ?? 'any'
    if (scope !== 'open') access.admit(request, scope)
  })
  return access
}

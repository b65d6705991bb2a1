// Identifies requests: cross-site requests are refused, credentials are taken out, and the source that a request presents is read.
import type { Clock } from '../clock.ts'
import { SpringhouseError } from '../errors.ts'
import type { ClientExchange, RoutedExchange } from '../exchange/client/exchange.ts'
import type { Identities } from '../exchange/client/identities.ts'
import { provenanceLines } from '../forwarding/trusted-fields.ts'
import { dashed } from '../forwarding/untrusted-fields.ts'
import { fieldLines, fieldValue } from '../http/fields.ts'
import { asVisitor, isUnsafe } from '../policy/identity.ts'
import { applyIdentity } from './applied.ts'
import { BySession } from './by-session.ts'
import { ByToken } from './by-token.ts'
import type { TokenCounters } from './counters.ts'
import { isCrossSite } from './csrf.ts'
import type { Tokens } from './jwt/tokens.ts'
import type { SessionParts } from './parts.ts'
import type { SenderParts } from './sender.ts'
import { sessionSource, UnidentifiedExchange } from './session-exchange.ts'
import { authorizationLines, takeCredentials, type Credentials } from './transport.ts'

export interface IdentitiesParts extends SenderParts {
  /** undefined: sessions are off. */
  readonly sessions: SessionParts | undefined
  /** The bearer tokens of providers; undefined: none is configured. */
  readonly tokens: { readonly verifier: Tokens; readonly counters: TokenCounters } | undefined
  readonly clock: Clock
}

export class RequestIdentities implements Identities {
  readonly #sessions: SessionParts | undefined
  readonly #bySession: BySession | undefined
  readonly #byToken: ByToken | undefined
  readonly #plainNames: ReadonlySet<string>
  readonly #unidentified: UnidentifiedExchange | undefined

  constructor({ sessions, tokens, field, headers, clock }: IdentitiesParts) {
    this.#sessions = sessions
    this.#bySession = sessions && new BySession(sessions)
    this.#byToken = tokens && new ByToken({ ...tokens, sessions, field, headers, clock })
    this.#plainNames = new Set(headers.map(([name]) => dashed(name)))
    this.#unidentified = sessions && new UnidentifiedExchange(sessions.cookie.name)
  }

  identify(exchange: RoutedExchange): Promise<void> | undefined {
    const { rawHeaders } = exchange.head
    const rules = exchange.routed.route.identity
    const credentials = takeCredentials(rawHeaders, this.#sessions?.cookie.name, this.#withheld)
    if (rules === undefined) {
      exchange.identified = this.#unidentified
      if (credentials.others !== undefined) applyIdentity(exchange, { raw: credentials.others, sharing: asVisitor, sent: () => [] })
      return undefined
    }
    const withSession = rules.sources.includes(sessionSource)
    const withTokens = rules.sources.length > (withSession ? 1 : 0)
    const authorization = withTokens ? authorizationLines(credentials.others ?? rawHeaders) : []
    if (withSession && this.#sessions !== undefined) this.#refuseCrossSite(this.#sessions, exchange, credentials, authorization)
    // Two ways at once may name two users, so then the request names none.
    if (this.#byToken !== undefined && withTokens && (authorization.length > 0 || !withSession)) {
      return this.#byToken.identify(exchange, rules, credentials, authorization)
    }
    return this.#bySession?.identify(exchange, rules, credentials)
  }

  /** True for a field that no client may send: one that carries a member of the identity to the origin. */
  readonly #withheld = (name: string): boolean => this.#plainNames.size > 0 && this.#plainNames.has(dashed(name.toLowerCase()))

  #refuseCrossSite({ csrf, counters }: SessionParts, { routed, head }: RoutedExchange, { cookies, bearers }: Credentials, authorization: readonly string[]): void {
    if (csrf.mode === 'off' || (!isUnsafe(routed.request.method) && !routed.request.hasUpgrade)) return
    // No page of another site can add a token to a request of its own accord.
    if (cookies.length === 0 && (bearers.length > 0 || authorization.some(isBearer))) return
    if (!isCrossSite(fieldLines(head.rawHeaders), { authority: routed.request.authority, publicHosts: routed.publicHosts }, csrf.trustedOrigins)) return
    counters.csrfRefused++
    if (csrf.mode === 'enforce') throw new SpringhouseError('CSRF_REFUSED')
  }
}

function isBearer(value: string): boolean {
  return /^bearer[ \t]/i.test(value)
}

/** The client's address: the peer's, or the one that a trusted peer reports. For IPv6 its network: a client has all addresses of one. */
export function addressOf({ head, context, routed }: ClientExchange): string {
  const address = context.trusted ? fieldValue(provenanceLines(head.rawHeaders, context, routed?.request.authority), 'x-real-ip') ?? context.address : context.address
  if (!address.includes(':')) return address
  const [front = '', back] = address.split('::')
  const groups = front.split(':')
  const last = back === undefined || back === '' ? [] : back.split(':')
  return [...groups, ...Array.from({ length: Math.max(0, 8 - groups.length - last.length) }, () => '0'), ...last].slice(0, 4).join(':')
}

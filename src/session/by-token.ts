// Identifies a request by the bearer token (RFC 6750) of a provider.
import { SpringhouseError } from '../errors.ts'
import type { RoutedExchange } from '../exchange/client/exchange.ts'
import { asVisitor, sharingOf, type IdentityRules, type Sharing } from '../policy/identity.ts'
import { applyIdentity, isPreflight, withoutAuthorization } from './applied.ts'
import { VerifiedToken, type TokenFault, type Verification } from './jwt/provider.ts'
import type { Tokens } from './jwt/tokens.ts'
import { isBlind } from './sender.ts'
import { sessionSource } from './session-exchange.ts'
import { TokenExchange, type TokenExchangeParts, type TokenFound } from './token-exchange.ts'
import type { Credentials } from './transport.ts'

export interface ByTokenParts extends TokenExchangeParts {
  readonly verifier: Tokens
}

/** How a request presents a token. `foreign`: by something else in Authorization, which the origin may understand. */
type Presented = Verification | 'none' | 'foreign' | 'duplicate' | 'ambiguous'

const bearer = /^bearer[ \t]+(.+)$/is

export class ByToken {
  readonly #parts: ByTokenParts

  constructor(parts: ByTokenParts) {
    this.#parts = parts
  }

  /**
   * Identifies a request by its values of Authorization. Synchronous if its token was verified before, or it has none.
   * @throws SpringhouseError if the request is refused. May reject with it.
   */
  identify(exchange: RoutedExchange, rules: IdentityRules, credentials: Credentials, authorization: readonly string[]): Promise<void> | undefined {
    const presented = this.#present(rules, credentials, authorization)
    if (presented instanceof Promise) return presented.then(verification => this.#settle(exchange, rules, credentials, verification))
    this.#settle(exchange, rules, credentials, presented)
    return undefined
  }

  #present({ sources }: IdentityRules, { cookies, bearers }: Credentials, authorization: readonly string[]): Presented | Promise<Verification> {
    if (authorization.length === 0) return 'none'
    if (sources.includes(sessionSource) && cookies.length + bearers.length > 0) return 'ambiguous'
    if (authorization.length > 1) return 'duplicate'
    const token = bearer.exec(authorization[0] as string)?.[1]
    return token === undefined ? 'foreign' : this.#parts.verifier.verify(token, sources)
  }

  #settle(exchange: RoutedExchange, rules: IdentityRules, credentials: Credentials, presented: Presented): void {
    const token = presented instanceof VerifiedToken ? presented : undefined
    if (rules.required && token?.user === undefined && !isPreflight(exchange)) throw refusal(token === undefined ? presented as Exclude<Presented, VerifiedToken> : 'no-user')
    const found: TokenFound = { outcome: outcomeOf(presented), token, sharing: sharingBy(presented, rules) }
    const identified = new TokenExchange(this.#parts, exchange, rules, found)
    // A missing key refuses the request before anything waits for it. The field is signed when an origin needs it.
    if (token !== undefined) this.#parts.field.mustBeReady()
    exchange.identified = identified
    if (presented === 'none' && credentials.others === undefined) return
    const raw = credentials.others ?? exchange.head.rawHeaders
    // A bound token says nothing without its proof, which the origin checks.
    const withheld = presented === 'ambiguous' || presented === 'duplicate' || (token !== undefined && !token.isBound && isBlind(exchange, rules))
    applyIdentity(exchange, { raw: withheld ? withoutAuthorization(raw) : raw, sharing: found.sharing, sent: identified.sent })
  }
}

function sharingBy(presented: Presented, rules: IdentityRules): Sharing {
  if (presented instanceof VerifiedToken && !presented.isBound) return presented.sharing(rules)
  if (presented === 'none') return asVisitor
  return presented === 'ambiguous' || presented === 'duplicate' ? ofNobody : unverified
}

const ofNobody = sharingOf({ kind: 'unrecognised', reason: 'identity' }, { facets: [], forward: 'facets' })
const unverified = sharingOf({ kind: 'unrecognised', reason: 'unverified' }, { facets: [], forward: 'facets' })

function outcomeOf(presented: Presented): TokenFound['outcome'] {
  if (presented instanceof VerifiedToken) return presented.isBound ? 'bound' : 'verified'
  switch (presented) {
    case 'none':
    case 'duplicate':
    case 'ambiguous':
    case 'unavailable':
      return presented
    default:
      return 'unverified'
  }
}

function refusal(presented: TokenFault | 'none' | 'foreign' | 'duplicate' | 'ambiguous' | 'no-user'): SpringhouseError {
  switch (presented) {
    case 'none':
    case 'foreign':
    case 'no-user':
      return new SpringhouseError('SESSION_REQUIRED')
    case 'unavailable':
      return new SpringhouseError('SESSION_UNAVAILABLE', { detail: 'the keys of the provider could not be read' })
    default:
      return new SpringhouseError('TOKEN_INVALID', { detail: presented })
  }
}

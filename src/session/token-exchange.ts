// An exchange on a route with bearer tokens: what its origin receives of the token, and what its client receives.
import type { Clock } from '../clock.ts'
import { SpringhouseError } from '../errors.ts'
import type { RoutedExchange } from '../exchange/client/exchange.ts'
import type { Identified, ResponseAt } from '../exchange/client/identity.ts'
import { fieldLineValues, type FieldLines } from '../http/fields.ts'
import { isEventStream } from '../http/media-type.ts'
import type { IdentityRules, Sharing } from '../policy/identity.ts'
import { instructionField } from '../policy/storable.ts'
import type { TokenCounters } from './counters.ts'
import { cutAt } from './expiry.ts'
import type { VerifiedToken } from './jwt/provider.ts'
import type { SessionParts } from './parts.ts'
import { isRead, senderLines, type Sender, type SenderParts } from './sender.ts'
import { sessionSource, SessionExchange } from './session-exchange.ts'
import { privateFields, varyingFields, withoutForeignCookies } from './transport.ts'

/** The result of identifying a request by its bearer token. `bound`: it needs a proof, which the origin checks. */
export interface TokenFound {
  readonly outcome: 'none' | 'verified' | 'bound' | 'unverified' | 'duplicate' | 'ambiguous' | 'unavailable'
  readonly token: VerifiedToken | undefined
  readonly sharing: Sharing
}

export interface TokenExchangeParts extends SenderParts {
  readonly clock: Clock
  readonly counters: TokenCounters
  /** undefined: sessions are off. */
  readonly sessions: SessionParts | undefined
}

/** The field by which clients present a token. */
const presenting: readonly string[] = ['Authorization']

export class TokenExchange implements Identified {
  readonly mayRepeat = false
  readonly #parts: TokenExchangeParts
  readonly #exchange: RoutedExchange
  readonly #rules: IdentityRules
  readonly #found: TokenFound
  /** The session that the response begins. */
  #login: SessionExchange | undefined

  constructor(parts: TokenExchangeParts, exchange: RoutedExchange, rules: IdentityRules, found: TokenFound) {
    this.#parts = parts
    this.#exchange = exchange
    this.#rules = rules
    this.#found = found
  }

  get outcome(): TokenFound['outcome'] {
    return this.#found.outcome
  }

  needsPosition(): boolean {
    return false
  }

  /** The lines that the origin receives. @throws SpringhouseError SESSION_UNAVAILABLE */
  readonly sent = (): FieldLines => {
    const { outcome, token, sharing } = this.#found
    if (outcome === 'unavailable') return ['springhouse-session-unavailable', '?1']
    return token === undefined || outcome === 'bound' ? [] : senderLines(this.#parts, this.#exchange, this.#rules, sharing, senderOf(token))
  }

  /** A response may log the user of a token in: the client changes over to a session. Nothing else here has a session to change. */
  onResponse(response: ResponseAt): Promise<'done' | 'again'> | undefined {
    const lines = fieldLineValues(response.fields, instructionField)
    if (lines.length === 0) return undefined
    const { sessions } = this.#parts
    const { token, sharing } = this.#found
    if (sessions === undefined || !this.#rules.sources.includes(sessionSource)) return refused('the route has no sessions (identity.sources)')
    if (this.#rules.facets.length > 0 && token !== undefined && isRead(this.#exchange)) return refused('the response is for all with equal facets')
    this.#login = new SessionExchange(sessions, this.#exchange, this.#rules, { outcome: 'none', record: undefined, by: undefined, sharing, onlyLogin: true })
    return this.#login.onResponse(response)
  }

  watchStream(cut: () => void): (() => void) | undefined {
    const { token } = this.#found
    const { clock, counters } = this.#parts
    return token && cutAt(token.endsMs, clock, () => {
      counters.streamsCut++
      cut()
    })
  }

  clientFields(fields: string[]): string[] {
    if (isEventStream(fields)) this.#cutWhenEnded()
    if (this.#login !== undefined) return this.#login.clientFields(fields)
    const { sessions } = this.#parts
    const own = sessions === undefined ? fields : withoutForeignCookies(fields, sessions.cookie.name)
    return this.#found.sharing.visitor ? varyingFields(own, presenting) : privateFields(own)
  }

  /** An event stream is about to begin. */
  #cutWhenEnded(): void {
    const { response } = this.#exchange
    const unwatch = this.watchStream(() => response.cut())
    if (unwatch !== undefined) response.onClose(unwatch)
  }
}

function senderOf(token: VerifiedToken): Sender {
  return {
    source: token.source,
    value: name => token.value(name),
    field: (field, audience) => field.ofToken({ source: token.source, user: token.user, authTime: token.authTime, data: token.dataText, endsMs: token.endsMs }, audience),
  }
}

function refused(detail: string): Promise<never> {
  return Promise.reject(new SpringhouseError('SESSION_INSTRUCTION_INVALID', { detail }))
}

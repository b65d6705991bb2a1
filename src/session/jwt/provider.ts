// An identity provider: verifies its tokens by the rules of RFC 8725, with jose for signatures and times.
import type { CryptoKey, JWTVerifyOptions } from 'jose'
import type { Clock } from '../../clock.ts'
import type { FacetText } from '../../policy/facets.ts'
import { sharingOf, type IdentityRules, type Sharing } from '../../policy/identity.ts'
import type { JsonObject } from '../json.ts'
import { claimText, numberOf, stringOf, type DecodedToken } from './claims.ts'
import type { Jose } from './jose.ts'
import type { ProviderKeys } from './provider-keys.ts'

export interface ProviderSettings {
  readonly name: string
  readonly issuer: string
  readonly audience: readonly string[]
  readonly algorithms: readonly string[]
  /** The place of the claim that each facet reads. */
  readonly claims: Readonly<Record<string, string>>
  readonly leewayMs: number
}

/** Why a token is not accepted. `key`: no key of the provider fits. `unavailable`: its keys could not be read. */
export const tokenFaults = ['malformed', 'algorithm', 'critical', 'key', 'signature', 'issuer', 'audience', 'expired', 'not-yet-valid', 'unavailable'] as const
export type TokenFault = typeof tokenFaults[number]

export type Verification = VerifiedToken | TokenFault

/** A token whose signature, issuer, audience and times are right. */
export class VerifiedToken {
  /** The name of its provider. */
  readonly source: string
  /** When it ends, in milliseconds since the epoch. */
  readonly expMs: number
  readonly #notBeforeMs: number
  readonly #leewayMs: number
  readonly #claims: JsonObject
  readonly #places: Readonly<Record<string, string>>
  #data: string | undefined
  #shared: { readonly rules: IdentityRules; readonly sharing: Sharing } | undefined

  constructor(claims: JsonObject, expSeconds: number, { name, claims: places, leewayMs }: ProviderSettings) {
    this.source = name
    this.expMs = expSeconds * 1000
    this.#notBeforeMs = (numberOf(claims, 'nbf') ?? -Infinity) * 1000
    this.#leewayMs = leewayMs
    this.#claims = claims
    this.#places = places
  }

  /** True while it may be used without another verification: never past `exp`. */
  isFresh(nowMs: number): boolean {
    return nowMs < this.expMs && nowMs >= this.#notBeforeMs - this.#leewayMs
  }

  /** When a stream that began with it is closed: `exp`, and the difference that clocks may have. */
  get endsMs(): number {
    return this.expMs + this.#leewayMs
  }

  /** True if only the holder of another key may use it (RFC 7800 §3), of which this proxy sees no proof. */
  get isBound(): boolean {
    return this.#claims.members.has('cnf')
  }

  /** The user as JSON text: `sub`, unless the configuration names another claim. */
  get user(): FacetText {
    return this.value('user')
  }

  /** When the user logged in, in seconds (OpenID Connect Core §2). */
  get authTime(): number | undefined {
    return numberOf(this.#claims, 'auth_time')
  }

  /** The claim that a facet or a plain field reads, as JSON text. */
  value(name: string): FacetText {
    const place = Object.hasOwn(this.#places, name) ? this.#places[name] as string : name === 'user' ? 'sub' : name
    const text = claimText(this.#claims, place)
    return name === 'user' && text !== undefined && !isText(text) ? undefined : text
  }

  /** The responses that its sender may share under the rules of a route. Kept for the route that was the last. */
  sharing(rules: IdentityRules): Sharing {
    if (this.#shared?.rules !== rules) this.#shared = { rules, sharing: sharingOf({ kind: 'known', source: this.source, facet: name => this.value(name), mark: undefined }, rules) }
    return this.#shared.sharing
  }

  /** The claims to which the configuration gives names, as a JSON object. */
  get dataText(): string {
    return this.#data ??= `{${
      Object.keys(this.#places).filter(name => name !== 'user').flatMap(name => {
        const text = this.value(name)
        return text === undefined ? [] : [`${JSON.stringify(name)}:${text}`]
      }).join(',')
    }}`
  }
}

function isText(json: string): boolean {
  return json.startsWith('"') && json !== '""'
}

export interface ProviderParts {
  readonly settings: ProviderSettings
  readonly keys: ProviderKeys
  readonly clock: Clock
  readonly jose: Jose
}

export class Provider {
  readonly settings: ProviderSettings
  readonly keys: ProviderKeys
  readonly #clock: Clock
  readonly #jose: Jose

  constructor({ settings, keys, clock, jose }: ProviderParts) {
    this.settings = settings
    this.keys = keys
    this.#clock = clock
    this.#jose = jose
  }

  /** Verifies a token. Never rejects. */
  async verify(text: string, { header, claims }: DecodedToken): Promise<Verification> {
    const alg = stringOf(header, 'alg')
    // Pinned before anything else: neither the token nor a key chooses (RFC 8725 §3.1).
    if (alg === undefined || !this.settings.algorithms.includes(alg)) return 'algorithm'
    // No extension is understood here (RFC 7515 §4.1.11). `jku`, `jwk`, `x5u` and `x5c` are never read.
    if (header.members.has('crit')) return 'critical'
    const kid = stringOf(header, 'kid')
    const expSeconds = numberOf(claims, 'exp')
    if ((kid === undefined && header.members.has('kid')) || expSeconds === undefined) return 'malformed'
    const keys = await this.#keysFor(alg, kid)
    if (typeof keys === 'string') return keys
    let fault: TokenFault | undefined = 'key'
    for (const key of keys) {
      fault = await this.#check(text, key)
      if (fault !== 'signature') break
    }
    return fault ?? new VerifiedToken(claims, expSeconds, this.settings)
  }

  /** The keys that may have signed a token. Reads the keys anew if none of those at hand may. */
  async #keysFor(alg: string, kid: string | undefined): Promise<readonly Promise<CryptoKey>[] | TokenFault> {
    const found = (await this.keys.settled())?.matching(alg, kid) ?? []
    if (found.length > 0) return found
    const renewed = await this.keys.renewed()
    if (renewed === undefined) return 'unavailable'
    const keys = renewed.matching(alg, kid)
    return keys.length > 0 ? keys : 'key'
  }

  /** Returns why a token is not accepted with a key; undefined: it is. */
  async #check(text: string, key: Promise<CryptoKey>): Promise<TokenFault | undefined> {
    const { algorithms, issuer, audience, leewayMs } = this.settings
    const rules: JWTVerifyOptions = {
      algorithms: [...algorithms],
      issuer,
      audience: [...audience],
      clockTolerance: leewayMs / 1000,
      currentDate: new Date(this.#clock.now()),
    }
    try {
      await this.#jose.jwtVerify(text, await key, rules)
      return undefined
    } catch (error) {
      return faultOf(error as { readonly code?: unknown; readonly claim?: unknown })
    }
  }
}

const faultsByCode: Readonly<Record<string, TokenFault>> = {
  ERR_JWT_EXPIRED: 'expired',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'signature',
  ERR_JOSE_ALG_NOT_ALLOWED: 'algorithm',
  ERR_JOSE_NOT_SUPPORTED: 'algorithm',
  ERR_JWS_INVALID: 'malformed',
  ERR_JWT_INVALID: 'malformed',
}
const faultsByClaim: Readonly<Record<string, TokenFault>> = { iss: 'issuer', aud: 'audience', nbf: 'not-yet-valid' }

// Anything else is a key that cannot be imported or used.
function faultOf({ code, claim }: { readonly code?: unknown; readonly claim?: unknown }): TokenFault {
  if (code === 'ERR_JWT_CLAIM_VALIDATION_FAILED') return faultsByClaim[String(claim)] ?? 'malformed'
  return faultsByCode[String(code)] ?? 'key'
}

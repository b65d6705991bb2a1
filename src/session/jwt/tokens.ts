// Bearer tokens of all providers: each is verified at first sight, and remembered by its digest until it ends or the keys change.
import { hash } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { TokenCounters } from '../counters.ts'
import { decodeToken, stringOf } from './claims.ts'
import { VerifiedToken, type Provider, type Verification } from './provider.ts'

/** A longer token is refused unread. Tokens of providers have 1 to 4 KiB. */
const mostTokenChars = 16_384
/** Most characters of tokens that are remembered. Their claims take about four times as much memory. */
const mostChars = 8_388_608

interface Known {
  readonly token: VerifiedToken
  readonly provider: Provider
  /** The revision of the keys that verified it. */
  readonly revision: number
}

export interface TokensParts {
  readonly providers: readonly Provider[]
  readonly counters: TokenCounters
  readonly clock: Clock
}

export class Tokens {
  readonly #parts: TokensParts
  // The younger and the older half: the older goes as a whole when the younger is full.
  #younger = new Map<string, Known>()
  #older = new Map<string, Known>()
  #chars = 0

  constructor(parts: TokensParts) {
    this.#parts = parts
  }

  /**
   * Verifies a token for a route. Synchronous if it was verified before.
   * @param sources the names of the providers that the route takes
   */
  verify(text: string, sources: readonly string[]): Verification | Promise<Verification> {
    const { counters, clock } = this.#parts
    if (text.length > mostTokenChars) return counters.verified('malformed')
    const digest = hash('sha256', text, 'base64url')
    const known = this.#younger.get(digest) ?? this.#older.get(digest)
    if (known !== undefined && sources.includes(known.token.source) && isValid(known, clock.now())) {
      counters.verified('known')
      return known.token
    }
    return this.#verifyAnew(text, digest, sources)
  }

  async #verifyAnew(text: string, digest: string, sources: readonly string[]): Promise<Verification> {
    const { providers, counters } = this.#parts
    const decoded = decodeToken(text)
    if (decoded === undefined) return counters.verified('malformed')
    const issuer = stringOf(decoded.claims, 'iss')
    let result: Verification = 'issuer'
    for (const provider of providers) {
      if (!sources.includes(provider.settings.name) || provider.settings.issuer !== issuer) continue
      // Taken before the keys are read: if they change meanwhile, the token is verified again.
      const { revision } = provider.keys
      result = await provider.verify(text, decoded)
      if (result instanceof VerifiedToken) {
        this.#remember(digest, text.length, { token: result, provider, revision })
        break
      }
    }
    counters.verified(result instanceof VerifiedToken ? 'verified' : result)
    return result
  }

  #remember(digest: string, chars: number, known: Known): void {
    if (this.#chars + chars > mostChars / 2) {
      this.#older = this.#younger
      this.#younger = new Map()
      this.#chars = 0
    }
    this.#younger.set(digest, known)
    this.#chars += chars
  }

  /** Reads the keys of all providers anew. Never rejects. */
  async reload(): Promise<void> {
    await Promise.all(this.#parts.providers.map(({ keys }) => keys.reload()))
  }

  close(): void {
    for (const { keys } of this.#parts.providers) keys.close()
  }
}

// The keys are read each time, because they may be too old to count by now.
function isValid({ token, provider: { keys }, revision }: Known, nowMs: number): boolean {
  return token.isFresh(nowMs) && keys.current() !== undefined && keys.revision === revision
}

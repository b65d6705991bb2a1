// Identifies requests by their session: cross-site requests are refused, credentials are taken out, and the record is read.
import { timingSafeEqual } from 'node:crypto'
import { SpringhouseError } from '../errors.ts'
import type { ClientExchange, RoutedExchange } from '../exchange/client/exchange.ts'
import type { Identities } from '../exchange/client/identities.ts'
import { provenanceLines } from '../forwarding/trusted-fields.ts'
import { dashed } from '../forwarding/untrusted-fields.ts'
import { fieldLines, fieldValue, firstRawValue } from '../http/fields.ts'
import { asVisitor, isUnsafe, sharingOf, type IdentityRules, type Sender } from '../policy/identity.ts'
import type { ReadOutcome } from './counters.ts'
import { isCrossSite } from './csrf.ts'
import type { Transport } from './instruction.ts'
import type { SessionParts } from './parts.ts'
import { isRead, SessionExchange, UnidentifiedExchange, valueOf, type Found } from './session-exchange.ts'
import type { SessionRecord } from './store/store.ts'
import { readToken, type PresentedToken } from './token.ts'
import { touchPeriodMs } from './touches.ts'
import { takeCredentials, type Credentials } from './transport.ts'

/** The result of reading what a request presents. */
interface Read {
  readonly outcome: ReadOutcome
  readonly record: SessionRecord | undefined
  readonly by: Transport | undefined
}

const visitor: Sender = Object.freeze({ kind: 'visitor' })
const nobody: Sender = Object.freeze({ kind: 'unrecognised', reason: 'identity' })
const nothingPresented: Read = Object.freeze({ outcome: 'none', record: undefined, by: undefined })

export class SessionIdentities implements Identities {
  readonly #parts: SessionParts
  readonly #plainNames: ReadonlySet<string>
  readonly #unidentified: UnidentifiedExchange

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.#plainNames = new Set(parts.headers.map(([name]) => dashed(name)))
    this.#unidentified = new UnidentifiedExchange(parts.cookie.name)
  }

  identify(exchange: RoutedExchange): Promise<void> | undefined {
    const { rawHeaders } = exchange.head
    const rules = exchange.routed.route.identity
    const credentials = takeCredentials(rawHeaders, this.#parts.cookie.name, this.#withheld)
    if (rules === undefined) {
      exchange.identified = this.#unidentified
      if (credentials.others !== undefined) replaceRouted(exchange, { raw: credentials.others, sharing: asVisitor, sent: () => [] })
      return undefined
    }
    this.#refuseCrossSite(exchange, credentials)
    const presented = presentedBy(credentials)
    if (typeof presented !== 'string') {
      return this.#read(exchange, rules, presented.token, presented.by).then(read => this.#settle(exchange, rules, credentials, read))
    }
    this.#settle(exchange, rules, credentials, presented === 'none' ? nothingPresented : { outcome: presented, record: undefined, by: byOf(credentials) })
    return undefined
  }

  /** True for a field that no client may send: one that carries a member of the session to the origin. */
  readonly #withheld = (name: string): boolean => this.#plainNames.size > 0 && this.#plainNames.has(dashed(name.toLowerCase()))

  #refuseCrossSite({ routed, head }: RoutedExchange, { cookies, bearers }: Credentials): void {
    const { csrf, counters } = this.#parts
    if (csrf.mode === 'off' || (!isUnsafe(routed.request.method) && !routed.request.hasUpgrade)) return
    // No page of another site can add a token to a request of its own accord.
    if (bearers.length > 0 && cookies.length === 0) return
    if (!isCrossSite(fieldLines(head.rawHeaders), { authority: routed.request.authority, publicHosts: routed.publicHosts }, csrf.trustedOrigins)) return
    counters.csrfRefused++
    if (csrf.mode === 'enforce') throw new SpringhouseError('CSRF_REFUSED')
  }

  async #read(exchange: RoutedExchange, rules: IdentityRules, token: PresentedToken, by: Transport): Promise<Read> {
    try {
      const { outcome, record } = await this.#look(rules, token)
      return { outcome, record, by }
    } catch (error) {
      if (!(error instanceof SpringhouseError) || error.source !== 'store') throw error
      if (rules.trouble === 'anonymous') {
        exchange.observer.failed(error, exchange)
        return { outcome: 'unavailable', record: undefined, by }
      }
      this.#parts.counters.read('unavailable')
      throw new SpringhouseError('SESSION_UNAVAILABLE', { cause: error })
    }
  }

  async #look({ realm }: IdentityRules, { sid, digest }: PresentedToken): Promise<Pick<Read, 'outcome' | 'record'>> {
    const { store, touches, rotationGraceMs } = this.#parts
    let record = await store.read(sid)
    if (record === undefined || record.realm !== realm) return { outcome: 'unknown', record: undefined }
    let outcome: ReadOutcome = 'live'
    if (!isEqual(record.digest, digest)) {
      if (!record.issued.includes(digest) && !record.replaced.includes(digest)) return { outcome: 'unknown', record: undefined }
      const presented = await store.present(sid, digest, rotationGraceMs)
      if (presented === 'reused') await this.#forget(record)
      if (presented === 'reused' || presented === 'unknown') return { outcome: presented, record: undefined }
      outcome = presented
      record = await store.read(sid)
      if (record === undefined) return { outcome: 'unknown', record: undefined }
    }
    const periodMs = touchPeriodMs(record.idleMs)
    // Not waited for: a failure costs nothing that the next request cannot make up for.
    if (touches.isDue(sid, periodMs)) store.touch(sid, periodMs).catch(() => undefined)
    return { outcome, record }
  }

  /** A reused token has ended its session: it leaves those of its user. Other entries end by themselves. */
  async #forget({ user, realm, sid }: SessionRecord): Promise<void> {
    if (user !== undefined) await this.#parts.store.leave({ realm, user }, [sid]).catch(() => undefined)
  }

  #settle(exchange: RoutedExchange, rules: IdentityRules, credentials: Credentials, { outcome, record, by }: Read): void {
    this.#parts.counters.read(outcome)
    if (rules.required && record?.user === undefined && !isPreflight(exchange)) {
      throw new SpringhouseError(by === 'token' && outcome !== 'unavailable' && record === undefined ? 'TOKEN_INVALID' : 'SESSION_REQUIRED')
    }
    const found: Found = { outcome, record, by, sharing: sharingOf(senderOf(outcome, record), rules) }
    const identified = new SessionExchange(this.#parts, exchange, rules, found)
    // Signed now, and kept: a damaged record, or a missing key, refuses the request before anything waits for it.
    identified.sent()
    exchange.identified = identified
    if (credentials.others === undefined) return
    const blind = record !== undefined && rules.facets.length > 0 && rules.forward === 'facets' && isRead(exchange)
    replaceRouted(exchange, { raw: blind ? withoutAuthorization(credentials.others) : credentials.others, sharing: found.sharing, sent: identified.sent })
  }
}

function senderOf(outcome: ReadOutcome, record: SessionRecord | undefined): Sender {
  if (record !== undefined) return { kind: 'known', source: 'session', facet: name => valueOf(record, name), mark: record.mark }
  // The sender of two credentials may be neither of their users, and without the store the sender may be any user.
  return outcome === 'duplicate' || outcome === 'ambiguous' || outcome === 'unavailable' ? nobody : visitor
}

/** Returns the only token that a request presents, or the outcome of a request without exactly one. */
function presentedBy({ cookies, bearers }: Credentials): { readonly token: PresentedToken; readonly by: Transport } | 'none' | 'duplicate' | 'ambiguous' | 'malformed' {
  if (cookies.length === 0 && bearers.length === 0) return 'none'
  if (cookies.length > 0 && bearers.length > 0) return 'ambiguous'
  if (cookies.length + bearers.length > 1) return 'duplicate'
  const token = readToken(cookies[0] ?? bearers[0] ?? '')
  return token === undefined ? 'malformed' : { token, by: cookies.length > 0 ? 'cookie' : 'token' }
}

function byOf({ bearers }: Credentials): Transport {
  return bearers.length > 0 ? 'token' : 'cookie'
}

function replaceRouted(exchange: ClientExchange, applied: Parameters<RoutedExchange['routed']['identifiedAs']>[0]): void {
  exchange.routed = exchange.routed?.identifiedAs(applied)
}

function withoutAuthorization(raw: readonly string[]): string[] {
  return raw.flatMap((part, i) => (i % 2 === 1 || part.toLowerCase() === 'authorization' ? [] : [part, raw[i + 1] as string]))
}

// RFC 6454 and Fetch: browsers send no credentials with it.
function isPreflight({ head: { method, rawHeaders } }: RoutedExchange): boolean {
  return method === 'OPTIONS' && firstRawValue(rawHeaders, 'origin') !== undefined && firstRawValue(rawHeaders, 'access-control-request-method') !== undefined
}

function isEqual(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
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

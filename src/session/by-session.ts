// Identifies a request by its session: reads the record of the token that the request presents.
import { timingSafeEqual } from 'node:crypto'
import { SpringhouseError } from '../errors.ts'
import type { RoutedExchange } from '../exchange/client/exchange.ts'
import { sharingOf, type IdentityRules, type Sender, type Sharing } from '../policy/identity.ts'
import { applyIdentity, isPreflight, withoutAuthorization } from './applied.ts'
import type { ReadOutcome } from './counters.ts'
import type { Transport } from './instruction.ts'
import type { SessionParts } from './parts.ts'
import { isBlind } from './sender.ts'
import { SessionExchange, sessionSource, valueOf, type Found } from './session-exchange.ts'
import type { SessionRecord } from './store/store.ts'
import { readToken, type PresentedToken } from './token.ts'
import { touchPeriodMs } from './touches.ts'
import type { Credentials } from './transport.ts'

/** The result of reading what a request presents. */
interface Read {
  readonly outcome: ReadOutcome
  readonly record: SessionRecord | undefined
  readonly by: Transport | undefined
}

const visitor: Sender = Object.freeze({ kind: 'visitor' })
const nobody: Sender = Object.freeze({ kind: 'unrecognised', reason: 'identity' })
const nothingPresented: Read = Object.freeze({ outcome: 'none', record: undefined, by: undefined })

export class BySession {
  readonly #parts: SessionParts

  constructor(parts: SessionParts) {
    this.#parts = parts
  }

  /** @throws SpringhouseError if the request is refused. May reject with it. */
  identify(exchange: RoutedExchange, rules: IdentityRules, credentials: Credentials): Promise<void> | undefined {
    const presented = presentedBy(credentials)
    if (typeof presented !== 'string') {
      return this.#read(exchange, rules, presented.token, presented.by).then(read => this.#settle(exchange, rules, credentials, read))
    }
    this.#settle(exchange, rules, credentials, presented === 'none' ? nothingPresented : { outcome: presented, record: undefined, by: byOf(credentials) })
    return undefined
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
    const found: Found = { outcome, record, by, sharing: readable(() => sharingOf(senderOf(outcome, record), rules)) }
    const identified = new SessionExchange(this.#parts, exchange, rules, found)
    // Signed now, and kept: a damaged record, or a missing key, refuses the request before anything waits for it.
    identified.sent()
    exchange.identified = identified
    if (credentials.others === undefined) return
    const raw = record !== undefined && isBlind(exchange, rules) ? withoutAuthorization(credentials.others) : credentials.others
    applyIdentity(exchange, { raw, sharing: found.sharing, sent: identified.sent })
  }
}

/** A member that is no JSON text is a damaged record. */
function readable(sharing: () => Sharing): Sharing {
  try {
    return sharing()
  } catch (cause) {
    throw new SpringhouseError('SESSION_UNAVAILABLE', { cause, detail: 'a damaged record' })
  }
}

function senderOf(outcome: ReadOutcome, record: SessionRecord | undefined): Sender {
  if (record !== undefined) return { kind: 'known', source: sessionSource, facet: name => valueOf(record, name), mark: record.mark }
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

function isEqual(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
}

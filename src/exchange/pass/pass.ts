// A request that passes the cache by: where it goes, what its response invalidates (RFC 9111 §4.4) and leaves behind (RFC 9110 §9.3.3).
import type { Clock } from '../../clock.ts'
import { SpringhouseError } from '../../errors.ts'
import { type FieldLines, announcedLength } from '../../http/fields.ts'
import type { PassReason } from '../../policy/reasons.ts'
import { assessResponse } from '../../policy/storable.ts'
import type { Metadata, LogPosition } from '../../policy/stored.ts'
import type { Purge, PurgeReceipt } from '../../store/purge/log.ts'
import type { Store } from '../../store/store.ts'
import { BodyCopy } from './body-copy.ts'
import type { RoutedExchange } from '../client/exchange.ts'
import type { RoutedRequest } from '../routed-request.ts'
import { invalidate, invalidationBy, type InvalidateParts } from './invalidate.ts'

export interface PassParts extends InvalidateParts {
  readonly clock: Clock
  readonly store: Store
}

/**
 * Made before the request is sent, and synchronously once it is routed. The position in the purge log is read here, so that a
 * later purge covers the stored response.
 */
export class Pass {
  readonly kind = 'pass'
  readonly exchange: RoutedExchange
  /** Why the cache does not handle it. */
  readonly reason: PassReason
  readonly #parts: PassParts
  readonly #stamp: LogPosition
  readonly #requestTimeMs: number
  /** True if the request can be sent again: its body is kept, or it has none. */
  repeatable = false

  constructor(parts: PassParts, exchange: RoutedExchange, reason: PassReason) {
    this.exchange = exchange
    exchange.outcome = 'pass'
    exchange.reason = reason
    this.reason = reason
    this.#parts = parts
    this.#stamp = parts.purgeLog.applied
    this.#requestTimeMs = parts.clock.now()
  }

  /** The request, parsed and routed once. Its fields for the origin, its pool and its target are read from here. */
  get routed(): RoutedRequest {
    return this.exchange.routed
  }

  /**
   * Returns the error to send in place of a response that its request rules out: a 304 to a GET or HEAD without a condition (RFC 9110
   * §15.4.5), with which the client could do nothing. undefined: the response may be relayed. Other methods give 304 meanings of their own.
   */
  refused(status: number): SpringhouseError | undefined {
    const { method, ifNoneMatch, ifModifiedSince } = this.routed.request
    if (status !== 304 || (method !== 'GET' && method !== 'HEAD') || ifNoneMatch !== undefined || ifModifiedSince !== undefined) return undefined
    return new SpringhouseError('ORIGIN_MALFORMED', { detail: 'a 304 to a request without conditions' })
  }

  /**
   * To be called with the head of the response, and waited for before the client is sent any of it. Resolves to what the
   * body is to be piped through, if a copy of it is to be stored; or to `again` if the request must be sent once more.
   * @throws SpringhouseError (rejects) to be sent in place of the response: see Identified.onResponse
   */
  onResponse(status: number, fields: FieldLines): Promise<BodyCopy | 'again' | undefined> | undefined {
    const { identified } = this.exchange
    const purge = invalidationBy(this.#parts, this.routed, status, fields) ?? (identified?.needsPosition(status) === true ? this.#ownInvalidation() : undefined)
    if (purge !== undefined) return this.#changed(purge, status, fields)
    const acting = identified?.onResponse({ status, fields, position: undefined, repeatable: this.repeatable })
    return acting?.then(acted => (acted === 'again' ? acted : undefined))
  }

  /** An invalidation of the request's own URL: its position is what the sender's later reads must not precede. */
  #ownInvalidation(): Purge {
    const { authority, target } = this.routed.url
    return { urls: [{ authority, target }], prefixes: [], tags: [], tagsMatch: 'any', all: false, soft: false, implicit: true }
  }

  async #changed(purge: Purge, status: number, fields: FieldLines): Promise<BodyCopy | 'again' | undefined> {
    const meta = this.#storable(status, fields)
    const receipt = await invalidate(this.#parts, purge, this.exchange)
    const acted = await this.exchange.identified?.onResponse({ status, fields, position: receipt?.id, repeatable: this.repeatable })
    if (acted === 'again') return acted
    return meta === undefined || receipt === undefined ? undefined : this.#copy(meta, receipt, announcedLength(fields))
  }

  /** Returns the response as it would be stored, with its age counted from the request; undefined if it must not be stored. */
  #storable(status: number, fields: FieldLines): Metadata | undefined {
    const { request, requestField, route: { rules, forwarding }, sharing } = this.routed
    // The origin knew the sender of a request that is not a visitor's.
    if (!sharing.visitor || request.method !== 'POST' || request.hasUpgrade || !rules.enabled || rules.ambiguous || announcedLength(fields) > rules.maxEntryBytes) return undefined
    // The origin received every field of its client. Another client with the same key may have sent other fields.
    if (forwarding.allowedFields !== undefined || !this.routed.forwardsAll) return undefined
    const head = { status, fields, requestTimeMs: this.#requestTimeMs, responseTimeMs: this.#parts.clock.now(), stamp: this.#stamp }
    const verdict = assessResponse(request, requestField, head, rules)
    if (!verdict.store || this.#parts.store.refuses?.(this.routed.key, verdict.meta, announcedLength(fields)) !== undefined) return undefined
    return verdict.meta
  }

  /**
   * Copies a response that invalidates its own URL, and survives that purge alone. It is stamped with the purge, so that
   * every later purge counts. No matching purge may have come between the request and its own. All replicas must know its own
   * purge, and that purge must be durable.
   */
  #copy(meta: Metadata, receipt: PurgeReceipt, announcedBytes: number): BodyCopy | undefined {
    const { purgeLog, store, observer } = this.#parts
    const { copied, replicas: { live, acknowledged } } = receipt
    if (!copied || acknowledged < live || purgeLog.matchedBetween(meta, receipt.id)) return undefined
    const kept: Metadata = { ...meta, stamp: receipt.id }
    observer.count('fillsBegun')
    return new BodyCopy(store.write(this.routed.key, kept), {
      announcedBytes,
      maxBytes: this.routed.route.rules.maxEntryBytes,
      // As for every fill: every lookup would find a response dead that was purged in flight.
      stillValid: () => purgeLog.judge(kept) !== 'dead',
      settled: stored => observer.count(stored ? 'fillsCommitted' : 'fillsAborted'),
    })
  }
}

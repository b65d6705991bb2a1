// The Cache-Status member that this cache adds to every response (RFC 9211).
import type { ForwardReason, NotStoredReason, PassReason, Reason } from './reasons.ts'

/** RFC 9211 §2.2: why the request was forwarded, as that document names it. */
type ForwardParameter = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial'

const forwardParameter: Record<ForwardReason, ForwardParameter> = {
  'uri-miss': 'uri-miss',
  'vary-miss': 'vary-miss',
  'stale': 'stale',
  'no-lifetime': 'stale',
  'bad-lifetime': 'stale',
  'other-credentials': 'miss',
  'soft-purged': 'stale',
  'no-cache': 'stale',
  'request-no-cache': 'request',
  'request-max-age': 'request',
  'request-min-fresh': 'request',
  'range-miss': 'uri-miss',
  'part-only': 'partial',
  'head-miss': 'uri-miss',
  'after-write': 'miss',
}

/** Status of a stored response. `ttlMs` is the rest of its lifetime, negative if stale (RFC 9211 §2.4). */
export function hitStatus(reason: Reason, ttlMs: number): string {
  return `springhouse; hit; ttl=${Math.floor(ttlMs / 1000)}; detail=${reason}`
}

/**
 * Status of a request that waited for another request's fetch and received its response (RFC 9211 §2.6). `reason` is why it
 * would have been forwarded itself. `ttlMs` as in `hitStatus`.
 */
export function collapsedStatus(reason: ForwardReason, ttlMs: number): string {
  return `springhouse; fwd=${forwardParameter[reason]}; collapsed; ttl=${Math.floor(ttlMs / 1000)}; detail=${reason}`
}

/** A request that was forwarded. */
export interface Forwarded {
  readonly reason: ForwardReason
  /** The origin's status; undefined if it sent none. */
  readonly status: number | undefined
  /** The reason why its response is not stored; undefined if it is stored. */
  readonly notStored: NotStoredReason | undefined
  /** True if the request first waited for another fetch in vain (RFC 9211 §2.6: not collapsed after all). */
  readonly waited?: boolean
}

/** RFC 9211 §2.2 to §2.6. The detail is why the response is not stored, or else why the request was forwarded. */
export function forwardStatus(forwarded: Forwarded): string {
  const { reason, status, notStored } = forwarded
  let value = `springhouse; fwd=${forwardParameter[reason]}`
  if (status !== undefined) value += `; fwd-status=${status}`
  if (notStored === undefined && status !== undefined) value += '; stored'
  if (forwarded.waited === true) value += '; collapsed=?0'
  return `${value}; detail=${notStored ?? reason}`
}

/** Status of a request that passes the cache by. `stored`: its response is stored for later requests (RFC 9110 §9.3.3). */
export function passStatus(reason: PassReason, stored = false): string {
  return `springhouse; fwd=${reason === 'method' ? 'method' : 'bypass'}${stored ? '; stored' : ''}; detail=${reason}`
}

/** Status of an error response that the cache itself generated (RFC 9211 §2: neither hit nor fwd). */
export function refusedStatus(reason: Reason): string {
  return `springhouse; detail=${reason}`
}

// The Cache-Status member that this cache adds to every answer: RFC 9211.
import type { ForwardReason, NotStoredReason, PassReason, Reason } from './reasons.ts'

/** RFC 9211 §2.2: why the request went forward, in that document's own words. */
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
}

/** A stored response answered. `ttlMs`: what was left of its lifetime, negative when stale (RFC 9211 §2.4). */
export function hitStatus(reason: Reason, ttlMs: number): string {
  return `springhouse; hit; ttl=${Math.floor(ttlMs / 1000)}; detail=${reason}`
}

/**
 * The request waited for another's to come back from the origin, and what that one brought answers it: forwarded with it
 * (RFC 9211 §2.6), for the reason for which it would have gone itself. `ttlMs` as in `hitStatus`.
 */
export function collapsedStatus(reason: ForwardReason, ttlMs: number): string {
  return `springhouse; fwd=${forwardParameter[reason]}; collapsed; ttl=${Math.floor(ttlMs / 1000)}; detail=${reason}`
}

/** The origin was asked. */
export interface Forwarded {
  readonly reason: ForwardReason
  /** The origin's status; undefined when it gave none. */
  readonly status: number | undefined
  /** Why its answer is not stored; undefined: it is. */
  readonly notStored: NotStoredReason | undefined
  /** Whether the request waited for another's fetch first, which was of no use to it (RFC 9211 §2.6: not collapsed after all). */
  readonly waited?: boolean
}

/** RFC 9211 §2.2 to §2.6. The detail is why it was not stored, or else why the origin was asked. */
export function forwardStatus(forwarded: Forwarded): string {
  const { reason, status, notStored } = forwarded
  let value = `springhouse; fwd=${forwardParameter[reason]}`
  if (status !== undefined) value += `; fwd-status=${status}`
  if (notStored === undefined && status !== undefined) value += '; stored'
  if (forwarded.waited === true) value += '; collapsed=?0'
  return `${value}; detail=${notStored ?? reason}`
}

/** It was not the cache's to answer. `stored`: the answer is kept for those that are (RFC 9110 §9.3.3). */
export function passStatus(reason: PassReason, stored = false): string {
  return `springhouse; fwd=${reason === 'method' ? 'method' : 'bypass'}${stored ? '; stored' : ''}; detail=${reason}`
}

/** The cache answers itself, with an error (RFC 9211 §2: neither hit nor fwd). */
export function refusedStatus(reason: Reason): string {
  return `springhouse; detail=${reason}`
}

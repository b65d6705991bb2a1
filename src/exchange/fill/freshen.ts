// The effect of a 304 on the entry that it confirms: RFC 9111 §4.3.4, and when its fields must not be stored.
import { formatHttpDate } from '../../http/date.ts'
import { hasField, withoutFields, type FieldLines } from '../../http/fields.ts'
import { initialAgeMs } from '../../policy/freshness.ts'
import type { NotStoredReason } from '../../policy/reasons.ts'
import { assessResponse, type ReceivedHead } from '../../policy/storable.ts'
import type { Metadata } from '../../policy/stored.ts'
import { confirms, mergedFields } from '../../policy/validation.ts'
import type { RoutedRequest } from '../routed-request.ts'

/** The response to the client, and the fate of the entry. */
export interface Freshening {
  readonly meta: Metadata
  /** merged: the entry takes the new metadata; as-it-was: it stays; nothing: it goes. */
  readonly keep: 'merged' | 'as-it-was' | 'nothing'
  /** Why the merged metadata is not kept; undefined: it is. */
  readonly notStored: NotStoredReason | undefined
}

// Reasons that lie in the request that validated, not in the stored response: for others the entry is what it was. The cookie of a
// 304 goes to its client alone.
const askerReasons: ReadonlySet<NotStoredReason> = new Set(['authorization', 'cookie', 'request-no-store', 'request-method', 'set-cookie'])

/** Returns true if a response that is not stored for this reason leaves the entry as it is for other clients. */
export function saysNothingOfOthers(reason: NotStoredReason): boolean {
  return askerReasons.has(reason)
}

/**
 * Merges a 304 into the metadata that it validated. Returns undefined if it names another representation. The result is
 * assessed like any response: a 304 may bring `no-store` or a cookie that must not reach another client.
 * @param method the method of the resulting response: `GET` also where a HEAD confirmed it
 */
export function freshenFrom304(asked: RoutedRequest, validated: Metadata, head: ReceivedHead, method = asked.request.method): Freshening | undefined {
  if (!confirms(validated, head.fields)) return undefined
  const news = datedFields(head)
  const fields = mergedFields([...validated.fields, ...validated.cacheOnlyFields], news)
  // A 304 never widens the requests that a response matches: a field that has selected it goes on selecting it.
  const known = [...asked.known, ...validated.vary.map(([name]) => name)]
  const verdict = assessResponse(asked.request, asked.requestField, { ...head, status: validated.status, fields }, asked.route.rules, validated.part, method, known)
  if (verdict.store) return { meta: { ...verdict.meta, bodyBytes: validated.bodyBytes }, keep: 'merged', notStored: undefined }
  // This client sees the fields of the 304; the response is as young as the one that confirmed it.
  const { cacheOnly } = asked.route.rules.tags
  const shown = mergedFields(validated.fields, withoutFields(news, { has: name => name === 'age' || cacheOnly.has(name) }))
  const meta = { ...validated, fields: shown, initialAgeMs: initialAgeMs(news, head.requestTimeMs, head.responseTimeMs), responseTimeMs: head.responseTimeMs }
  return { meta, keep: saysNothingOfOthers(verdict.reason) ? 'as-it-was' : 'nothing', notStored: verdict.reason }
}

/**
 * A message's fields with a Date. RFC 9110 §6.6.1: one without is of when it was received; the stored Date would make what
 * it updates as old as the first.
 */
export function datedFields({ fields, responseTimeMs }: ReceivedHead): FieldLines {
  return hasField(fields, 'date') ? fields : [...fields, 'date', formatHttpDate(responseTimeMs)]
}

// Which fields a Connection field may take off a message, and which it may not.
import type { FieldLines } from '../http/fields.ts'
import { connectionNamed } from '../http/fields.ts'
import { keyedFields } from '../policy/keyed-fields.ts'

/**
 * Fields that no connection option removes. RFC 9110 §7.6.1 says that an intermediary removes every field that Connection
 * names, and that a sender must not name one "that is intended for all recipients of the content". A sender that breaks
 * the second rule makes the first a weapon: `Connection: Authorization` would turn a private request into a public one on
 * its way to the origin, `Connection: Cache-Control` a private response into a storable one, `Connection: X-Forwarded-For`
 * would hide who asked. Leaving these in place harms nobody that keeps the rules, so they stay.
 */
export const endToEndAlways: ReadonlySet<string> = new Set([
  // What the message means, and how long its body is.
  'host', 'content-length', 'content-type', 'content-encoding', 'content-range', 'content-location', 'date',
  // Who asks, and with what right.
  'authorization', 'cookie', 'set-cookie', 'origin', 'www-authenticate',
  // What selects a response or makes the request conditional.
  'accept', 'accept-encoding', 'accept-language', 'range', 'if-match', 'if-none-match', 'if-modified-since',
  'if-unmodified-since', 'if-range', ...keyedFields,
  // Who may keep the response, and what invalidates it.
  'cache-control', 'cdn-cache-control', 'surrogate-control', 'pragma', 'expires', 'age', 'vary', 'etag', 'last-modified',
  'cache-tag', 'surrogate-key', 'cache-groups', 'cache-group-invalidation',
  // What proxies add. RFC 8586 §2: nothing may take CDN-Loop off.
  'via', 'cdn-loop', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-request-id',
])

const none: ReadonlySet<string> = new Set()

/** The fields that Connection takes off this message, beyond those that never pass a hop (RFC 9110 §7.6.1). */
export function connectionOptions(lines: FieldLines): ReadonlySet<string> {
  const named = connectionNamed(lines)
  if (named.size === 0) return none
  const removable = new Set<string>()
  for (const name of named) if (!endToEndAlways.has(name)) removable.add(name)
  return removable
}

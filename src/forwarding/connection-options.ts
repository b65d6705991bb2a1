// The fields that a Connection field may remove from a message.
import type { FieldLines } from '../http/fields.ts'
import { connectionNamed } from '../http/fields.ts'
import { keyedFields } from '../policy/keyed-fields.ts'

/**
 * Fields that no connection option removes. RFC 9110 §7.6.1 has two rules. An intermediary removes every field that
 * Connection names. A sender must not name one "that is intended for all recipients of the content". A sender that breaks the
 * second rule turns the first into a weapon:
 * - `Connection: Authorization` would make a private request public on its way to the origin.
 * - `Connection: Cache-Control` would make a private response storable.
 * - `Connection: X-Forwarded-For` would hide the client's address.
 *
 * Keeping these fields harms no sender that follows the rules.
 */
export const endToEndAlways: ReadonlySet<string> = new Set([
  // The meaning of the message, and the length of its body.
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'content-range',
  'content-location',
  'date',
  // The client's identity and rights.
  'authorization',
  'cookie',
  'set-cookie',
  'origin',
  'www-authenticate',
  // Fields that select a response or make the request conditional.
  'accept',
  'accept-encoding',
  'accept-language',
  'range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  ...keyedFields,
  // Fields that decide which caches may keep the response, and what invalidates it.
  'cache-control',
  'cdn-cache-control',
  'surrogate-control',
  'pragma',
  'expires',
  'age',
  'vary',
  'etag',
  'last-modified',
  'cache-tag',
  'surrogate-key',
  'xkey',
  'cache-tags',
  'edge-cache-tag',
  'x-magento-tags',
  'cache-groups',
  'cache-group-invalidation',
  // Fields that proxies add. RFC 8586 §2: nothing may remove CDN-Loop.
  'via',
  'cdn-loop',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
])

const none: ReadonlySet<string> = new Set()

/**
 * Returns the fields that Connection removes from this message, beyond those that are always hop-by-hop (RFC 9110 §7.6.1).
 */
export function connectionOptions(lines: FieldLines): ReadonlySet<string> {
  const named = connectionNamed(lines)
  if (named.size === 0) return none
  const removable = new Set<string>()
  for (const name of named) if (!endToEndAlways.has(name)) removable.add(name)
  return removable
}

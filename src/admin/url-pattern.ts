// Parses the URLs and prefixes of the admin API, byte for byte.
import { normaliseAuthority } from '../http/authority.ts'
import type { UrlPattern } from '../store/purge/log.ts'

/** Longer than any URL that the proxy accepts: a target has at most 64 KiB, whatever `maxTargetBytes` is. */
export const maxUrlChars = 65_536 + 512

/** The parsed pattern, or a sentence that describes the problem. */
export type ReadPattern =
  | { readonly pattern: UrlPattern; readonly problem?: undefined }
  | { readonly pattern?: undefined; readonly problem: string }

/**
 * Parses a URL, or the beginning of a URL, for matching. It is absolute (`http://api.example.com/v1/a?b=c`), or a path
 * (`/v1/a?b=c`), which matches on every host. The host is lower-cased and the scheme's default port removed. Path and query keep
 * their exact bytes, because they are compared with the targets of requests: `new URL()` would rewrite `/a/./b` to a target that
 * no client requested. No character is a wildcard.
 */
export function readUrlPattern(text: string): ReadPattern {
  // A target has no other bytes on the wire, so a pattern with them would silently match nothing.
  if (!/^[\x21-\x7e]*$/.test(text)) return { problem: 'has a space, a control character or a character outside ASCII: percent-encode it, as clients do' }
  if (text.includes('#')) return { problem: 'has a fragment (#…), which clients never send' }
  if (text.startsWith('//')) return { problem: 'begins with //: name a scheme (http://host/…) or a path (/…)' }
  if (text.startsWith('/')) return { pattern: { authority: undefined, target: text } }

  const parts = /^(https?):\/\/([^/?]*)(.*)$/i.exec(text)
  if (parts === null) return { problem: 'must be absolute (http://host/path) or a path (/path)' }
  const [, scheme = '', rawAuthority = '', rest = ''] = parts
  if (rawAuthority.includes('@')) return { problem: 'has user information (user@), which is not part of the cache key' }
  const authority = normaliseAuthority(rawAuthority, scheme.toLowerCase() === 'https' ? 'https' : 'http')
  if (authority === undefined) return { problem: `has no valid host: ${JSON.stringify(rawAuthority.slice(0, 100))}` }
  // RFC 9112 §3.2.1: an empty path is sent as "/".
  const target = rest.startsWith('/') ? rest : `/${rest}`
  return { pattern: { authority, target } }
}

/** Like readUrlPattern, but requires a host: an explanation is for one request, not for a set. */
export function readAbsoluteUrl(text: string): ReadPattern {
  const read = readUrlPattern(text)
  if (read.pattern !== undefined && read.pattern.authority === undefined) return { problem: 'must be absolute (http://host/path)' }
  return read
}

/** Formats a pattern as an operator writes it. */
export function showPattern(pattern: UrlPattern): string {
  return pattern.authority === undefined ? pattern.target : `http://${pattern.authority}${pattern.target}`
}

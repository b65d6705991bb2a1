// The URLs and prefixes that the admin API takes, read byte for byte.
import { normaliseAuthority } from '../http/authority.ts'
import type { UrlPattern } from '../store/purge/log.ts'

/** Longer than any URL that the proxy takes: a target has at most 64 KiB, whatever `maxTargetBytes` says. */
export const maxUrlChars = 65_536 + 512

/** What was read, or the sentence that says what is wrong with it. */
export type ReadPattern =
  | { readonly pattern: UrlPattern; readonly problem?: undefined }
  | { readonly pattern?: undefined; readonly problem: string }

/**
 * Reads a URL, or the beginning of one, for matching. It is absolute (`http://api.example.com/v1/a?b=c`), or a path
 * alone (`/v1/a?b=c`), which stands for that path on every host. The host is lower-cased and the scheme's default port
 * dropped; path and query keep their exact bytes, because they are compared with what clients sent: `new URL()` would
 * rewrite `/a/./b` into something that was never asked for. No character is a wildcard.
 */
export function readUrlPattern(text: string): ReadPattern {
  // On the wire a target has no other bytes, so a pattern with them would quietly match nothing.
  if (!/^[\x21-\x7e]*$/.test(text)) return { problem: 'has a space, a control character or one outside ASCII: percent-encode it, as clients do' }
  if (text.includes('#')) return { problem: 'has a fragment (#…), which clients never send' }
  if (text.startsWith('//')) return { problem: 'begins with //: name a scheme (http://host/…) or a path (/…)' }
  if (text.startsWith('/')) return { pattern: { authority: undefined, target: text } }

  const parts = /^(https?):\/\/([^/?]*)(.*)$/i.exec(text)
  if (parts === null) return { problem: 'must be absolute (http://host/path) or a path (/path)' }
  const [, scheme = '', rawAuthority = '', rest = ''] = parts
  if (rawAuthority.includes('@')) return { problem: 'has user information (user@), which is not part of what is cached' }
  const authority = normaliseAuthority(rawAuthority, scheme.toLowerCase() === 'https' ? 'https' : 'http')
  if (authority === undefined) return { problem: `has no valid host: ${JSON.stringify(rawAuthority.slice(0, 100))}` }
  // RFC 9112 §3.2.1: an empty path is sent as "/".
  const target = rest.startsWith('/') ? rest : `/${rest}`
  return { pattern: { authority, target } }
}

/** As readUrlPattern, for what needs a host: one request is explained, not a set of them. */
export function readAbsoluteUrl(text: string): ReadPattern {
  const read = readUrlPattern(text)
  if (read.pattern !== undefined && read.pattern.authority === undefined) return { problem: 'must be absolute (http://host/path)' }
  return read
}

/** A pattern as a person writes it. */
export function showPattern(pattern: UrlPattern): string {
  return pattern.authority === undefined ? pattern.target : `http://${pattern.authority}${pattern.target}`
}

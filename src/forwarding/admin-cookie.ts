// The cookie of a login at the admin listener. Browsers send it to every port of the host, so the proxy listener removes it.
import { withoutOuterSpace } from '../http/white-space.ts'

/** The name of the cookie. Cookies ignore ports (RFC 6265 §8.5). */
export const adminCookie = 'springhouse_admin'

/**
 * Removes the cookie from Node's rawHeaders, in place, so that no key, no origin and no session sees it. All other pairs keep their
 * bytes. A request whose Cookie lines are empty afterwards has none.
 *
 * A pair is the text between two semicolons, also within quotes: RFC 6265 knows no quoted semicolon, and browsers send none.
 */
export function removeAdminCookie(rawHeaders: string[]): void {
  let removed = false
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const value = rawHeaders[i + 1] as string
    if (!isCookie(rawHeaders[i] as string) || !value.includes(adminCookie)) continue
    const kept = value.split(';').filter(pair => !isAdminPair(pair)).join(';')
    if (kept === value) continue
    removed = true
    rawHeaders[i + 1] = withoutOuterSpace(kept)
  }
  if (removed) removeEmpty(rawHeaders)
}

function isCookie(name: string): boolean {
  return name.length === 6 && name.toLowerCase() === 'cookie'
}

// Also a name without a value: an application may take it for an empty one.
function isAdminPair(pair: string): boolean {
  const equals = pair.indexOf('=')
  return withoutOuterSpace(pair, 0, equals === -1 ? pair.length : equals) === adminCookie
}

function removeEmpty(rawHeaders: string[]): void {
  const kept = rawHeaders.filter((_, i) => !isCookie(rawHeaders[i - (i % 2)] as string) || /[^; \t]/.test(rawHeaders[i - (i % 2) + 1] as string))
  for (const [i, part] of kept.entries()) rawHeaders[i] = part
  rawHeaders.length = kept.length
}

// Cross-site requests: an unsafe request is from this site, from a trusted origin, or from no browser.
import { normaliseAuthority } from '../http/authority.ts'
import { fieldLineValues, type FieldLines } from '../http/fields.ts'

/** The authority of a request, and the public hosts that a trusted proxy reports for it. */
export interface OwnHosts {
  readonly authority: string
  readonly publicHosts: readonly string[]
}

/**
 * True if a page of another site may have sent a request, as its browser reports it. A trusted Origin goes first; then Sec-Fetch-Site
 * decides; without it Origin must name the host of the request. Without both the sender is no browser, which adds a victim's cookies.
 * @param fields the request's fields, with names in lower case
 */
export function isCrossSite(fields: FieldLines, own: OwnHosts, trustedOrigins: ReadonlySet<string>): boolean {
  const origins = fieldLineValues(fields, 'origin')
  const [origin] = origins
  if (origin !== undefined && origins.length === 1 && trustedOrigins.has(origin.toLowerCase())) return false
  const sites = fieldLineValues(fields, 'sec-fetch-site')
  if (sites.length > 0) return sites.length > 1 || (sites[0] !== 'same-origin' && sites[0] !== 'none')
  if (origin === undefined) return false
  return origins.length > 1 || !isOwn(origin, own)
}

// The scheme is not compared: a proxy in front that ends TLS may not report it.
function isOwn(origin: string, { authority, publicHosts }: OwnHosts): boolean {
  const match = /^(https?):\/\/([^/?#]+)$/i.exec(origin)
  if (match === null) return false
  const scheme = match[1]?.toLowerCase() === 'https' ? 'https' : 'http'
  const host = normaliseAuthority(match[2] as string, scheme)
  if (host === undefined) return false
  return [authority, ...publicHosts].some(own => own === host || normaliseAuthority(own, scheme) === host)
}

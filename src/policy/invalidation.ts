// The URLs that an unsafe request invalidates: RFC 9111 §4.4.
import { fieldValue, type FieldLines } from '../http/fields.ts'
import { sameOriginTargets } from './references.ts'

/** RFC 9110 §9.2.1. An unknown method may change things, so it counts as unsafe. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'REPORT', 'QUERY'])

/** A URL without its scheme, as purges name them. */
export interface InvalidUrl {
  readonly authority: string
  readonly target: string
}

/**
 * Returns the URLs that a response invalidates: the request's own, and those of Location and Content-Location if they have
 * the same origin. §4.4 forbids other origins, because any site could empty another's cache. [] after a safe method or an
 * error.
 */
export function invalidatedUrls(
  request: { readonly method: string; readonly scheme: string; readonly authority: string; readonly target: string },
  status: number,
  fields: FieldLines,
): InvalidUrl[] {
  if (safeMethods.has(request.method) || status < 200 || status >= 400) return [] // §4.4: a non-error status is 2xx or 3xx
  const urls: InvalidUrl[] = [{ authority: request.authority, target: request.target }]
  for (const name of ['location', 'content-location']) {
    const value = fieldValue(fields, name)
    const targets = value === undefined ? [] : sameOriginTargets(value, request)
    for (const target of targets) if (!urls.some(known => known.target === target)) urls.push({ authority: request.authority, target })
  }
  return urls
}

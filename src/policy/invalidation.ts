// What an unsafe request makes invalid: RFC 9111 §4.4.
import { fieldValue, type FieldLines } from '../http/fields.ts'

/** RFC 9110 §9.2.1. A method that is not known here may change things, so it counts as unsafe. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'REPORT', 'QUERY'])

/** A URL without its scheme, as purges name them. */
export interface InvalidUrl {
  readonly authority: string
  readonly target: string
}

/**
 * The URLs that a request's answer invalidates: its own, and those of Location and Content-Location where they have the
 * same origin (§4.4: never another's, or any site could empty any other's cache). [] after a safe method or an error.
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
    const url = value === undefined ? undefined : sameOriginUrl(value, request)
    if (url !== undefined && !urls.some(known => known.target === url.target)) urls.push(url)
  }
  return urls
}

function sameOriginUrl(reference: string, request: { readonly scheme: string; readonly authority: string; readonly target: string }): InvalidUrl | undefined {
  const base = parsedUrl(`${request.scheme}://${request.authority}${request.target}`)
  const parsed = base === undefined ? undefined : parsedUrl(reference, base)
  if (base === undefined || parsed === undefined || parsed.protocol !== base.protocol || parsed.host !== base.host) return undefined
  // A path that the origin spelt out is taken byte for byte: URL parsing may rewrite it, and the key is of exact bytes.
  if (reference.startsWith('/') && !reference.startsWith('//')) return { authority: request.authority, target: reference.split('#', 1)[0] as string }
  return { authority: request.authority, target: parsed.pathname + parsed.search }
}

function parsedUrl(reference: string, base?: URL): URL | undefined {
  return URL.canParse(reference, base?.href) ? new URL(reference, base) : undefined
}

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
    const targets = value === undefined ? [] : sameOriginTargets(value, request)
    for (const target of targets) if (!urls.some(known => known.target === target)) urls.push({ authority: request.authority, target })
  }
  return urls
}

// Two where they differ: the bytes that the origin spelt out, for the key is of exact bytes, and what URL parsing makes of
// them, for that is what most clients then ask for.
function sameOriginTargets(reference: string, request: { readonly scheme: string; readonly authority: string; readonly target: string }): string[] {
  const base = parsedUrl(`${request.scheme}://${request.authority}${request.target}`)
  const parsed = base === undefined ? undefined : parsedUrl(reference, base)
  if (base === undefined || parsed === undefined || parsed.protocol !== base.protocol || parsed.host !== base.host) return []
  const spelt = /^(?:[a-z]+:\/\/[^/?#]+|(?!\/\/))(\/[^#]*)/i.exec(reference)?.[1]
  const resolved = parsed.pathname + parsed.search
  return spelt === undefined || spelt === resolved ? [resolved] : [spelt, resolved]
}

function parsedUrl(reference: string, base?: URL): URL | undefined {
  return URL.canParse(reference, base?.href) ? new URL(reference, base) : undefined
}

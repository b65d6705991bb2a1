// Resolves a reference in a response field (Location, Content-Location), as this cache keys it: RFC 3986 §5, RFC 9110 §8.7,
// §10.2.2.

import { purgeHost, withoutFinalDot } from '../http/authority.ts'

/** The URL of a request, and what a trusted proxy reports of the URL that the client requested. */
export interface RequestUrl {
  readonly scheme: string
  readonly authority: string
  readonly target: string
  readonly publicHosts?: readonly string[]
  /** True if a trusted proxy forwards it: it may have ended TLS, so the scheme that the client used is not known. */
  readonly anyScheme?: boolean
}

/**
 * Returns the targets that a reference may mean at the request's own origin, or at the one that the client requested from a
 * trusted proxy; [] if it leads to another origin, or is no URL.
 * Returns two if they differ: the bytes that the origin wrote, because the key has exact bytes, and the result of URL
 * parsing, because most clients then request that.
 */
export function sameOriginTargets(reference: string, request: RequestUrl): string[] {
  const base = parsedUrl(`${request.scheme}://${request.authority}${request.target}`)
  const parsed = base === undefined ? undefined : parsedUrl(reference, base)
  if (base === undefined || parsed === undefined || !isOwnOrigin(parsed, base, request)) return []
  const spelt = /^(?:[a-z]+:\/\/[^/?#]+|(?!\/\/))(\/[^#]*)/i.exec(reference)?.[1]
  const resolved = targetOf(parsed)
  return spelt === undefined || spelt === resolved ? [resolved] : [spelt, resolved]
}

function isOwnOrigin(parsed: URL, base: URL, { publicHosts = [], anyScheme = false }: RequestUrl): boolean {
  if (parsed.protocol !== base.protocol && !(anyScheme && /^https?:$/.test(parsed.protocol))) return false
  return withoutDot(parsed.host) === withoutDot(base.host) || publicHosts.includes(purgeHost(parsed.host))
}

// RFC 3986 §3.2.2: a name with a final dot is the same host.
function withoutDot(host: string): string {
  return withoutFinalDot(host.replace('.:', ':'))
}

// Not pathname and search, which would lose an empty query: `/a?` is another resource than `/a`.
function targetOf(url: URL): string {
  url.hash = '' // also removes an empty one
  return url.href.slice(url.href.indexOf('/', url.protocol.length + 2))
}

function parsedUrl(reference: string, base?: URL): URL | undefined {
  return URL.canParse(reference, base?.href) ? new URL(reference, base) : undefined
}

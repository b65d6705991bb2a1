// What a reference in a response field (Location, Content-Location) leads to, as this cache keys it: RFC 3986 §5, RFC 9110 §8.7, §10.2.2.

/**
 * The targets that a reference may mean at the request's own origin; [] when it leads to another, or is no URL. Two where
 * they differ: the bytes that the origin spelt out, for the key is of exact bytes, and what URL parsing makes of them, for
 * that is what most clients then ask for.
 */
export function sameOriginTargets(reference: string, request: { readonly scheme: string; readonly authority: string; readonly target: string }): string[] {
  const base = parsedUrl(`${request.scheme}://${request.authority}${request.target}`)
  const parsed = base === undefined ? undefined : parsedUrl(reference, base)
  if (base === undefined || parsed === undefined || parsed.protocol !== base.protocol || parsed.host !== base.host) return []
  const spelt = /^(?:[a-z]+:\/\/[^/?#]+|(?!\/\/))(\/[^#]*)/i.exec(reference)?.[1]
  const resolved = targetOf(parsed)
  return spelt === undefined || spelt === resolved ? [resolved] : [spelt, resolved]
}

// Not pathname and search, which would lose an empty query: `/a?` is another resource than `/a`.
function targetOf(url: URL): string {
  url.hash = '' // takes an empty one off as well
  return url.href.slice(url.href.indexOf('/', url.protocol.length + 2))
}

function parsedUrl(reference: string, base?: URL): URL | undefined {
  return URL.canParse(reference, base?.href) ? new URL(reference, base) : undefined
}

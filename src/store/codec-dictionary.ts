// Strings that nearly every stored response holds, each encoded as a number.

// Part of the encoded form: append only. To move or remove a string, the codec needs a new version.
const words: readonly string[] = [
  '', 'cache-control', 'content-type', 'content-length', 'content-encoding', 'content-language', 'content-location',
  'content-disposition', 'content-range', 'content-security-policy', 'date', 'etag', 'last-modified', 'expires', 'vary',
  'age', 'server', 'connection', 'keep-alive', 'link', 'location', 'pragma', 'set-cookie', 'warning', 'allow',
  'accept-ranges', 'alt-svc', 'access-control-allow-origin', 'access-control-allow-methods',
  'access-control-allow-headers', 'access-control-allow-credentials', 'access-control-expose-headers',
  'access-control-max-age', 'cache-tag', 'surrogate-key', 'surrogate-control', 'cdn-cache-control', 'cache-groups',
  'strict-transport-security', 'x-content-type-options', 'x-frame-options', 'x-xss-protection', 'referrer-policy',
  'permissions-policy', 'x-powered-by', 'x-request-id', 'x-correlation-id', 'x-ratelimit-limit',
  'x-ratelimit-remaining', 'x-ratelimit-reset', 'x-dns-prefetch-control', 'x-download-options',
  'x-permitted-cross-domain-policies', 'cross-origin-opener-policy', 'cross-origin-resource-policy',
  'origin-agent-cluster', 'server-timing', 'traceparent', 'via', 'retry-after', 'transfer-encoding',
  'accept', 'accept-encoding', 'accept-language', 'authorization', 'origin', 'user-agent', 'x-api-version',
  'application/json', 'application/json; charset=utf-8', 'application/problem+json', 'text/html',
  'text/html; charset=utf-8', 'text/plain', 'text/plain; charset=utf-8', 'application/octet-stream', 'image/png',
  'image/jpeg', 'image/webp', 'gzip', 'br', 'deflate', 'identity', 'zstd', 'gzip, deflate', 'gzip, deflate, br',
  'Accept', 'Accept-Encoding', 'Accept-Language', 'Origin', 'Accept, Accept-Encoding', 'Accept-Encoding, Origin',
  'bytes', 'none', '*', 'true', 'nosniff', 'DENY', 'SAMEORIGIN', 'no-referrer', 'strict-origin-when-cross-origin',
  'max-age=60', 'max-age=300', 'max-age=3600', 'max-age=86400', 'public', 'public, max-age=60', 'public, max-age=300',
  'public, max-age=3600', 'public, max-age=86400', 'public, max-age=31536000, immutable', 's-maxage=60',
  's-maxage=300', 's-maxage=3600', 'no-cache', 'must-revalidate', 'same-origin', '0', '1; mode=block', 'Express',
  'nginx', 'uvicorn', 'gunicorn', 'cloudflare', 'Apache',
]

const numbers: ReadonlyMap<string, number> = new Map(words.map((word, number) => [word, number]))

/** Returns the number of a string in the table. */
export function wordNumber(value: string): number | undefined {
  return numbers.get(value)
}

/** Returns the string of a number; undefined beyond the table's end. */
export function wordAt(number: number): string | undefined {
  return words[number]
}

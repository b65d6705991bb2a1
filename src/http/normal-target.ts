// The normal form of a target: one spelling for all targets that RFC 3986 §6.2.2 treats as the same URL.

// Matches what normalising may change: an encoding, a byte beyond ASCII, a segment that begins with a dot.
const mayChange = /[%\u0080-\uffff]|\/\./

/**
 * Returns a target in normal form: hexadecimal digits in upper case, unreserved characters decoded, bytes beyond ASCII
 * encoded, no dot segments. Everything else keeps its bytes: RFC 3986 does not treat `//`, `%2F`, `;` or letters in another
 * case as equivalent. Purges and invalidations compare this form. The key and the forwarded request keep the exact bytes.
 */
export function normalTarget(target: string): string {
  if (!mayChange.test(target)) return target
  const mark = target.indexOf('?')
  if (mark < 0) return normalPath(target)
  return normalPath(target.slice(0, mark)) + normalEncoding(target.slice(mark))
}

/** Returns the path of a target in normal form. */
export function normalPath(path: string): string {
  return withoutDotSegments(normalEncoding(path), false)
}

/**
 * Returns the beginning of a target in normal form. Its last segment may be half a name: `/.` begins `/.well-known`, and
 * stays.
 */
export function normalPrefix(prefix: string): string {
  if (!mayChange.test(prefix)) return prefix
  const mark = prefix.indexOf('?')
  if (mark < 0) return withoutDotSegments(normalEncoding(prefix), true)
  return normalPath(prefix.slice(0, mark)) + normalEncoding(prefix.slice(mark))
}

// RFC 3986 §2.3.
const unreserved = /[A-Za-z0-9._~-]/

// RFC 3986 §6.2.2.1, §6.2.2.2. Decodes once: `%2561` stays, because it means the text "%61".
function normalEncoding(text: string): string {
  return encoded(text).replaceAll(/%[0-9A-Fa-f]{2}/g, (triplet) => {
    const char = String.fromCharCode(Number.parseInt(triplet.slice(1), 16))
    return unreserved.test(char) ? char : triplet.toUpperCase()
  })
}

/** Returns a path with its encodings in upper case and bytes beyond ASCII encoded, and otherwise as received. */
export function evenlyEncoded(path: string): string {
  return encoded(path).replaceAll(/%[0-9A-Fa-f]{2}/g, triplet => triplet.toUpperCase())
}

// A target is received as one character for each byte. Bytes beyond ASCII may only occur encoded (RFC 3986 §2).
function encoded(text: string): string {
  return text.replaceAll(/[\u0080-\u00ff]/g, byte => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** Removes dot segments (RFC 3986 §5.2.4) from a path that begins with a slash. */
function withoutDotSegments(path: string, keepLast: boolean): string {
  if (!path.includes('/.')) return path
  const segments = path.split('/')
  const kept: string[] = []
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i] as string
    const last = i === segments.length - 1
    if ((segment !== '.' && segment !== '..') || (last && keepLast)) {
      kept.push(segment)
      continue
    }
    if (segment === '..') kept.pop()
    if (last) kept.push('')
  }
  return `/${kept.join('/')}`
}

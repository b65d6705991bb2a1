// The normal form of a target: the one spelling of all that RFC 3986 §6.2.2 takes for the same URL.

// Matches what normalising may change: an encoding, a byte beyond ASCII, a segment that begins with a dot.
const mayChange = /[%\u0080-\uffff]|\/\./

/**
 * A target in normal form: hexadecimal digits in upper case, unreserved characters decoded, bytes beyond ASCII encoded, and no
 * dot segments. Everything else keeps its bytes: `//`, `%2F`, `;` and letters in another case are not equivalent by RFC 3986.
 * Purges and invalidations compare this form. The key and the request to the origin keep the exact bytes.
 */
export function normalTarget(target: string): string {
  if (!mayChange.test(target)) return target
  const mark = target.indexOf('?')
  if (mark < 0) return normalPath(target)
  return normalPath(target.slice(0, mark)) + normalEncoding(target.slice(mark))
}

/** The path of a target in normal form. */
export function normalPath(path: string): string {
  return withoutDotSegments(normalEncoding(path), false)
}

/** The beginning of a target in normal form. Its last segment may be half a name: `/.` begins `/.well-known`, and stays. */
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

/** A path with its encodings in upper case and bytes beyond ASCII encoded, and otherwise as it was received. */
export function evenlyEncoded(path: string): string {
  return encoded(path).replaceAll(/%[0-9A-Fa-f]{2}/g, triplet => triplet.toUpperCase())
}

// A target comes from the wire as one character for each byte. Bytes beyond ASCII may only be encoded (RFC 3986 §2), and mean that.
function encoded(text: string): string {
  return text.replaceAll(/[\u0080-\u00ff]/g, byte => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** RFC 3986 §5.2.4, for a path that begins with a slash. */
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

// The paths of routes: what a path may contain, and what an operator probably meant by one that would match nothing.

/** Returns whether a text can be a route's `path` or `exact`. */
export function isRoutePath(text: string): boolean {
  return plainPath.test(text) && pattern(text) === undefined
}

/** Returns why a text cannot be a route's path, and what to write. Called only if `isRoutePath` is false. */
export function routePathMistake(text: string): string | undefined {
  if (/^https?:\/\//i.test(text)) return 'expected a path without scheme and host (the host is match.host)'
  const found = pattern(text)
  if (found === undefined && text.startsWith('/') && text.includes('?')) return 'expected a path without ?: a query does not choose a route'
  if (found !== undefined) return `${found.what} is not supported: ${remedy(text, found.at)}`
  return undefined
}

/**
 * Returns what is wrong with a path that has the right form; undefined if requests can match it. Requests with a `..` segment are
 * refused, and a `%` that encodes nothing equals no other spelling.
 */
export function unreachablePath(path: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return `${JSON.stringify(path)} has a % that begins no percent-encoding; write %25 for the character`
  const segments = path.replaceAll(/%2e/gi, '.').replaceAll(/%3b/gi, ';').replaceAll(/%2f|%5c|\\/gi, '/').split('/')
  const climbs = segments.some((segment) => segment === '..' || segment.startsWith('..;'))
  return climbs ? `${JSON.stringify(path)} has a .. segment, and requests with such a segment are refused; write the path that it resolves to` : undefined
}

const plainPath = /^\/[^\p{Cc}\p{Cs} ?#]*$/u

interface Pattern {
  readonly what: string
  /** The index at which it begins. */
  readonly at: number
}

// Signs of a pattern, the surest first. `(`, `)`, `+`, `$` and `:` alone are characters of paths: /Products(1), /v1/users:batch.
const signs: readonly (readonly [expression: RegExp, what: string])[] = [
  [/^[~^=]|^\/\^|\.[*+]|\\[dwsb./-]|\[|\]|\||\^|\(\?|\)[?*+]|.\$$/, 'a regular expression'],
  [/\{/, 'a variable in braces'],
  [/\*/, 'a wildcard'],
  [/(?<=\/):(?=[A-Za-z_])/, 'a variable after a colon'],
]

function pattern(text: string): Pattern | undefined {
  for (const [expression, what] of signs) {
    const match = expression.exec(text)
    if (match !== null) return { what, at: match.index }
  }
  return undefined
}

/** Names the path before a pattern, which takes everything below it. */
function remedy(text: string, at: number): string {
  const literal = text.slice(0, at).replaceAll(/[\^~=\\(]/g, '').trim()
  const path = literal.slice(0, literal.lastIndexOf('/'))
  if (path === '') return 'a path takes itself and everything below it; leave the path out to take every request'
  return `a path takes itself and everything below it; write ${path}`
}

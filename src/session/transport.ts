// How a session's token travels: in one cookie, or as a bearer token. Reads it from a request, and writes it for a client.
import { listMembers } from '../http/fields.ts'
import { withoutOuterSpace } from '../http/white-space.ts'
import { tokenPrefix } from './token.ts'

export interface CookieSettings {
  readonly name: string
  readonly sameSite: 'lax' | 'strict' | 'none'
  readonly secure: boolean
  readonly domain: string | undefined
  readonly partitioned: boolean
}

/** The session credentials of a request. */
export interface Credentials {
  /** The values of all cookies with the session's name. */
  readonly cookies: readonly string[]
  /** Bearer tokens that begin as a session's. */
  readonly bearers: readonly string[]
  /** The other fields; undefined if the request holds no credentials, and its fields may stay as they are. */
  readonly others: readonly string[] | undefined
}

const none: Credentials = Object.freeze({ cookies: [], bearers: [], others: undefined })
const bearer = new RegExp(`^bearer[ \\t]+(${tokenPrefix}.*)$`, 'is')

/**
 * Takes the session credentials out of a request's fields.
 * @param raw Node's rawHeaders
 * @param cookieName undefined: sessions are off, and their credentials mean nothing
 * @param withheld true for other fields that do not reach the origin
 */
export function takeCredentials(raw: readonly string[], cookieName: string | undefined, withheld: (name: string) => boolean): Credentials {
  if (!raw.some((part, i) => i % 2 === 0 && concerns(part, raw[i + 1] as string, cookieName, withheld))) return none
  const cookies: string[] = []
  const bearers: string[] = []
  const others: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const [name, value] = [raw[i] as string, raw[i + 1] as string]
    if (isNamed(name, 'cookie') && cookieName !== undefined) {
      const kept = value.split(';').filter(pair => {
        const equals = pair.indexOf('=')
        if (equals < 0 || withoutOuterSpace(pair, 0, equals) !== cookieName) return withoutOuterSpace(pair) !== ''
        cookies.push(withoutOuterSpace(pair, equals + 1))
        return false
      })
      if (kept.length > 0) others.push(name, kept.map(pair => withoutOuterSpace(pair)).join('; '))
      continue
    }
    const token = cookieName !== undefined && isNamed(name, 'authorization') ? bearer.exec(withoutOuterSpace(value))?.[1] : undefined
    if (token !== undefined) bearers.push(token)
    else if (!withheld(name)) others.push(name, value)
  }
  return { cookies, bearers, others }
}

/** A quick check, without a copy: most requests of visitors hold nothing of a session. */
function concerns(name: string, value: string, cookieName: string | undefined, withheld: (name: string) => boolean): boolean {
  if (cookieName === undefined) return withheld(name)
  if (isNamed(name, 'cookie')) return value.includes(cookieName)
  if (isNamed(name, 'authorization')) return bearer.test(withoutOuterSpace(value))
  return withheld(name)
}

/** The values of Authorization in a request's fields. @param raw in the form of Node's rawHeaders */
export function authorizationLines(raw: readonly string[]): string[] {
  const values: string[] = []
  for (let i = 0; i < raw.length; i += 2) if (isNamed(raw[i] as string, 'authorization')) values.push(withoutOuterSpace(raw[i + 1] as string))
  return values
}

function isNamed(name: string, expected: string): boolean {
  return name.length === expected.length && name.toLowerCase() === expected
}

/** Returns a Set-Cookie value. @param lifeMs how long the browser keeps the cookie; undefined: until it is closed; 0: no longer */
export function cookieLine({ name, sameSite, secure, domain, partitioned }: CookieSettings, token: string, lifeMs: number | undefined): string {
  let line = `${name}=${token}; Path=/; HttpOnly; SameSite=${sameSite[0]?.toUpperCase()}${sameSite.slice(1)}`
  if (secure) line += '; Secure'
  if (domain !== undefined) line += `; Domain=${domain}`
  if (partitioned) line += '; Partitioned'
  if (lifeMs !== undefined) line += `; Max-Age=${Math.floor(lifeMs / 1000)}`
  return line
}

/** True if a Set-Cookie value sets the session cookie: only the proxy may. */
export function setsCookie(value: string, cookieName: string): boolean {
  const end = value.search(/[=;]/)
  return withoutOuterSpace(end < 0 ? value : value.slice(0, end)) === cookieName
}

// Directives for shared caches in front of this one.
const sharing: ReadonlySet<string> = new Set(['public', 's-maxage', 'private', 'proxy-revalidate'])
const forSharedCaches: ReadonlySet<string> = new Set(['cdn-cache-control', 'surrogate-control'])

/** Returns fields without a session cookie of the origin. Nearly always no origin sets one, and the fields stay as they are. */
export function withoutForeignCookies(fields: string[], cookieName: string): string[] {
  if (!fields.some((part, i) => i % 2 === 0 && part === 'set-cookie' && setsCookie(fields[i + 1] as string, cookieName))) return fields
  return fields.flatMap((part, i) => (i % 2 === 1 || (part === 'set-cookie' && setsCookie(fields[i + 1] as string, cookieName)) ? [] : [part, fields[i + 1] as string]))
}

/** Returns fields with which no shared cache in front stores the response: it is for one client (RFC 9111 §5.2.2.7). */
export function privateFields(fields: readonly string[]): string[] {
  const kept: string[] = []
  let directives = ''
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    if (forSharedCaches.has(name)) continue
    if (name !== 'cache-control') kept.push(name, fields[i + 1] as string)
    else directives += `, ${fields[i + 1]}`
  }
  kept.push('cache-control', privateDirectives(directives))
  return kept
}

/** By the directives of a response, those that its client receives: most responses have the same few. */
const known = new Map<string, string>()
const [mostKnown, mostKnownChars] = [64, 256]

function privateDirectives(directives: string): string {
  const before = known.get(directives)
  if (before !== undefined) return before
  const members = listMembers(directives).filter(member => !sharing.has(member.split('=', 1)[0]?.trim().toLowerCase() ?? ''))
  const result = ['private', ...members].join(', ')
  if (known.size >= mostKnown) known.clear()
  if (directives.length <= mostKnownChars) known.set(directives, result)
  return result
}

/** Returns fields with which no cache at all stores the response. */
export function unstorableFields(fields: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    if (name !== 'cache-control' && name !== 'expires' && !forSharedCaches.has(name)) kept.push(name, fields[i + 1] as string)
  }
  kept.push('cache-control', 'no-store')
  return kept
}

/** Returns fields whose Vary has the fields by which clients identify themselves (RFC 9110 §12.5.5). */
export function varyingFields(fields: string[], names: readonly string[]): string[] {
  const varies = new Set(fields.flatMap((part, i) => (i % 2 === 0 && part === 'vary' ? listMembers((fields[i + 1] as string).toLowerCase()) : [])))
  if (varies.has('*')) return fields
  const missing = names.filter(name => !varies.has(name.toLowerCase()))
  if (missing.length > 0) fields.push('vary', missing.join(', '))
  return fields
}

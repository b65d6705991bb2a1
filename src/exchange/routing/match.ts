// Which route a request takes: host and path, first match wins. A path that origins may read as another route's is not cached.
import { evenlyEncoded, normalPath, normalPrefix } from '../../http/normal-target.ts'
import { pathKind, plainestForms, type PathKind } from '../../http/path-readings.ts'
import { splitTarget } from '../../http/target.ts'
import type { Route, RouteMatch } from './route.ts'

/**
 * @param match.host an exact host, at any port; or `*.example.com`: any host below it
 * @param match.path the beginning of a path, in any spelling
 * @param foldCase true if an origin that ignores case would confuse no two routes of the configuration
 */
export function compileMatch(match: { readonly host?: string | undefined; readonly path?: string | undefined }, foldCase: boolean): RouteMatch {
  const path = normalRoutePath(match.path)
  const domain = match.host?.startsWith('*.') === true ? match.host.slice(1) : undefined
  const lowerPath = foldCase ? path.toLowerCase() : undefined
  const bare = path.length > 1 && path.endsWith('/') ? (lowerPath ?? path).slice(0, -1) : undefined
  return { host: match.host, domain, path, lowerPath, bare, plainest: plainestForms(path, foldCase) }
}

/** Returns true if two routes differ by the case of their paths alone: then their origins are taken to be case-sensitive. */
export function caseTellsApart(paths: readonly (string | undefined)[]): boolean {
  const different = new Set(paths.map(normalRoutePath))
  return new Set([...different].map(path => path.toLowerCase())).size < different.size
}

// An operator writes characters. The wire has the bytes of their UTF-8.
function normalRoutePath(path = '/'): string {
  return normalPrefix(Buffer.from(path).toString('latin1'))
}

/**
 * The first route that matches, or undefined. Paths match in normal form. A target is ambiguous if its bytes, its normal form
 * and its plainest forms do not take the same route. Origins differ in which of these they read. So the route of the normal
 * form is given without its cache, because the route of the origin's response is unknown.
 */
export function matchRoute(routes: readonly Route[], authority: string, target: string): Route | undefined {
  const hostEnd = endOfHost(authority)
  const dotted = authority.charCodeAt(hostEnd - 1) === 0x2e
  let ambiguous = false
  let kind: PathKind | undefined
  let odd: OddPath | undefined
  for (const route of routes) {
    const { match } = route
    if (match.host !== undefined) {
      if (!matchesHost(match.host, match.domain, authority, dotted ? hostEnd - 1 : hostEnd)) continue
      // `example.com.` is the same name in DNS, and another one to an origin that compares bytes.
      ambiguous ||= dotted
    }
    if (match.path === '/') return ambiguous ? route.uncached : route
    kind ??= pathKind(target)
    if (kind === 'odd') {
      odd ??= readOddPath(target, match.lowerPath !== undefined)
      if (odd.normal.startsWith(match.path)) return ambiguous || odd.plainest === undefined || !odd.spelt.startsWith(match.path) ? route.uncached : route
      ambiguous ||= mayBegin(odd.plainest, match.plainest)
    } else if (target.startsWith(match.path)) return ambiguous ? route.uncached : route
    else ambiguous ||= ((kind === 'cased' || match.path !== match.lowerPath) && beginsInLowerCase(target, match.lowerPath)) || lacksLastSlash(target, match)
  }
  return undefined
}

/** Where the name of a host ends, and its port begins. */
function endOfHost(authority: string): number {
  const colon = authority.lastIndexOf(':')
  // In brackets a colon is part of an IPv6 address.
  return colon < 0 || authority.charCodeAt(authority.length - 1) === 0x5d ? authority.length : colon
}

function matchesHost(host: string, domain: string | undefined, authority: string, end: number): boolean {
  return domain === undefined ? host.length === end && authority.startsWith(host) : authority.endsWith(domain, end)
}

/** Returns true if only a last slash is missing to the path of a route: many origins take `/account` for `/account/`. */
function lacksLastSlash(target: string, { bare, lowerPath }: RouteMatch): boolean {
  if (bare === undefined || (target.length !== bare.length && target.charCodeAt(bare.length) !== 0x3f)) return false
  return lowerPath === undefined ? target.startsWith(bare) : beginsInLowerCase(target, bare)
}

/** Compares without making a string: this runs for each request. */
function beginsInLowerCase(target: string, lower: string | undefined): boolean {
  if (lower === undefined || target.length < lower.length) return false
  for (let i = 0; i < lower.length; i++) {
    const char = target.charCodeAt(i)
    if ((char >= 0x41 && char <= 0x5a ? char | 0x20 : char) !== lower.charCodeAt(i)) return false
  }
  return true
}

/** A path that may be read in several ways. */
interface OddPath {
  /** As it was received, evenly encoded. */
  readonly spelt: string
  readonly normal: string
  readonly plainest: readonly string[] | undefined
}

function readOddPath(target: string, foldCase: boolean): OddPath {
  const { path } = splitTarget(target)
  return { spelt: evenlyEncoded(path), normal: normalPath(path), plainest: plainestForms(path, foldCase) }
}

function mayBegin(target: readonly string[] | undefined, route: readonly string[] | undefined): boolean {
  return target === undefined || route === undefined || target.some(form => route.some(beginning => form.startsWith(beginning) || `${form}/` === beginning))
}

// Which route a request takes: host and path, first match wins. A path that origins may read as another route's is not cached.
import { evenlyEncoded, normalPath } from '../../http/normal-target.ts'
import { pathKind, plainestForms, type PathKind } from '../../http/path-readings.ts'
import { splitTarget } from '../../http/target.ts'
import type { Route, RouteMatch } from './route.ts'

/** The hosts and paths of a route, as the configuration has them. */
interface WrittenMatch {
  readonly host?: string | undefined
  readonly path?: string | undefined
  readonly exact?: string | undefined
}

/**
 * @param match.host an exact host, at any port; or `*.example.com`: any host below it, at any depth
 * @param match.path the first segments of a path, in any spelling; a last slash does not matter
 * @param match.exact a whole path, in any spelling
 * @param foldCase true if an origin that ignores case would confuse no two routes of the configuration
 */
export function compileMatch(match: WrittenMatch, foldCase: boolean): RouteMatch {
  const isExact = match.exact !== undefined
  const path = normalRoutePath(match)
  const domain = match.host?.startsWith('*.') === true ? match.host.slice(1) : undefined
  const lowerPath = foldCase ? path.toLowerCase() : undefined
  return { host: match.host, domain, path, isExact, isEvery: path === '/' && !isExact, lowerPath, plainest: plainestForms(path, foldCase) }
}

/** Returns true if two routes differ by the case of their paths alone: then their origins are taken to be case-sensitive. */
export function caseTellsApart(matches: readonly WrittenMatch[]): boolean {
  const different = new Set(matches.map(normalRoutePath))
  return new Set([...different].map(path => path.toLowerCase())).size < different.size
}

// An operator writes characters. The wire has the bytes of their UTF-8.
function normalRoutePath({ path = '/', exact }: WrittenMatch): string {
  const normal = normalPath(Buffer.from(exact ?? path).toString('latin1'))
  return exact === undefined && normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
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
    if (match.isEvery) return ambiguous ? route.uncached : route
    kind ??= pathKind(target)
    if (kind === 'odd') {
      odd ??= readOddPath(target, match.lowerPath !== undefined)
      const extent = extentIn(odd.normal, match)
      if (extent !== undefined) {
        const isPlain = extent === 'whole' && odd.plainest !== undefined && extentIn(odd.spelt, match) === 'whole'
        return ambiguous || !isPlain ? route.uncached : route
      }
      ambiguous ||= mayTake(odd.plainest, match)
    } else if (takes(target, match)) return ambiguous ? route.uncached : route
    else ambiguous ||= ((kind === 'cased' || match.path !== match.lowerPath) && takesInLowerCase(target, match)) || (match.isExact && differsByLastSlash(target, match))
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

/** Returns true if the route of this path takes a target whose path is plain. */
function takes(target: string, { path, isExact }: RouteMatch): boolean {
  return target.startsWith(path) && endsWithin(target, path, isExact)
}

/** Ignores the case of the target; false if routes differ by case. */
function takesInLowerCase(target: string, { lowerPath, isExact }: RouteMatch): boolean {
  return lowerPath !== undefined && beginsInLowerCase(target, lowerPath) && endsWithin(target, lowerPath, isExact)
}

/** Returns true if a path, which begins a target, ends where the target's path ends, or, unless it is exact, where a segment ends. */
function endsWithin(target: string, path: string, isExact: boolean): boolean {
  if (target.length === path.length || target.charCodeAt(path.length) === 0x3f) return true // ?
  return !isExact && (path === '/' || target.charCodeAt(path.length) === 0x2f)
}

/**
 * How far the path of a route reaches in the path of a target: to the end of a segment (`whole`), or to parameters of that segment
 * (`/account;x=1`), which an origin may read as a part of its name.
 */
function extentIn(path: string, match: RouteMatch): 'whole' | 'parameters' | undefined {
  if (takes(path, match)) return 'whole'
  return path.startsWith(match.path) && /^(?:;|%3B)/.test(path.slice(match.path.length)) && (!match.isExact || !path.includes('/', match.path.length)) ? 'parameters' : undefined
}

/** Returns true if a target has a last slash that an exact path has not, or lacks one: many origins take `/account/` for `/account`. */
function differsByLastSlash(target: string, match: RouteMatch): boolean {
  const path = match.lowerPath ?? match.path
  const begins = match.lowerPath === undefined ? target.startsWith(path) : beginsInLowerCase(target, path)
  if (begins) return target.charCodeAt(path.length) === 0x2f && endsWithin(target, `${path}/`, true)
  const bare = path.slice(0, -1)
  return path.endsWith('/') && (match.lowerPath === undefined ? target.startsWith(bare) : beginsInLowerCase(target, bare)) && endsWithin(target, bare, true)
}

/** Compares without making a string: this runs for each request. */
function beginsInLowerCase(target: string, lower: string): boolean {
  if (target.length < lower.length) return false
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

/** Returns true if an origin may read, in a path with these plainest forms, a path of the route. */
function mayTake(forms: readonly string[] | undefined, { plainest, isExact }: RouteMatch): boolean {
  return forms === undefined || plainest === undefined || forms.some(form => plainest.some(path => isWithin(form, withoutLastSlash(path), isExact)))
}

function isWithin(form: string, path: string, isExact: boolean): boolean {
  if (path === '') return !isExact || form === '/'
  return form === path || form === `${path}/` || (!isExact && form.startsWith(`${path}/`))
}

function withoutLastSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

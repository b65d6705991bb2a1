// Cache directives addressed to caches like this one: targeted fields (RFC 9213) and Surrogate-Control.
import { parseDictionary } from 'structured-headers'
import { hasWellFormedDirective, noResponseDirectives, parseResponseDirectives, type ResponseDirectives } from './cache-control.ts'
import { maxDeltaSeconds, qualifiedNames } from './directives.ts'
import { fieldValue, listMembers, type FieldLines } from './fields.ts'

/**
 * The directives of a targeted field (`cdn-cache-control`); undefined where it is to be ignored, because it is absent,
 * empty, or not a Structured Fields Dictionary as a whole (RFC 9213 §2.1, a MUST). Where it is not undefined,
 * Cache-Control and Expires count for nothing (§2.2), even if it holds no directive that is known here.
 *
 * A value of the wrong type should not be consumed (§2.1), and the section leaves open what then holds. Dropping
 * `max-age=1.5` or `private=1` alone, with Cache-Control out of play, would leave a response that nothing restricts.
 * So it is read as Cache-Control's malformed values are: numbers as 0, what
 * restricts as present, what permits as absent. That goes for `no-store=?0` too: no-store "always has a Boolean true
 * value". Of a directive given twice RFC 9651 §3.2 keeps the last; here, as in Cache-Control, what restricts most of all that
 * was given counts: two of them in an answer come of two authors, and neither knew of the other. Parameters are ignored.
 */
export function targetedDirectives(lines: FieldLines, fieldName: string): ResponseDirectives | undefined {
  const value = fieldValue(lines, fieldName)
  const given = value === undefined ? undefined : valuesOf(value)
  if (given === undefined || given.size === 0) return undefined

  const seconds = (name: string): number | undefined => least(given.get(name))
  const orStale = (name: string): number | undefined => (given.has(name) ? (seconds(name) ?? 0) : undefined)
  const permits = (name: string): boolean => given.get(name)?.every(one => one === true) === true
  const sMaxages = new Set(given.get('s-maxage'))
  return {
    maxAge: orStale('max-age'),
    sMaxage: orStale('s-maxage'),
    lifetimeMalformed: ['max-age', 's-maxage'].some(name => given.has(name) && seconds(name) === undefined),
    noStore: given.has('no-store'),
    noCache: fieldNames(given.get('no-cache')),
    private: fieldNames(given.get('private')),
    public: permits('public'),
    mustRevalidate: given.has('must-revalidate'),
    proxyRevalidate: given.has('proxy-revalidate'),
    mustUnderstand: given.has('must-understand'),
    liftsNoStore: permits('must-understand'),
    // Two s-maxage that contradict each other grant no sharing.
    grantsSharing: permits('public') || permits('must-revalidate') || (sMaxages.size === 1 && (seconds('s-maxage') ?? 0) > 0),
    immutable: permits('immutable'),
    noTransform: given.has('no-transform'),
    staleWhileRevalidate: orStale('stale-while-revalidate'),
    staleIfError: orStale('stale-if-error'),
  }
}

/** Whether a targeted field has directives that are known here, and each of them has a value of another type than it should. */
export function isOnlyMalformed(lines: FieldLines, fieldName: string): boolean {
  const value = fieldValue(lines, fieldName)
  const given = value === undefined ? undefined : valuesOf(value)
  let malformed = false
  for (const [name, values] of given ?? []) {
    const wellFormed = types.get(name)
    if (wellFormed === undefined) continue
    if (wellFormed(values)) return false
    malformed = true
  }
  return malformed
}

const isTrue = (values: readonly unknown[]): boolean => values.every(value => value === true)
const isSeconds = (values: readonly unknown[]): boolean => least(values) !== undefined
const isQualified = (values: readonly unknown[]): boolean => values.every(value => value === true || (typeof value === 'string' && qualifiedNames(value) !== true))

const types: ReadonlyMap<string, (values: readonly unknown[]) => boolean> = new Map([
  ...['no-store', 'must-revalidate', 'proxy-revalidate', 'no-transform', 'public', 'immutable', 'must-understand'].map(name => [name, isTrue] as const),
  ...['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'].map(name => [name, isSeconds] as const),
  ...['no-cache', 'private'].map(name => [name, isQualified] as const),
])

/**
 * The directives of a Surrogate-Control (Edge Architecture Specification, W3C Note 2001, §2), from its combined value;
 * undefined where it is absent or says nothing of caching, so that `content="ESI/1.0"` does not put a Cache-Control:
 * private out of play.
 *
 * - `max-age=N+M`: N. The extension M, for which a stale response might still be served, is ignored.
 * - `max-age=N;device`: ignored, it is meant for another surrogate. A no-store meant for another is obeyed.
 * - `no-store-remote`: as no-store. Whether this proxy is near its origin or remote, only its operator knows; an
 *   operator near it can drop the directive, one far from it could not add it.
 * - `content`: ignored; no capability is advertised, and none is used.
 * - Every other directive as in Cache-Control, malformed ones included: that is what origins write there (Fastly
 *   documents stale-while-revalidate), and a `private` that the Note does not know is still no leave to store.
 */
export function surrogateDirectives(value: string | undefined): ResponseDirectives | undefined {
  if (value === undefined) return undefined
  const directives = parseResponseDirectives(asCacheControl(value))
  return saysNothing(directives) ? undefined : directives
}

/** Whether a Surrogate-Control has a directive that is well-formed: malformed ones alone do not replace Cache-Control. */
export function isPartlyWellFormed(value: string): boolean {
  return hasWellFormedDirective(asCacheControl(value))
}

function asCacheControl(surrogateControl: string): string {
  const members: string[] = []
  for (const member of listMembers(surrogateControl)) {
    const maxAge = /^max-age=(\d+)(?:\+\d+)?([ \t]*;.*)?$/i.exec(member)
    if (maxAge === null) members.push(member.replace(/^no-store-remote(?=[ \t;=]|$)/i, 'no-store'))
    else if (maxAge[2] === undefined) members.push(`max-age=${maxAge[1]}`)
  }
  return members.join(', ')
}

/** What was given for each key, in order; undefined for what is no Dictionary (§2.1: it is ignored as a whole). */
function valuesOf(value: string): ReadonlyMap<string, readonly unknown[]> | undefined {
  const given = new Map<string, unknown[]>()
  try {
    parseDictionary(value)
    // Safe to part by commas: this is a valid dictionary, in which only a String can hold one that does not part.
    for (const written of listMembers(value)) {
      for (const [key, [member]] of parseDictionary(written)) {
        const values = given.get(key) ?? []
        values.push(isDecimal(written) ? Number.NaN : member)
        given.set(key, values)
      }
    }
  } catch {
    return undefined
  }
  return given
}

/** The parser gives `60.0` as the number 60, but §2.1 does not want a Decimal taken for an Integer: it counts as no number. */
function isDecimal(written: string): boolean {
  return /^[^=;]+=-?\d+\./.test(written)
}

/** delta-seconds given as Integers, the least of them; undefined when absent, or where one is anything else: negative, Decimal, String. */
function least(values: readonly unknown[] | undefined): number | undefined {
  if (values?.every(value => Number.isInteger(value) && Number(value) >= 0) !== true) return undefined
  return (values as readonly number[]).reduce((lesser, value) => Math.min(lesser, value), maxDeltaSeconds)
}

/** Boolean true is the unqualified form, a String the qualified one; any other type restricts as the unqualified form does. */
function fieldNames(values: readonly unknown[] | undefined): true | readonly string[] | undefined {
  const names: string[] = []
  for (const value of values ?? []) {
    const named = typeof value === 'string' ? qualifiedNames(value) : true
    if (named === true) return true
    for (const name of named) names.push(name)
  }
  return values === undefined ? undefined : names
}

const directiveNames = Object.keys(noResponseDirectives) as (keyof ResponseDirectives)[]

function saysNothing(directives: ResponseDirectives): boolean {
  return directiveNames.every((name) => directives[name] === noResponseDirectives[name])
}

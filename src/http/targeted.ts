// Cache directives that are addressed to shared caches: targeted fields (RFC 9213) and Surrogate-Control.
import { parseDictionary } from 'structured-headers'
import { hasWellFormedDirective, noResponseDirectives, parseResponseDirectives, type ResponseDirectives } from './cache-control.ts'
import { maxDeltaSeconds, qualifiedNames } from './directives.ts'
import { fieldValue, listMembers, type FieldLines } from './fields.ts'

/**
 * Returns the directives of a targeted field (`cdn-cache-control`). Returns undefined if the field is to be ignored: it is
 * absent, empty, or not a Structured Fields Dictionary as a whole (RFC 9213 §2.1, a MUST). Otherwise Cache-Control and
 * Expires do not count (§2.2), even if no known directive is among them.
 *
 * A value of the wrong type should not be consumed (§2.1), but the section does not say what holds then. Cache-Control does
 * not count, so dropping `max-age=1.5` or `private=1` would leave a response that nothing restricts. Therefore malformed
 * values are read as in Cache-Control: numbers as 0, restrictions as present, permissions as absent. That includes
 * `no-store=?0`: no-store "always has a Boolean true value".
 *
 * RFC 9651 §3.2 keeps the last of duplicate directives. Here the most restrictive one counts, as in Cache-Control:
 * duplicates in a response come from two authors that did not know of each other. Parameters are ignored.
 */
export function targetedDirectives(lines: FieldLines, fieldName: string): ResponseDirectives | undefined {
  const value = fieldValue(lines, fieldName)
  const given = value === undefined ? undefined : valuesOf(value)
  if (given === undefined || given.size === 0) return undefined

  const seconds = (name: string): number | undefined => least(given.get(name))
  const orStale = (name: string): number | undefined => (given.has(name) ? (seconds(name) ?? 0) : undefined)
  const orMalformed = (name: string): boolean => given.has(name) && seconds(name) === undefined
  const permits = (name: string): boolean => given.get(name)?.every(one => one === true) === true
  const sMaxages = new Set(given.get('s-maxage'))
  return {
    maxAge: orStale('max-age'),
    sMaxage: orStale('s-maxage'),
    lifetimeMalformed: orMalformed(given.has('s-maxage') ? 's-maxage' : 'max-age'),
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

/** True if a targeted field has known directives, and the value of each has the wrong type. */
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
 * Returns the directives of a Surrogate-Control (Edge Architecture Specification, W3C Note 2001, §2), from its combined
 * value. Returns undefined if the field is absent or says nothing about caching: `content="ESI/1.0"` must not replace
 * Cache-Control: private.
 * - `max-age=N+M`: N. The extension M, for which a stale response might be served, is ignored.
 * - `max-age=N;device`: ignored, because it is meant for another surrogate. A no-store for another surrogate is obeyed.
 * - `no-store-remote`: as no-store. Only the operator knows whether this proxy is near its origin or remote. An operator
 *   near it can drop the directive; an operator far from it could not add it.
 * - `content`: ignored; no capability is advertised, and none is used.
 * - Every other directive as in Cache-Control, including malformed ones. Origins write them there (Fastly documents
 *   stale-while-revalidate). The Note does not define `private`, but it still forbids storing.
 */
export function surrogateDirectives(value: string | undefined): ResponseDirectives | undefined {
  if (value === undefined) return undefined
  const directives = parseResponseDirectives(asCacheControl(value))
  return saysNothing(directives) ? undefined : directives
}

/** True if a Surrogate-Control has a well-formed directive: malformed ones alone do not replace Cache-Control. */
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

/** Returns the values of each key, in order. Undefined if the field is not a Dictionary (§2.1: it is ignored as a whole). */
function valuesOf(value: string): ReadonlyMap<string, readonly unknown[]> | undefined {
  const given = new Map<string, unknown[]>()
  try {
    parseDictionary(value)
    // Splitting at commas is safe: in a valid dictionary only a String can hold a comma that does not separate.
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

/** The parser returns `60.0` as the number 60, but §2.1 does not accept a Decimal as an Integer: it counts as no number. */
function isDecimal(written: string): boolean {
  return /^[^=;]+=-?\d+\./.test(written)
}

/** Returns the least delta-seconds. Undefined if absent, or if any value is not an Integer: negative, Decimal, String. */
function least(values: readonly unknown[] | undefined): number | undefined {
  if (values?.every(value => Number.isInteger(value) && Number(value) >= 0) !== true) return undefined
  return (values as readonly number[]).reduce((lesser, value) => Math.min(lesser, value), maxDeltaSeconds)
}

/**
 * Returns `true` for Boolean true (the unqualified form), the names for a String, and `true` for any other type, which
 * restricts as well.
 */
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

// Cache directives addressed to caches like this one: targeted fields (RFC 9213) and Surrogate-Control.
import { parseDictionary, type Dictionary } from 'structured-headers'
import { noResponseDirectives, parseResponseDirectives, type ResponseDirectives } from './cache-control.ts'
import { maxDeltaSeconds, qualifiedNames } from './directives.ts'
import { fieldValue, listMembers, type FieldLines } from './fields.ts'

/**
 * The directives of a targeted field (`cdn-cache-control`); undefined where it is to be ignored, because it is absent,
 * empty, or not a Structured Fields Dictionary as a whole (RFC 9213 §2.1, a MUST). Where it is not undefined,
 * Cache-Control and Expires count for nothing (§2.2), even if it holds no directive that is known here.
 *
 * A value of the wrong type should not be consumed (§2.1), and the section leaves open what then holds. Dropping
 * `max-age=1.5` or `private=1` alone, with Cache-Control out of play, would leave a response that nothing restricts.
 * So it is read as Cache-Control's malformed values are: numbers as 0 (allowances to serve stale as absent), what
 * restricts as present, what permits as absent. That goes for `no-store=?0` too: no-store "always has a Boolean true
 * value". Of a directive given twice the last counts (RFC 9651 §3.2); parameters are ignored.
 */
export function targetedDirectives(lines: FieldLines, fieldName: string): ResponseDirectives | undefined {
  const value = fieldValue(lines, fieldName)
  if (value === undefined) return undefined
  const dictionary = dictionaryOf(value)
  if (dictionary === undefined || dictionary.size === 0) return undefined

  const seconds = (name: string): number | undefined => deltaSeconds(dictionary, name, value)
  const orStale = (name: string): number | undefined => (dictionary.has(name) ? (seconds(name) ?? 0) : undefined)
  const permits = (name: string): boolean => dictionary.get(name)?.[0] === true
  return {
    maxAge: orStale('max-age'),
    sMaxage: orStale('s-maxage'),
    noStore: dictionary.has('no-store'),
    noCache: fieldNames(dictionary, 'no-cache'),
    private: fieldNames(dictionary, 'private'),
    public: permits('public'),
    mustRevalidate: dictionary.has('must-revalidate'),
    proxyRevalidate: dictionary.has('proxy-revalidate'),
    mustUnderstand: permits('must-understand'),
    immutable: permits('immutable'),
    noTransform: dictionary.has('no-transform'),
    staleWhileRevalidate: seconds('stale-while-revalidate'),
    staleIfError: seconds('stale-if-error'),
  }
}

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
  const members: string[] = []
  for (const member of listMembers(value)) {
    const maxAge = /^max-age=(\d+)(?:\+\d+)?([ \t]*;.*)?$/i.exec(member)
    if (maxAge === null) members.push(member.replace(/^no-store-remote(?=[ \t;=]|$)/i, 'no-store'))
    else if (maxAge[2] === undefined) members.push(`max-age=${maxAge[1]}`)
  }
  const directives = parseResponseDirectives(members.join(', '))
  return saysNothing(directives) ? undefined : directives
}

function dictionaryOf(value: string): Dictionary | undefined {
  try {
    return parseDictionary(value)
  } catch {
    return undefined // §2.1: a field that does not parse is ignored as a whole
  }
}

/** delta-seconds given as an Integer; undefined when absent, or anything else: negative, Decimal, String. */
function deltaSeconds(dictionary: Dictionary, name: string, value: string): number | undefined {
  const seconds = dictionary.get(name)?.[0]
  if (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds < 0 || isDecimal(name, value)) return undefined
  return Math.min(seconds, maxDeltaSeconds)
}

/** The parser gives `60.0` as the number 60, but §2.1 does not want a Decimal taken for an Integer: look at how it was written. */
function isDecimal(name: string, value: string): boolean {
  if (!value.includes('.')) return false
  // Safe to part by commas: this is a valid dictionary, in which only a String can hold one that does not part.
  const written = listMembers(value).findLast((member) => member.startsWith(`${name}=`))
  return written !== undefined && /^[^;]*\./.test(written)
}

/** Boolean true is the unqualified form, a String the qualified one; any other type restricts as the unqualified form does. */
function fieldNames(dictionary: Dictionary, name: string): true | readonly string[] | undefined {
  const member = dictionary.get(name)
  if (member === undefined) return undefined
  return typeof member[0] === 'string' ? qualifiedNames(member[0]) : true
}

const directiveNames = Object.keys(noResponseDirectives) as (keyof ResponseDirectives)[]

function saysNothing(directives: ResponseDirectives): boolean {
  return directiveNames.every((name) => directives[name] === noResponseDirectives[name])
}

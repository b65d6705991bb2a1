import * as fc from 'fast-check'
import { test } from 'tap'
import { noRequestDirectives, noResponseDirectives, parseRequestDirectives, parseResponseDirectives, type RequestDirectives,
  type ResponseDirectives } from '../../src/http/cache-control.ts'
import { property, table, textOf, type Row } from './table.ts'

/** The directives of a value that differ from those of no value. */
function said(value: string): Partial<ResponseDirectives> {
  return beyond(parseResponseDirectives(value), noResponseDirectives)
}

function asked(value: string): Partial<RequestDirectives> {
  return beyond(parseRequestDirectives(value, undefined), noRequestDirectives)
}

function beyond<T extends object>(directives: T, none: T): Partial<T> {
  // Tested by itself below.
  const entries = Object.entries(directives).filter(([name, value]) => name !== 'lifetimeMalformed' && value !== none[name as keyof T])
  return Object.fromEntries(entries) as Partial<T>
}

type Rows<T> = readonly Row<string, Partial<T>>[]

test('a response directive is read whatever its case, order and white space', async (t) => {
  const rows: Rows<ResponseDirectives> = [
    ['valid', '', {}],
    ['valid', 'max-age=60', { maxAge: 60 }],
    ['valid', 'MAX-AGE=60', { maxAge: 60 }],
    ['valid', 'max-age=0', { maxAge: 0 }],
    ['valid', 'max-age=003600', { maxAge: 3600 }],
    ['valid', 'max-age="60"', { maxAge: 60 }],
    ['valid', 'max-age="6\\0"', { maxAge: 60 }],
    ['valid', 's-maxage=5,max-age=60', { maxAge: 60, sMaxage: 5, grantsSharing: true }],
    ['valid', ' \tno-store \t,\t public ', { noStore: true, public: true, grantsSharing: true }],
    ['valid', ',, no-cache ,,', { noCache: true }],
    ['valid', 'no-cache, no-store, must-revalidate, private', { noCache: true, noStore: true, mustRevalidate: true, grantsSharing: true, private: true }],
    ['valid', 'Proxy-Revalidate, Must-Understand, Immutable, No-Transform', { proxyRevalidate: true, mustUnderstand: true, liftsNoStore: true, immutable: true,
      noTransform: true }],
    ['valid', 'stale-while-revalidate=10, stale-if-error=20', { staleWhileRevalidate: 10, staleIfError: 20 }],
    ['valid', 'foo, bar=1, baz="x", max-age=1', { maxAge: 1 }],
    ['valid', 'max-age=2147483648', { maxAge: 2147483648 }],
    ['valid', 'max-age=2147483649', { maxAge: 2147483648 }],
    ['hostile', `max-age=${'9'.repeat(400)}`, { maxAge: 2147483648 }],
    ['hostile', `${','.repeat(100_000)}no-store`, { noStore: true }],
  ]
  table(t, rows, said)
})

test('a lifetime that cannot be read differs from one that is 0', async (t) => {
  for (const value of ['max-age=60s', 'max-age', 'max-age=', 's-maxage=-1', 'max-age=60, s-maxage=1.5', 'max-age=5, x="'])
    t.equal(parseResponseDirectives(value).lifetimeMalformed, true, value)
  for (const value of ['', 'max-age=0', 'max-age=60, s-maxage=0', 'no-cache', 'private=x', 'stale-while-revalidate=x'])
    t.equal(parseResponseDirectives(value).lifetimeMalformed, false, value)
})

test('a malformed lifetime reads as stale, never as absent', async (t) => {
  for (const [name, directive] of [['maxAge', 'max-age'], ['sMaxage', 's-maxage']] as const) {
    for (const argument of ['', '=', '=""', '=-1', '=+1', '=1.5', '=60.0', '=a60', '=60a', '=60s', "='60'", '=" 60"', '="60', '=60"', '==60', '=60=60', ' =60', '= 60', ' = 60',
      '="60"x', '= "60"', '=60 60', '=60;x', '=6\u00b2']) {
      t.strictSame(said(`${directive}${argument}`)[name], 0, `malformed: ${directive}${argument}`)
    }
  }
})

test('a malformed permission to serve stale is none, and replaces any default', async (t) => {
  for (const [name, directive] of [['staleWhileRevalidate', 'stale-while-revalidate'], ['staleIfError', 'stale-if-error']] as const) {
    for (const argument of ['', '=', '=-1', '=1.5', '=60s', ' = 60', '=60 x']) {
      t.strictSame(said(`${directive}${argument}`), { [name]: 0 }, `malformed: ${directive}${argument}`)
      t.strictSame(said(`${directive}=60, ${directive}${argument}`), { [name]: 0 }, `malformed beside valid: ${directive}${argument}`)
    }
    t.strictSame(said(`${directive}="60`), { maxAge: 0, [name]: 0 }, 'a quote that does not close')
  }
})

test('the most restrictive of duplicate directives holds, in either order', async (t) => {
  const rows: Rows<ResponseDirectives> = [
    ['malformed', 'max-age=1800, max-age=1', { maxAge: 1 }],
    ['malformed', 'max-age=1, max-age=1800', { maxAge: 1 }],
    ['malformed', 'max-age=x, max-age=1800', { maxAge: 0 }],
    ['malformed', 's-maxage=5, s-maxage=6, s-maxage=4', { sMaxage: 4 }],
    ['malformed', 'stale-if-error=5, stale-if-error=6', { staleIfError: 5 }],
    ['malformed', 'private="a", private', { private: true }],
    ['malformed', 'private, private="a"', { private: true }],
    ['malformed', 'no-cache="a", no-cache="b"', { noCache: ['a', 'b'] }],
    ['valid', 'public, private', { public: true, grantsSharing: true, private: true }],
  ]
  table(t, rows, said)
})

test('the qualified forms name fields; an empty or broken list is the unqualified form', async (t) => {
  const rows: Rows<ResponseDirectives> = [
    ['valid', 'private="Set-Cookie"', { private: ['set-cookie'] }],
    ['valid', 'no-cache="Set-Cookie, X-User ,,\tAge"', { noCache: ['set-cookie', 'x-user', 'age'] }],
    ['valid', 'no-cache="a, b", max-age=60', { noCache: ['a', 'b'], maxAge: 60 }],
    ['valid', 'private=Set-Cookie', { private: ['set-cookie'] }],
    ['malformed', 'private=""', { private: true }],
    ['malformed', 'private=" , "', { private: true }],
    ['malformed', 'private=', { private: true }],
    ['malformed', 'private="*"', { private: true }],
    ['malformed', "private='set-cookie'", { private: true }],
    ['malformed', 'no-cache="a, *"', { noCache: true }],
    ['malformed', 'private="a b"', { private: true }],
    ['malformed', 'private="a;b"', { private: true }],
    ['malformed', 'private = "a"', { private: true }],
    ['malformed', 'private="a"b', { private: true }],
    ['malformed', 'no-cache="a", x="', { noCache: true, maxAge: 0 }],
    ['malformed', 'no-cache="a', { noCache: true, maxAge: 0 }],
    ['hostile', 'private="a\u00e9"', { private: true }],
    ['hostile', 'private="a", '.repeat(20_000), { private: Array.from({ length: 20_000 }, () => 'a') }],
  ]
  table(t, rows, said)
})

test('with a wrong argument a restriction holds and a permission does not', async (t) => {
  for (const argument of ['=foo', '="x"', '=1', '=', ' x', ';x']) {
    t.strictSame(said(`no-store${argument}, must-revalidate${argument}, proxy-revalidate${argument}, no-transform${argument}`), {
      noStore: true,
      mustRevalidate: true,
      proxyRevalidate: true,
      noTransform: true,
    }, `restricts: ${argument}`)
    t.strictSame(said(`public${argument}, immutable${argument}, must-understand${argument}`), { mustUnderstand: true }, `permits: ${argument}`)
  }
})

test('text within quotes is no directive', async (t) => {
  const rows: Rows<ResponseDirectives> = [
    ['valid', 'extension="max-age=100, a"', {}],
    ['valid', 'extension="max-age=3600", max-age=1', { maxAge: 1 }],
    ['valid', 'max-age=1, extension="max-age=3600, public"', { maxAge: 1 }],
    ['valid', 'extension="a\\", max-age=100", no-store', { noStore: true }],
    ['valid', 'extension="\\\\", max-age=100', { maxAge: 100 }],
    ['malformed', '"max-age=100"', {}],
    ['malformed', '"public", max-age=5', { maxAge: 5 }],
    ['valid', 'x-max-age=100, max-age-x=100, xpublic, public-', {}],
  ]
  table(t, rows, said)
})

test('if a comma is missing, restrictions still hold and permissions do not', async (t) => {
  const rows: Rows<ResponseDirectives> = [
    ['malformed', 'max-age=60 private', { maxAge: 0, private: true }],
    ['malformed', 'max-age=60; private', { maxAge: 0, private: true }],
    ['malformed', 'private;max-age=60', { maxAge: 0, private: true }],
    ['malformed', 'private public', { private: true }],
    ['malformed', 'no-cache no-store must-revalidate', { noCache: true, noStore: true, mustRevalidate: true }],
    ['malformed', 'foo bar, max-age=60', { maxAge: 60 }],
    ['malformed', '= , max-age=60', { maxAge: 60 }],
    ['malformed', '=private', { private: true }],
    ['malformed', '"a"private', { private: true }],
    ['malformed', '\u00a0no-store', { noStore: true }],
  ]
  table(t, rows, said)
})

test('after a quote that never closes, restrictions still hold and the response is stale', async (t) => {
  const rows: Rows<ResponseDirectives> = [
    ['malformed', 'extension="a, no-store', { noStore: true, maxAge: 0 }],
    ['malformed', 'public, s-maxage=60, stale-if-error=60, x="', { maxAge: 0, sMaxage: 0, staleIfError: 0 }],
    ['malformed', 'x="a, max-age=60, public, immutable, must-understand', { maxAge: 0, mustUnderstand: true }],
    ['malformed', '", private="a"', { private: true, maxAge: 0 }],
    ['malformed', 'x=", no-store, y="z", max-age=60', { noStore: true, maxAge: 0 }],
    ['hostile', 'max-age=60, "\\', { maxAge: 0 }],
    ['hostile', `max-age=60, ${'"\\'.repeat(100_000)}`, { maxAge: 0 }],
    ['hostile', `${'a="\\",'.repeat(50_000)}`, { maxAge: 0 }],
  ]
  table(t, rows, said)
})

test('a request directive is read, and a malformed one restricts', async (t) => {
  const rows: Rows<RequestDirectives> = [
    ['valid', '', {}],
    ['valid', 'no-cache', { noCache: true }],
    ['valid', 'Max-Age=0', { maxAge: 0 }],
    ['valid', 'max-age="5", no-transform, no-store', { maxAge: 5, noTransform: true, noStore: true }],
    ['valid', 'max-stale', { maxStale: Infinity }],
    ['valid', 'max-stale=5', { maxStale: 5 }],
    ['valid', 'min-fresh=5', { minFresh: 5 }],
    ['valid', 'only-if-cached, stale-if-error=60', { onlyIfCached: true, staleIfError: 60 }],
    ['valid', 'private, public, s-maxage=5, must-revalidate', {}],
    ['malformed', 'max-age', { maxAge: 0 }],
    ['malformed', 'max-age=x', { maxAge: 0 }],
    ['malformed', 'max-age=5, max-age=4', { maxAge: 4 }],
    ['malformed', 'max-stale=x', {}],
    ['malformed', 'max-stale=', {}],
    ['malformed', 'max-stale = 5', {}],
    ['malformed', 'max-stale, max-stale=5', { maxStale: 5 }],
    ['malformed', 'max-stale=x, max-stale', {}],
    ['malformed', 'min-fresh', { minFresh: Infinity }],
    ['malformed', 'min-fresh=-1', { minFresh: Infinity }],
    ['malformed', 'min-fresh=5, min-fresh=6', { minFresh: 6 }],
    ['malformed', 'no-cache=foo, no-store=foo, no-transform=foo', { noCache: true, noStore: true, noTransform: true }],
    ['malformed', 'only-if-cached=1', {}],
    ['malformed', 'stale-if-error=x', {}],
    ['malformed', 'max-stale, no-cache, x="', { noCache: true }],
    ['malformed', 'x=", max-stale, stale-if-error=5, max-age=5', { maxAge: 0 }],
    ['hostile', 'min-fresh=99999999999999999999', { minFresh: 2147483648 }],
  ]
  table(t, rows, asked)
})

test('Pragma: no-cache counts only without Cache-Control', async (t) => {
  t.equal(parseRequestDirectives(undefined, 'no-cache').noCache, true)
  t.equal(parseRequestDirectives(undefined, 'x, No-Cache').noCache, true)
  t.equal(parseRequestDirectives('max-age=60', 'no-cache').noCache, false)
  t.equal(parseRequestDirectives('', 'no-cache').noCache, false)
  t.strictSame(parseRequestDirectives(undefined, 'no-store, max-age=0, x="no-cache"'), noRequestDirectives)
})

test('an absent field says nothing, and the constants for that cannot be changed', async (t) => {
  t.equal(parseResponseDirectives(undefined), noResponseDirectives)
  t.equal(parseRequestDirectives(undefined, undefined), noRequestDirectives)
  t.ok(Object.isFrozen(noResponseDirectives) && Object.isFrozen(noRequestDirectives))
})

const directive = fc.constantFrom(
  'max-age=60',
  'max-age=x',
  's-maxage=5',
  'no-store',
  'no-cache',
  'no-cache="a"',
  'private',
  'private="b, c"',
  'public',
  'must-revalidate',
  'must-understand',
  'immutable',
  'stale-if-error=5',
  'stale-while-revalidate=x',
  'x="a, no-store"',
)
const text = textOf('max-age', 'no-store', 'private', 'max-stale', 'min-fresh', '=', '"', '\\', ',', ' ', '\t', ';', '6', '-', 'é')

test('properties of reading Cache-Control', async (t) => {
  property(t, 'it never throws, and numbers are delta-seconds', text, (value) => {
    const response = parseResponseDirectives(value)
    const request = parseRequestDirectives(value, value)
    const numbers = [response.maxAge, response.sMaxage, response.staleWhileRevalidate, response.staleIfError, request.maxAge, request.staleIfError]
    return numbers.every((n) => n === undefined || (Number.isInteger(n) && n >= 0 && n <= 2147483648))
      && [request.maxStale, request.minFresh].every((n) => n === undefined || n >= 0)
  })
  property(t, 'no-store is seen whatever well-formed or broken text is before or after it', fc.tuple(text, text), ([before, after]) => {
    const closed = before.replaceAll(/["\\]/g, '')
    return parseResponseDirectives(`${closed}, no-store, ${after}`).noStore
      && parseResponseDirectives(`${closed}, no-store, ${closed}`).maxAge === parseResponseDirectives(`${closed}, ${closed}`).maxAge
  })
  property(t, 'the order of directives does not matter', fc.array(directive), (directives) => {
    const forth = parseResponseDirectives(directives.join(', '))
    const back = parseResponseDirectives(directives.toReversed().join(','))
    return JSON.stringify(forth) === JSON.stringify(back)
  })
  property(t, 'another directive never lengthens a lifetime', fc.tuple(fc.array(directive), directive), ([directives, more]) => {
    const before = parseResponseDirectives(directives.join(',')).maxAge
    const after = parseResponseDirectives([...directives, more].join(',')).maxAge
    return before === undefined || (after !== undefined && after <= before)
  })
})

import { test } from 'tap'
import { noResponseDirectives, type ResponseDirectives } from '../../src/http/cache-control.ts'
import { surrogateDirectives, targetedDirectives } from '../../src/http/targeted.ts'
import { property, table, textOf } from './table.ts'

const name = 'cdn-cache-control'

function beyondNone(directives: ResponseDirectives | undefined): unknown {
  if (directives === undefined) return undefined
  return Object.fromEntries(Object.entries(directives).filter(([key, value]) => key !== 'lifetimeMalformed' && value !== noResponseDirectives[key as keyof ResponseDirectives]))
}

const targeted = (...values: string[]): unknown => beyondNone(targetedDirectives(values.flatMap((value) => [name, value]), name))

test('a targeted field is read as a Structured Fields Dictionary', async (t) => {
  table(t, [
    ['valid', 'max-age=60', { maxAge: 60 }],
    ['valid', 'max-age=0', { maxAge: 0 }],
    ['valid', 'foobar, max-age=3600', { maxAge: 3600 }],
    ['valid', 'max-age=99999999999', { maxAge: 2147483648 }],
    ['valid', 'none', {}],
    ['valid', 'max-age=60;foo=1.5, s-maxage=5', { maxAge: 60, sMaxage: 5, grantsSharing: true }],
    ['valid', 'no-store, private, no-cache, must-revalidate, proxy-revalidate, no-transform', {
      noStore: true,
      private: true,
      noCache: true,
      mustRevalidate: true,
      grantsSharing: true,
      proxyRevalidate: true,
      noTransform: true,
    }],
    ['valid', 'public, immutable=?1, must-understand', { public: true, grantsSharing: true, immutable: true, mustUnderstand: true, liftsNoStore: true }],
    ['valid', 'no-cache="Set-Cookie, X-A"', { noCache: ['set-cookie', 'x-a'] }],
    ['valid', 'stale-while-revalidate=5, stale-if-error=6', { staleWhileRevalidate: 5, staleIfError: 6 }],
  ], targeted)
})

test('the most restrictive of duplicates counts, in any order', async (t) => {
  table(t, [
    ['valid', 'max-age=10, max-age=20', { maxAge: 10 }],
    ['valid', 'max-age=20, max-age=10', { maxAge: 10 }],
    ['malformed', 'max-age=0.5, max-age=20', { maxAge: 0 }],
    ['valid', 's-maxage=0, max-age=5, s-maxage=20', { maxAge: 5, sMaxage: 0 }],
    ['valid', 'private, max-age=5, private="x-a"', { private: true, maxAge: 5 }],
    ['valid', 'private="x-a", private="x-b, x-c"', { private: ['x-a', 'x-b', 'x-c'] }],
    ['valid', 'no-cache="x-a", no-cache', { noCache: true }],
    ['malformed', 'public=?0, public', {}],
    ['valid', 'public, public', { public: true, grantsSharing: true }],
    ['malformed', 'stale-while-revalidate=5.0, stale-while-revalidate=5', { staleWhileRevalidate: 0 }],
  ], targeted)
  t.strictSame(targeted('max-age=60, private="x-a"', 'private="x-b"'), { maxAge: 60, private: ['x-a', 'x-b'] })
})

test('a targeted field that is absent, empty or does not parse is ignored as a whole', async (t) => {
  t.equal(targetedDirectives(['cache-control', 'no-store'], name), undefined)
  table(t, [
    ['malformed', '', undefined],
    ['malformed', '  ', undefined],
    ['malformed', 'max-age=10000, &&&&&', undefined],
    ['malformed', 'max-age =100', undefined],
    ['malformed', 'max-age= 100', undefined],
    ['malformed', 'MaX-aGe=3600', undefined],
    ['malformed', 'no-store, max-age=', undefined],
    ['malformed', 'no-store,', undefined],
    ['malformed', 'no-store;', undefined],
    ['malformed', 'no-store max-age=5', undefined],
    ['malformed', 'private="a', undefined],
    ['malformed', 'max-age=60s', undefined],
    ['hostile', `max-age=${'9'.repeat(400)}`, undefined],
    ['hostile', 'a=%"%ff"', undefined],
    ['hostile', 'a=?', undefined],
    ['hostile', 'a=:', undefined],
    ['hostile', '('.repeat(10_000), undefined],
  ], targeted)
})

test('lines of a targeted field are one dictionary', async (t) => {
  t.strictSame(targeted('max-age=60', 'private'), { maxAge: 60, private: true })
  t.equal(targeted('max-age=60', '&'), undefined)
})

test('a value of the wrong type restricts, and permits nothing', async (t) => {
  table(t, [
    ['malformed', 'max-age="10000"', { maxAge: 0 }],
    ['malformed', 'max-age=1.5', { maxAge: 0 }],
    ['malformed', 'max-age=60.0', { maxAge: 0 }],
    ['malformed', 'x="a, max-age=1.5", max-age=60', { maxAge: 60 }],
    ['malformed', 'max-age=-1', { maxAge: 0 }],
    ['malformed', 'max-age', { maxAge: 0 }],
    ['malformed', 'max-age=(1 2)', { maxAge: 0 }],
    ['malformed', 's-maxage=abc', { sMaxage: 0 }],
    ['malformed', 'stale-while-revalidate="5", stale-if-error=5.0', { staleWhileRevalidate: 0, staleIfError: 0 }],
    ['malformed', 'no-store=?0, must-revalidate="x"', { noStore: true, mustRevalidate: true }],
    ['malformed', 'private=1, no-cache=token', { private: true, noCache: true }],
    ['malformed', 'private=""', { private: true }],
    ['malformed', 'public=1, immutable=?0, must-understand="x"', { mustUnderstand: true }],
  ], targeted)
})

const surrogate = (value: string): unknown => beyondNone(surrogateDirectives(value))

test('Surrogate-Control is read as the Edge Architecture has it', async (t) => {
  t.equal(surrogateDirectives(undefined), undefined)
  table(t, [
    ['valid', 'max-age=3600', { maxAge: 3600 }],
    ['valid', 'MaX-aGe=3600', { maxAge: 3600 }],
    ['valid', 'max-age=3600+600', { maxAge: 3600 }],
    ['valid', 'max-age=0', { maxAge: 0 }],
    ['valid', 'no-store', { noStore: true }],
    ['valid', 'no-store, content="ESI/1.0"', { noStore: true }],
    ['valid', 'foobar, max-age=3600', { maxAge: 3600 }],
    ['valid', 'content="ESI/1.0, no-store"', undefined],
    ['valid', 'foobar', undefined],
    ['valid', '', undefined],
    ['valid', 'max-age=3600, max-age=60;akamai', { maxAge: 3600 }],
    ['valid', 'max-age=60;akamai', undefined],
    ['valid', 'no-store;akamai', { noStore: true }],
    ['valid', 'no-store-remote', { noStore: true }],
    ['valid', 'No-Store-Remote;akamai, max-age=5', { noStore: true, maxAge: 5 }],
    ['valid', 'max-age=86400, stale-while-revalidate=60', { maxAge: 86_400, staleWhileRevalidate: 60 }],
    ['valid', 'private', { private: true }],
  ], surrogate)
})

test('a malformed Surrogate-Control restricts', async (t) => {
  table(t, [
    ['malformed', 'max-age =100', { maxAge: 0 }],
    ['malformed', 'max-age= 100', { maxAge: 0 }],
    ['malformed', 'max-age=60+', { maxAge: 0 }],
    ['malformed', 'max-age=-1', { maxAge: 0 }],
    ['malformed', 'max-age', { maxAge: 0 }],
    ['malformed', 'max-age=60 no-store', { maxAge: 0, noStore: true }],
    ['malformed', 'content="ESI/1.0, no-store', { maxAge: 0, noStore: true }],
    ['hostile', 'content="ESI/1.0, no-store\\', { maxAge: 0, noStore: true }],
    ['hostile', `max-age=${'9'.repeat(10_000)}+1`, { maxAge: 2147483648 }],
  ], surrogate)
})

test('reading either field never throws', async (t) => {
  const text = textOf('max-age', 'no-store', '=', '"', '\\', ',', ' ', ';', '?', ':', '@', '%', '(', ')', '1', '.', '-', 'a', '+')
  property(t, 'for any text', text, (value) => {
    const maxAge = targetedDirectives([name, value], name)?.maxAge ?? 0
    surrogateDirectives(value)
    return Number.isInteger(maxAge) && maxAge >= 0
  })
})

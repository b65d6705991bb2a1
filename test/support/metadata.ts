// Stored metadata for tests: a plain fresh response, of which a test changes the properties that matter to it.
import * as fc from 'fast-check'
import { lifetimeSources, type Metadata, type Part } from '../../src/policy/stored.ts'
import { anyText } from './any-text.ts'

/** When the plain response was received; manualClock() starts here too. */
export const t0 = 1_700_000_000_000

export function metadata(changes: Partial<Metadata> = {}): Metadata {
  return {
    status: 200,
    fields: ['content-type', 'application/json', 'cache-control', 'max-age=60', 'etag', '"v1"', 'date', 'Tue, 14 Nov 2023 22:13:20 GMT'],
    cacheOnlyFields: [],
    requestTimeMs: t0 - 20,
    responseTimeMs: t0,
    initialAgeMs: 0,
    lifetimeMs: 60_000,
    lifetimeSource: 'explicit',
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: undefined,
    alwaysValidate: false,
    neverStale: false,
    hadAuthorization: false,
    hadCookie: false,
    etag: '"v1"',
    lastModified: undefined,
    vary: [],
    variant: '',
    authority: 'api.example.com',
    publicHosts: [],
    target: '/v1/things?page=1',
    tags: [],
    stamp: '0000000000000000',
    keepUntilMs: t0 + 3_600_000,
    bodyBytes: 0,
    part: undefined,
    ...changes,
  }
}

const anyByte = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 40 })
const text = fc.oneof(anyByte, anyText({ maxLength: 20 }), fc.constantFrom('', 'application/json', 'gzip', 'no-cache'))
const ms = fc.oneof(fc.nat(), fc.double({ noNaN: true }), fc.constant(Infinity))
const count = fc.nat({ max: 2 ** 40 })

const anyPart: fc.Arbitrary<Part> = fc.record({
  ranges: fc.array(fc.tuple(count, fc.integer({ min: 1, max: 2 ** 40 })).map(([start, bytes]) => ({ start, end: start + bytes })), { minLength: 1, maxLength: 16 }),
  complete: fc.option(fc.oneof(count, fc.constant(Number.MAX_SAFE_INTEGER)), { nil: undefined }),
  requestedRange: text,
}, { noNullPrototype: true })

/** Any metadata at all, with every byte that a field can hold and every character that a key can. */
export const anyMetadata: fc.Arbitrary<Metadata> = fc.record({
  status: fc.integer({ min: 100, max: 999 }),
  fields: fc.array(fc.tuple(fc.constantFrom('etag', 'last-modified', 'cache-control', 'x-own'), text), { maxLength: 12 }).map((lines) => lines.flat()),
  cacheOnlyFields: fc.array(fc.tuple(fc.constantFrom('cache-tag', 'surrogate-control'), text), { maxLength: 2 }).map((lines) => lines.flat()),
  requestTimeMs: ms,
  responseTimeMs: ms,
  initialAgeMs: ms,
  lifetimeMs: ms,
  lifetimeSource: fc.constantFrom(...lifetimeSources),
  staleWhileRevalidateMs: ms,
  staleIfErrorMs: fc.option(ms, { nil: undefined }),
  alwaysValidate: fc.boolean(),
  neverStale: fc.boolean(),
  hadAuthorization: fc.boolean(),
  hadCookie: fc.boolean(),
  etag: fc.option(text, { nil: undefined }),
  lastModified: fc.option(text, { nil: undefined }),
  vary: fc.array(fc.tuple<[string, string | null]>(text, fc.option(text, { nil: null })), { maxLength: 3 }),
  variant: text,
  authority: text,
  publicHosts: fc.array(text, { maxLength: 2 }),
  target: text,
  tags: fc.array(text, { maxLength: 4 }),
  stamp: text,
  keepUntilMs: ms,
  bodyBytes: count,
  part: fc.option(anyPart, { nil: undefined }),
}, { noNullPrototype: true })

const word = fc.stringMatching(/^[a-z0-9-]{1,12}$/)
const value = fc.stringMatching(/^[!-~\x80-\xff]([\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?$/)
const span = fc.oneof(fc.nat(), fc.double({ noNaN: true, min: 0, max: 8.64e15 }), fc.constantFrom(0, 8.64e15))
const ownLines = fc.array(fc.tuple(fc.oneof(fc.constantFrom('cache-control', 'set-cookie', 'x-own', '__proto__'), word.map((name) => `x-${name}`)), value), { maxLength: 8 }).map((
  lines,
) => lines.flat())

/** Any metadata that a response could have: metadata read from elsewhere must be among it. */
export const possibleMetadata: fc.Arbitrary<Metadata> = fc.record({
  part: fc.option(fc.record({
    ranges: fc.array(fc.tuple(fc.nat({ max: 2 ** 20 }), fc.integer({ min: 1, max: 2 ** 20 })), { minLength: 1, maxLength: 16 }).map((gaps) => {
      let at = 0
      return gaps.map(([gap, bytes]) => ({ start: at + gap, end: at += gap + bytes }))
    }),
    complete: fc.option(fc.constant(Number.MAX_SAFE_INTEGER), { nil: undefined }),
    requestedRange: fc.constantFrom('bytes=0-', 'BYTES=5-9, -1'),
  }, { noNullPrototype: true }), { nil: undefined }),
  whole: fc.constantFrom(200, 203, 299, 301, 404, 500, 599),
  fields: ownLines,
  etag: fc.option(value, { nil: undefined }),
  lastModified: fc.option(fc.constantFrom('Tue, 14 Nov 2023 20:13:20 GMT', 'Tuesday, 14-Nov-23 20:13:20 GMT'), { nil: undefined }),
  cacheOnlyFields: fc.array(fc.tuple(fc.constantFrom('cache-tag', 'surrogate-control'), value), { maxLength: 2 }).map((lines) => lines.flat()),
  requestTimeMs: span,
  responseTimeMs: span,
  initialAgeMs: span,
  lifetimeMs: span,
  lifetimeSource: fc.constantFrom(...lifetimeSources),
  staleWhileRevalidateMs: span,
  staleIfErrorMs: fc.option(span, { nil: undefined }),
  alwaysValidate: fc.boolean(),
  neverStale: fc.boolean(),
  hadAuthorization: fc.boolean(),
  hadCookie: fc.boolean(),
  vary: fc.uniqueArray(word, { maxLength: 3 }).chain((names) => fc.tuple(...names.toSorted().map((name) => fc.tuple(fc.constant(name), fc.option(value, { nil: null }))))),
  variant: text,
  authority: fc.constantFrom('api.example.com', '[::1]:8080'),
  publicHosts: fc.constantFrom([], ['www.example.com'], ['www.example.com', '[::1]:8443']),
  target: fc.constantFrom('/', '/a?b=c', '/caf\xe9', '*'),
  tags: fc.array(fc.oneof(value, fc.constantFrom('größe', '鞄 👜')), { maxLength: 4 }),
  stamp: fc.constantFrom('', '0000000000000000', 'abcdef.00012abc9000001'),
  keepUntilMs: span,
  bodyBytes: fc.nat({ max: 2 ** 40 }),
}, { noNullPrototype: true }).map(({ whole, fields, etag, lastModified, ...rest }) => ({
  ...rest,
  status: rest.part === undefined ? whole : 206,
  fields: [...fields, ...(etag === undefined ? [] : ['etag', etag]), ...(lastModified === undefined ? [] : ['last-modified', lastModified])],
  etag,
  lastModified,
}))

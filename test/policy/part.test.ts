// RFC 9111 §3.3, §3.4 and RFC 9110 §14: the content of parts, the requests that they serve, and their combinations.
import fc from 'fast-check'
import t from 'tap'
import { combinedPart, restOf, strongValidator } from '../../src/policy/combine.ts'
import { decide, mayServeStaleOnError, type PurgeState } from '../../src/policy/decide.ts'
import { receivedContent, lengthMatchesRanges, partBytes, selectRanges, type RangeSelection } from '../../src/policy/part.ts'
import type { Metadata, Part } from '../../src/policy/stored.ts'
import { metadata, t0 } from '../support/metadata.ts'
import { assessResponse } from '../../src/policy/storable.ts'
import { assess, defaultRules, lines, request, stored, T0, type Fields } from './scene.ts'

/** `0-4,7-9/10`: the notation for parts here. */
function partOf(text: string, requestedRange = 'bytes=0-4'): Part {
  const [ranges = '', complete = '*'] = text.split('/')
  return {
    ranges: ranges.split(',').map(range => range.split('-').map(Number)).map(([start = 0, last = 0]) => ({ start, end: last + 1 })),
    complete: complete === '*' ? undefined : Number(complete),
    requestedRange,
  }
}

function part(text: string, changes: Partial<Metadata> = {}): Metadata {
  const held = partOf(text)
  return metadata({ status: 206, part: held, bodyBytes: partBytes(held), variant: ' part', ...changes })
}

const wanted = (meta: Metadata, fields: Fields, method = 'GET'): RangeSelection => selectRanges(request(fields, { method }), meta, t0)

t.test('§3.3: the part of the representation that a response brings', async t => {
  const rows: readonly [sentence: string, range: string | undefined, status: number, fields: Fields, expected: string][] = [
    ['a 200 is the whole', undefined, 200, {}, 'whole'],
    ['any status is, where no Range was sent', undefined, 404, {}, 'whole'],
    ['a 206 without a Range in the request is of no use', undefined, 206, { 'Content-Range': 'bytes 0-4/10' }, 'nothing'],
    ['a 206 has the range in its Content-Range, not the requested one', 'bytes=-5', 206, { 'Content-Range': 'bytes 4-9/10' }, '4-10/10'],
    ['the whole may be of unknown length', 'bytes=0-4', 206, { 'Content-Range': 'bytes 0-4/*' }, '0-5/*'],
    ['a 200 to a Range is the whole', 'bytes=0-4', 200, {}, 'whole'],
    ['but not if it says that it is a range', 'bytes=0-4', 200, { 'Content-Range': 'bytes 0-4/10' }, 'nothing'],
    ['nor if the unit is one that only client and origin know', 'items=0-4', 200, {}, 'nothing'],
    ['nor if it is none at all', '0-4', 200, {}, 'nothing'],
    ['an error may be the doing of the Range', 'bytes=abc', 400, {}, 'nothing'],
    ['and so may a redirect', 'bytes=0-4', 302, {}, 'nothing'],
    ['a 206 without Content-Range is a part of nobody knows what', 'bytes=0-4', 206, {}, 'nothing'],
    ['two are one too many', 'bytes=0-4', 206, { 'Content-Range': ['bytes 0-4/10', 'bytes 5-9/10'] }, 'nothing'],
    ['a malformed one is none', 'bytes=0-4', 206, { 'Content-Range': 'bytes 4-0/10' }, 'nothing'],
    ['one past the end is malformed', 'bytes=0-4', 206, { 'Content-Range': 'bytes 0-10/10' }, 'nothing'],
    ['several parts are not stored', 'bytes=0-1,3-4', 206, { 'Content-Type': 'Multipart/byteranges; boundary=x', 'Content-Range': 'bytes 0-4/10' }, 'nothing'],
  ]
  for (const [sentence, range, status, fields, expected] of rows) {
    const content = receivedContent(range, status, lines(fields))
    const [held] = typeof content === 'object' ? content.ranges : []
    const text = typeof content === 'object' ? `${held?.start}-${held?.end}/${content.complete ?? '*'}` : content ?? 'nothing'
    t.equal(text, expected, sentence)
  }
})

t.test('§3: a part is stored under the rules that hold for a whole', async t => {
  const held = partOf('0-4/10')
  const stores = (fields: Fields, asked: Fields = {}): string => {
    const r = request({ Range: 'bytes=0-4', ...asked })
    const head = { status: 206, fields: lines({ 'Content-Range': 'bytes 0-4/10', ...fields }), requestTimeMs: T0, responseTimeMs: T0, stamp: 's1' }
    const verdict = assessFor(r, head)
    return verdict.store ? 'stored' : verdict.reason
  }
  const assessFor = (r: ReturnType<typeof request>, head: Parameters<typeof assessResponse>[2]): ReturnType<typeof assessResponse> =>
    assessResponse(r, r.requestField, head, defaultRules, held)
  t.equal(stores({ 'Cache-Control': 'max-age=60' }), 'stored')
  t.equal(stores({ 'Cache-Control': 'no-store' }), 'no-store')
  t.equal(stores({ 'Cache-Control': 'private, max-age=60' }), 'private')
  t.equal(stores({ 'Cache-Control': 'max-age=60' }, { Authorization: 'Basic x' }), 'authorization')
  t.equal(stores({ 'Cache-Control': 'public, max-age=60' }, { Authorization: 'Basic x' }), 'stored')
  t.equal(stores({ 'Cache-Control': 'max-age=60' }, { Cookie: 'a=b' }), 'cookie')
  t.equal(stores({ 'Cache-Control': 'max-age=60', 'Set-Cookie': 'a=b' }), 'set-cookie')
  t.equal(stores({ 'Cache-Control': 'max-age=60', Vary: '*' }), 'vary-star')
  t.equal(stores({ 'Cache-Control': 'max-age=60' }, { 'Cache-Control': 'no-store' }), 'request-no-store')
  t.equal(stores({}), 'no-lifetime')
  t.equal(stores({ 'Cache-Control': 'max-age=60, must-understand, no-store' }), 'stored', 'a 206 is understood')
  t.match(assess({ 'Cache-Control': 'max-age=60', 'Content-Range': 'bytes 0-4/10' }, { status: 206 }), { store: false, reason: 'partial' }, 'without a part it never is')
  const verdict = assessFor(request({ Range: 'bytes=0-4' }), { status: 206,
    fields: lines({ 'Cache-Control': 'max-age=60', 'Content-Range': 'bytes 0-4/10', 'Content-Digest': 'x', 'Content-Type': 'a/b', Date: 'x' }), requestTimeMs: T0,
    responseTimeMs: T0, stamp: 's1' })
  t.match(verdict, { meta: { variant: ' part', part: held } })
  t.same(verdict.store && verdict.meta.fields.filter((_, i) => i % 2 === 0), ['cache-control', 'content-type', 'date'], 'without the fields of its very bytes')
})

t.test('§3.3: a part serves the ranges that it covers, and nothing else', async t => {
  const held = part('4-9/10')
  const slice = (start: number, end: number, contentRange: string): RangeSelection => [{ start, end, contentRange }]
  t.same(wanted(held, { Range: 'bytes=4-9' }), slice(0, 6, 'bytes 4-9/10'))
  t.same(wanted(held, { Range: 'bytes=6-8' }), slice(2, 5, 'bytes 6-8/10'))
  t.same(wanted(held, { Range: 'bytes=6-' }), slice(2, 6, 'bytes 6-9/10'))
  t.same(wanted(held, { Range: 'bytes=-1' }), slice(5, 6, 'bytes 9-9/10'))
  t.same(wanted(held, { Range: 'bytes=6-99' }), slice(2, 6, 'bytes 6-9/10'), 'past the end is up to it')
  t.same(wanted(part('0-1,4-9/10'), { Range: 'bytes=5-6' }), slice(3, 5, 'bytes 5-6/10'))
  for (const range of ['bytes=3-5', 'bytes=0-', 'bytes=-7', 'bytes=10-', 'bytes=4-5,7-8', 'items=4-5', 'bytes=x']) {
    t.equal(wanted(held, { Range: range }), 'not-covered', range)
  }
  t.equal(wanted(part('0-1,4-9/10'), { Range: 'bytes=1-4' }), 'not-covered', 'two pieces are not what lies between them')
  t.equal(wanted(held, {}), 'not-covered', 'never the whole')
  t.equal(wanted(held, { Range: 'bytes=6-8' }, 'HEAD'), 'not-covered', 'HEAD is about a whole')
})

t.test('RFC 9110 §14.4: without a known length only ranges counted from the start resolve', async t => {
  const held = part('0-4/*')
  t.same(wanted(held, { Range: 'bytes=1-2' }), [{ start: 1, end: 3, contentRange: 'bytes 1-2/*' }])
  for (const range of ['bytes=1-', 'bytes=-1', 'bytes=1-5']) t.equal(wanted(held, { Range: range }), 'not-covered', range)
})

t.test('RFC 9110 §13.1.5: an If-Range that does not hold requests the whole', async t => {
  const held = part('4-9/10')
  t.type(wanted(held, { Range: 'bytes=6-8', 'If-Range': '"v1"' }), Array)
  t.equal(wanted(held, { Range: 'bytes=6-8', 'If-Range': '"v2"' }), 'not-covered')
  t.equal(wanted(part('4-9/10', { etag: 'W/"v1"' }), { Range: 'bytes=6-8', 'If-Range': 'W/"v1"' }), 'not-covered', 'a weak tag never does')
})

t.test('a part whose length differs from its range serves only an identical Range', async t => {
  const odd = part('4-9/10', { bodyBytes: 5, part: partOf('4-9/10', 'bytes=-5') })
  t.equal(lengthMatchesRanges(odd), false)
  t.same(wanted(odd, { Range: 'bytes=-5' }), [{ start: 0, end: 5, contentRange: 'bytes 4-9/10' }])
  for (const range of ['bytes=-05', 'bytes=4-9', 'bytes=6-8', 'bytes=-1', 'Bytes=-5']) t.equal(wanted(odd, { Range: range }), 'not-covered', range)
  t.equal(wanted(odd, { Range: 'bytes=-5', 'If-Range': '"v1"' }), 'not-covered')
  t.equal(restOf(odd), undefined)
  t.equal(combinedPart(odd, part('0-3/10'), 100), undefined)
})

t.test('§3.4: parts are combined on a strong validator alone', async t => {
  const old = part('0-4/10')
  t.equal(combinedPart(old, part('5-9/10'), 100), 'whole')
  t.same(combinedPart(old, part('7-9/10'), 100), partOf('0-4,7-9/10'))
  t.same(combinedPart(old, part('3-7/10'), 100), partOf('0-7/10'), 'overlapping ranges are joined')
  t.same(combinedPart(part('0-4/*'), part('5-9/*'), 100), partOf('0-9/*'), 'without a known end it is never the whole')
  t.equal(combinedPart(part('0-4/*'), part('5-9/10'), 100), 'whole', 'either may know it')
  for (const [sentence, fresh] of Object.entries({
    'another tag': part('5-9/10', { etag: '"v2"' }),
    'no tag': part('5-9/10', { etag: undefined }),
    'another length': part('5-9/11'),
    'another variant': part('5-9/10', { variant: 'x part' }),
    'another coding': part('5-9/10', { fields: ['content-encoding', 'gzip'] }),
  })) t.equal(combinedPart(old, fresh, 100), undefined, sentence)
  t.equal(combinedPart(part('0-4/10', { etag: 'W/"v1"' }), part('5-9/10', { etag: 'W/"v1"' }), 100), undefined, 'a weak tag')
  t.equal(combinedPart(part('0-4/10', { etag: 'v1' }), part('5-9/10', { etag: 'v1' }), 100), undefined, 'a malformed tag')
  t.equal(combinedPart(part('0-19/*'), part('5-9/10'), 100), undefined, 'a part past the end of the other')
  t.equal(combinedPart(old, part('5-9/10'), 9), undefined, 'too long')
  const sixteen = Array.from({ length: 16 }, (_, i) => `${i * 10}-${i * 10 + 1}`).join(',')
  t.equal(combinedPart(part(`${sixteen}/1000`), part('500-501/1000'), 1000), undefined, 'too many pieces')
})

t.test('RFC 9110 §8.8.2.2: a date is strong when it is old enough, and there is no tag', async t => {
  const dated = (lastModified: string, etag?: string): Metadata => part('0-4/10', { etag, lastModified })
  t.equal(strongValidator(dated('Tue, 14 Nov 2023 22:12:20 GMT')), 'Tue, 14 Nov 2023 22:12:20 GMT', 'a minute older than Date')
  t.equal(strongValidator(dated('Tue, 14 Nov 2023 22:12:21 GMT')), undefined)
  t.equal(strongValidator(dated('Tue, 14 Nov 2023 22:12:20 GMT', 'W/"v1"')), undefined, 'a weak tag says that bytes may differ')
  t.same(combinedPart(dated('Tue, 14 Nov 2023 22:12:20 GMT'), dated('Tue, 14 Nov 2023 22:12:20 GMT'), 100), partOf('0-4/10'))
  t.equal(combinedPart(dated('Tue, 14 Nov 2023 22:12:20 GMT'), part('5-9/10', { etag: '"v1"', lastModified: 'Tue, 14 Nov 2023 22:12:20 GMT' }), 100), undefined,
    'a tag on one side')
})

t.test('§3.3: the rest of a part, when it is in one piece', async t => {
  const rest = (text: string): string | undefined => restOf(part(text))?.range
  t.equal(rest('0-4/10'), 'bytes=5-', 'up to the end')
  t.equal(rest('0-4/*'), 'bytes=5-', 'wherever that is')
  t.equal(rest('5-9/10'), 'bytes=0-4')
  t.equal(rest('0-1,8-9/10'), 'bytes=2-7')
  for (const text of ['2-4/10', '0-1,4-5/10', '2-4,6-9/10', '2-4/*', '0-1,8-9/*', '0-9/10', `0-4/${9 * 1_048_576}`]) t.equal(rest(text), undefined, text)
  t.same(restOf(part('0-4/10')), { range: 'bytes=5-', ifRange: '"v1"' })
  t.same(restOf(part('0-4/10', { etag: 'W/"v1"' })), { range: 'bytes=5-', ifRange: undefined })
})

type Entry = { readonly meta: Metadata }
const valid = (): PurgeState => 'valid'

function decided(asked: Fields, entries: readonly Entry[], afterMs = 0, method = 'GET', softness = valid): string {
  const r = request(asked, { method })
  const decision = decide(r, entries, softness, r.requestField, t0 + afterMs, defaultRules)
  const place = 'entry' in decision && decision.entry !== undefined ? entries.indexOf(decision.entry) : '-'
  return `${decision.action}: ${decision.reason} ${place}${decision.action === 'complete' ? ` ${decision.rest.range}` : ''}`
}

t.test('§4: decisions if a part is stored', async t => {
  const whole = { meta: metadata({ bodyBytes: 10 }) }
  const held = { meta: part('0-4/10') }
  const ask = { Range: 'bytes=1-2' }
  t.equal(decided(ask, [held]), 'serve: fresh 0')
  t.equal(decided(ask, [whole, held]), 'serve: fresh 0', 'the whole, if both are of the same age')
  t.equal(decided(ask, [{ meta: part('0-4/10', { responseTimeMs: t0 + 1 }) }, whole]), 'serve: fresh 0', 'the younger of two (§4)')
  t.equal(decided({ Range: 'bytes=1-5' }, [{ meta: part('0-4/10', { responseTimeMs: t0 + 1 }) }, whole]), 'serve: fresh 1', 'which must hold it')
  t.equal(decided(ask, [{ meta: metadata({ lifetimeMs: 1 }) }, held], 10), 'serve: fresh 1', 'a fresh part before a stale whole')
  t.equal(decided({ Range: 'bytes=5-6' }, [held]), 'fetch: part-only -')
  t.equal(decided(ask, [held], 61_000), 'validate: stale 0', 'a stale part that holds it is validated')
  t.equal(decided(ask, [{ meta: part('0-4/10', { etag: undefined }) }], 61_000), 'fetch: stale 0')
  t.equal(decided({ ...ask, 'Cache-Control': 'max-age=0' }, [held], 5), 'validate: request-max-age 0')
  t.equal(decided({ ...ask, 'Cache-Control': 'max-stale' }, [held], 61_000), 'serve: max-stale 0')
  t.equal(decided({ ...ask, 'Cache-Control': 'only-if-cached' }, [held]), 'serve: fresh 0')
  t.equal(decided({ Range: 'bytes=5-6', 'Cache-Control': 'only-if-cached' }, [held]), 'refuse: only-if-cached -')
  t.equal(decided(ask, [held], 0, 'GET', () => 'stale'), 'validate: soft-purged 0')
  t.equal(decided(ask, [{ meta: metadata({ bodyBytes: 10 }) }], 61_000), 'validate: stale 0', 'a stale whole is validated for a part too')
  t.equal(decided({}, [held]), 'complete: part-only - bytes=5-')
  t.equal(decided({}, [held], 61_000), 'complete: part-only - bytes=5-', 'stale, with a validator')
  t.equal(decided({}, [{ meta: part('0-4/10', { etag: undefined }) }]), 'complete: part-only - bytes=5-', 'fresh, without one')
  t.equal(decided({}, [{ meta: part('0-4/10', { etag: undefined }) }], 61_000), 'fetch: part-only -', 'neither')
  t.equal(decided({}, [{ meta: part('2-4/10') }]), 'fetch: part-only -', 'two pieces missing')
  t.equal(decided({}, [held, whole]), 'serve: fresh 1')
  t.equal(decided({}, [held, whole], 61_000), 'validate: stale 1', 'a whole that can be validated before a part')
  t.equal(decided({ 'Cache-Control': 'only-if-cached' }, [held]), 'refuse: only-if-cached -')
  t.equal(decided({}, [held], 0, 'HEAD'), 'fetch: part-only -', 'HEAD is left to wholes')
  t.equal(decided({ Range: 'bytes=0-1' }, [held], 0, 'HEAD'), 'fetch: part-only -')
  t.equal(decided({}, [{ meta: part('0-4/10', { vary: [['accept', 'x']] }) }]), 'fetch: vary-miss -')
})

t.test('§4.2.4: a part is never served stale in place of a whole', async t => {
  const stale = part('0-4/10', { lifetimeMs: 0 })
  t.equal(mayServeStaleOnError(request({}), stale, 'valid', 'unreachable', t0), undefined)
  t.equal(mayServeStaleOnError(request({ Range: 'bytes=4-5' }), stale, 'valid', 'unreachable', t0), undefined)
  t.equal(mayServeStaleOnError(request({ Range: 'bytes=1-2' }), stale, 'valid', 'unreachable', t0), 'origin-unreachable')
})

t.test('a part never serves a byte that it does not hold, for any request', async t => {
  const number = fc.oneof(fc.nat(40), fc.constantFrom('', '99999999999999999999'))
  const spec = fc.tuple(number, number).map(([first, last]) => `${first}-${last}`)
  const header = fc.tuple(fc.constantFrom('bytes', 'Bytes', 'items'), fc.array(spec, { minLength: 1, maxLength: 3 })).map(([unit, specs]) => `${unit}=${specs.join(',')}`)
  const heldRanges = fc.uniqueArray(fc.nat(30), { minLength: 2, maxLength: 10 }).map(marks => {
    const sorted = marks.toSorted((a, b) => a - b)
    return Array.from({ length: sorted.length >> 1 }, (_, i) => ({ start: sorted[2 * i] as number, end: sorted[2 * i + 1] as number }))
  })
  fc.assert(fc.property(header, heldRanges, fc.boolean(), fc.integer({ min: -3, max: 3 }), (range, ranges, known, odd) => {
    const held = { ranges, complete: known ? 31 : undefined, requestedRange: 'bytes=0-' }
    const meta = metadata({ part: held, bodyBytes: Math.max(0, partBytes(held) + odd) })
    const answer = wanted(meta, { Range: range })
    if (answer === 'not-covered') return true
    if (typeof answer !== 'object' || answer.length !== 1 || !lengthMatchesRanges(meta)) return range === 'bytes=0-'
    // Each byte of the representation equals its position, so the stored body is the list of stored positions.
    const body = ranges.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i))
    const [one] = answer
    const [, first, last, complete] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(one?.contentRange ?? '') ?? []
    const sent = body.slice(one?.start, one?.end)
    return sent.length > 0 && sent[0] === Number(first) && sent.at(-1) === Number(last) && sent.length === Number(last) - Number(first) + 1 && complete === (known ? '31' : '*')
  }), { numRuns: 3000 })
  t.pass('for every range and part')
})

t.test('stored wholes have no part', async t => {
  t.equal(stored({ 'Cache-Control': 'max-age=60' }).meta.part, undefined)
})

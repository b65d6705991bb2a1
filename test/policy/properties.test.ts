// Properties of every request, every response and every moment. fast-check prints the seed of a failure.
import t from 'tap'
import fc from 'fast-check'
import { absoluteForm, normaliseAuthority } from '../../src/http/authority.ts'
import { parseRequestDirectives, parseResponseDirectives } from '../../src/http/cache-control.ts'
import { formatHttpDate, parseHttpDate } from '../../src/http/date.ts'
import { deltaSeconds, qualifiedNames } from '../../src/http/directives.ts'
import { matchesList, parseEntityTag, strongMatch, weakMatch } from '../../src/http/etag.ts'
import { connectionNamed, fieldLines, fieldLineValues, isHopByHop, listMembers } from '../../src/http/fields.ts'
import { cdnLoopPasses, viaPasses } from '../../src/forwarding/loop.ts'
import { normaliseSelecting } from '../../src/http/negotiation.ts'
import { parseContentRange, parseRange } from '../../src/http/range.ts'
import { groupInvalidations, responseTags } from '../../src/http/tags.ts'
import { compileNames } from '../../src/http/name-globs.ts'
import { removeQueryParameters, splitTarget } from '../../src/http/target.ts'
import { surrogateDirectives, targetedDirectives } from '../../src/http/targeted.ts'
import { withoutOuterSpace } from '../../src/http/white-space.ts'
import { decide, mayServeStaleOnError, type PurgeState } from '../../src/policy/decide.ts'
import { currentAgeMs, reportedAgeMs } from '../../src/policy/freshness.ts'
import { judgeByHead } from '../../src/policy/head.ts'
import { invalidatedTargets } from '../../src/policy/invalidation.ts'
import { cacheKey } from '../../src/policy/key.ts'
import { representsTarget } from '../../src/policy/post.ts'
import type { Metadata } from '../../src/policy/stored.ts'
import { confirms, isNotModified, mergedFields, notModifiedFields } from '../../src/policy/validation.ts'
import { selectVariant, selectingFields } from '../../src/policy/vary.ts'
import { anyText } from '../support/any-text.ts'
import { anyMetadata } from '../support/metadata.ts'
import { assess, dateT0, defaultRules, defaultTags, lines, request, T0, type Fields } from './scene.ts'

// Every byte that Node accepts in a field, whole terms of the grammars, and both mixed.
const anyByte = fc.string({ unit: fc.integer({ min: 0x09, max: 0xff }).filter(code => code !== 0x0a && code !== 0x0d).map(code => String.fromCharCode(code)), maxLength: 30 })
const word = fc.constantFrom(
  'max-age=60',
  's-maxage=0',
  'no-store',
  'private',
  'private="a, b"',
  'no-cache="',
  'public',
  'must-revalidate',
  'must-understand',
  'immutable',
  'stale-if-error=1e3',
  'only-if-cached',
  'max-stale',
  'min-fresh=99999999999999999999',
  'max-age=-1',
  'max-age="6',
  '"',
  '\\',
  ',',
  ';',
  '=',
  'W/"a"',
  '"b"',
  '*',
  'bytes=0-1,-',
  'bytes 0-1/*',
  'gzip;q=0.5',
  'de, fr;q=1.0',
  'text/html;a="b,c";q=0',
  'Thu, 01 Jan 2026 00:00:00 GMT',
  'Thursday, 01-Jan-26 00:00:00 GMT',
  'Thu Jan  1 00:00:00 2026',
  '1.1 springhouse',
  'springhouse; x',
  'http://[::1]:80/a?b#c',
  '//x/',
  '%2e%2e/',
  '0',
  '7, 8',
  'close, x-hop',
  '("a" "b")',
  '"a";x=1, ?1',
  'a=1;b, c=:eA==:',
  'content="ESI/1.0", max-age=1+2;x',
)
const text = fc.oneof(anyByte, word, fc.array(fc.oneof(word, anyByte), { maxLength: 4 }).map(parts => parts.join(', ')),
  fc.array(word, { maxLength: 4 }).map(parts => parts.join('')))
const names = ['Cache-Control', 'CDN-Cache-Control', 'Surrogate-Control', 'Expires', 'Date', 'Age', 'Last-Modified', 'ETag', 'Vary', 'Set-Cookie', 'Cache-Tag', 'Surrogate-Key',
  'Cache-Groups', 'Cache-Group-Invalidation', 'Content-Location', 'Location', 'Content-Length', 'Content-Encoding', 'Content-Range', 'Connection', 'Pragma', 'Transfer-Encoding',
  'X-Own'] as const
const asked = ['Cache-Control', 'Pragma', 'Authorization', 'Cookie', 'If-None-Match', 'If-Modified-Since', 'If-Match', 'Range', 'If-Range', 'Accept-Language', 'Accept-Encoding',
  'Accept', 'Connection', 'Content-Length', 'X-Own'] as const
const sectionOf = (of: readonly string[]): fc.Arbitrary<Fields> =>
  fc.array(fc.tuple(fc.constantFrom(...of), fc.oneof(text, fc.array(text, { maxLength: 3 }))), { maxLength: 6 }).map(Object.fromEntries)
const response = sectionOf(names)
const requestFields = sectionOf(asked)
const status = fc.oneof(fc.integer({ min: 100, max: 599 }), fc.constantFrom(200, 200, 200, 203, 204, 301, 404, 410))
const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'X')
const softness = fc.constantFrom<PurgeState>('valid', 'stale')

t.test('age never falls as time passes, and a clock set back takes nothing away', async t => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 0, max: 1e12 }), fc.integer({ min: 0, max: 1e12 }), (initialAgeMs, a, b) => {
    const meta = { initialAgeMs, responseTimeMs: T0 }
    const [earlier, later] = a < b ? [a, b] : [b, a]
    return currentAgeMs(meta, earlier) <= currentAgeMs(meta, later) && currentAgeMs(meta, T0 - a) >= initialAgeMs
  }))
  t.pass('for every pair of moments')
})

// Without a quote that never closes: two of those may put the text between them in quotes.
const closed = fc.constantFrom('public', 'max-age=60', 's-maxage=9', 'immutable', 'must-revalidate', 'private="a"', 'no-cache', 'x="no-store, private"', 'stale-if-error=9', '',
  '=', 'a b', 'no-store="b"', ';', 'x="\\""')
const open = fc.oneof(closed, text)

for (const directive of ['no-store', 'No-Store', 'private', 'PRIVATE', 'no-store=x', 'private=']) {
  t.test(`${directive} is never stored, whatever stands beside it in the response or the request`, async t => {
    // Not if another field governs (RFC 9213 §2.2), and not beside must-understand, which lifts no-store.
    const others = response.map(({ 'CDN-Cache-Control': _cdn, 'Surrogate-Control': _surrogate, ...rest }) => rest)
    fc.assert(fc.property(fc.array(closed), fc.array(open), others, requestFields, status, method, (before, after, rest, fields, code, by) => {
      const value = [...before, directive, ...after].join(', ')
      fc.pre(!value.toLowerCase().includes('must-understand'))
      return !assess({ ...rest, 'Cache-Control': value }, { status: code, request: fields, method: by }).store
    }))
    t.pass('for every list of directives')
  })
}

t.test('must-understand lifts no-store for a status that is understood, and for no other, and never private', async t => {
  fc.assert(
    fc.property(fc.shuffledSubarray(['no-store', 'must-understand', 'max-age=60', 'public'], { minLength: 4 }), fc.integer({ min: 200, max: 599 }), fc.boolean(),
      (directives, code, isPrivate) => {
        const verdict = assess({ 'Cache-Control': [...directives, ...(isPrivate ? ['private'] : [])].join(', ') }, { status: code })
        const known = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 421, 451, 500, 501, 502, 503, 504])
        // These two judge one message, and are stored only where the operator names them.
        return verdict.store === (known.has(code) && code !== 400 && code !== 421 && !isPrivate)
      }),
  )
  t.pass('for every status')
})

t.test('a valid CDN-Cache-Control: no-store is never stored, whatever Cache-Control says', async t => {
  fc.assert(fc.property(response, requestFields, fc.shuffledSubarray(['no-store', 'max-age=60', 'public', 's-maxage=1'], { minLength: 1 }), (fields, by, directives) => {
    const list = directives.includes('no-store') ? directives : ['no-store', ...directives]
    return !assess({ ...fields, 'CDN-Cache-Control': list.join(', ') }, { request: by }).store
  }))
  t.pass('for every response')
})

t.test('a response to credentials is stored only if the origin permits sharing', async t => {
  fc.assert(fc.property(response, requestFields, fc.constantFrom('Authorization', 'Cookie'), (fields, by, credential) => {
    const verdict = assess(fields, { request: { ...by, [credential]: 'x' } })
    if (!verdict.store) return true
    const values = [fields['CDN-Cache-Control'], fields['Surrogate-Control'], fields['Cache-Control']].flat().join()
    return /public|must-revalidate|s-maxage/i.test(values)
  }))
  t.pass('for every response')
})

t.test('lifetimes and allowances are bounded, no number is malformed, and what is stored is kept at least while it is fresh', async t => {
  fc.assert(
    fc.property(response, fc.constantFrom('max-age=60', 's-maxage=9999999999', 'max-age=60, stale-while-revalidate=99', 'stale-if-error=99, max-age=0, public'), requestFields,
      status, fc.constantFrom(0, 1000, 30_000, 1e10), fc.constantFrom(0, 1000, 1e10), (more, control, by, code, maxTtlMs, heuristicTtlMs) => {
      const fields = { 'Cache-Control': control, ETag: '"a"', ...more }
      const verdict = assess(fields, { request: by, status: code, rules: { maxTtlMs, heuristicTtlMs, cookies: 'ignore', setCookie: 'store' } })
      if (!verdict.store) return true
      const { lifetimeMs, staleWhileRevalidateMs, staleIfErrorMs, initialAgeMs, keepUntilMs, responseTimeMs } = verdict.meta
      for (const bounded of [lifetimeMs, staleWhileRevalidateMs, staleIfErrorMs ?? 0]) if (!(bounded >= 0 && bounded <= maxTtlMs)) return false
      return Number.isFinite(initialAgeMs) && initialAgeMs >= 0 && keepUntilMs >= responseTimeMs + lifetimeMs
    }),
  )
  t.pass('for every response')
})

t.test('no field of the connection and no cache-only field is stored', async t => {
  fc.assert(fc.property(response, status, (fields, code) => {
    const verdict = assess({ 'Cache-Control': 'max-age=60', ...fields }, { status: code })
    if (!verdict.store) return true
    const named = connectionNamed(lines(fields))
    return verdict.meta.fields.every((name, i) =>
      i % 2 === 1 || (!isHopByHop(name, named) && !['surrogate-control', 'surrogate-key', 'cache-tag', 'age', 'content-length', 'proxy-status'].includes(name))
    )
  }))
  t.pass('for every response')
})

t.test('decide is total, and never serves stale past must-revalidate, s-maxage or no-cache', async t => {
  // For anything at all, and for the metadata that policy itself makes of a response.
  const entry = fc.oneof(
    anyMetadata.map(meta => ({ meta })),
    fc.tuple(response, requestFields).map(([fields, by]) => assess({ 'Cache-Control': 'max-age=60', ...fields }, { request: by, rules: { cookies: 'ignore', setCookie: 'store' } }))
      .filter(verdict => verdict.store).map(({ meta }) => ({ meta })),
  )
  fc.assert(
    fc.property(requestFields, fc.constantFrom('GET', 'HEAD'), fc.array(entry, { maxLength: 4 }), softness, fc.integer({ min: 0, max: 4e12 }),
      (fields, by, entries, soft, nowMs) => {
        const r = request(fields, { method: by })
        const decision = decide(r, entries, () => soft, r.requestField, nowMs, defaultRules)
        switch (decision.action) {
          case 'serve':
          case 'serve-stale': {
            const { entry: { meta }, ageMs } = decision
            const stale = soft === 'stale' || ageMs >= meta.lifetimeMs
            if (r.directives.noCache || meta.alwaysValidate || (soft === 'stale' ? ageMs < currentAgeMs(meta, nowMs) : ageMs !== currentAgeMs(meta, nowMs))) return false
            if (decision.reason === 'fresh' ? stale : !stale) return false
            return !stale || !meta.neverStale
          }
          case 'validate':
            return by === 'GET' && (decision.entry.meta.etag ?? decision.entry.meta.lastModified) !== undefined && !r.directives.onlyIfCached
          case 'fetch':
            return !r.directives.onlyIfCached
          case 'refuse':
            return r.directives.onlyIfCached
        }
      }),
    { numRuns: 500 },
  )
  t.pass('for every combination')
})

t.test('nothing stale replaces a failed origin past must-revalidate, s-maxage or no-cache, nor for a request that refuses it', async t => {
  fc.assert(fc.property(requestFields, anyMetadata, softness, fc.constantFrom('unreachable', '5xx'), fc.integer({ min: 0, max: 4e12 }), (fields, meta, soft, failure, nowMs) => {
    const r = request(fields)
    if (mayServeStaleOnError(r, meta, soft, failure, nowMs) === undefined) return true
    const stale = soft === 'stale' || currentAgeMs(meta, nowMs) >= meta.lifetimeMs
    return !meta.alwaysValidate && !r.directives.noCache && !(stale && meta.neverStale)
  }))
  t.pass('for every combination')
})

t.test('a response is never selected by a request whose selecting fields differ, and always by its own', async t => {
  const varying = fc.uniqueArray(fc.constantFrom('Accept', 'Accept-Language', 'accept-encoding', 'X-Own', 'COOKIE'), { minLength: 1 })
  fc.assert(fc.property(requestFields, requestFields, varying, (first, second, vary) => {
    const [a, b] = [request(first), request(second)]
    const verdict = assess({ 'Cache-Control': 'max-age=60', Vary: vary.join(', ') }, { request: first, rules: { cookies: 'ignore' } })
    if (!verdict.store) return true
    const entries: { readonly meta: Metadata }[] = [verdict]
    const normal = (value: string | undefined, name: string): string | null => (value === undefined ? null : normaliseSelecting(name, value))
    const same = vary.map(name => name.toLowerCase()).every(name => normal(a.requestField(name), name) === normal(b.requestField(name), name))
    return selectVariant(entries, a.requestField) === verdict && (selectVariant(entries, b.requestField) === verdict) === same
  }))
  t.pass('for every pair of requests')
})

t.test('a merged 304 never changes what frames the stored bytes, brings no field of its connection, and merged twice is merged once', async t => {
  const kept = ['content-length']
  fc.assert(fc.property(response, response, (before, news) => {
    const [stored, fields304] = [lines(before), lines(news)]
    const merged = mergedFields(stored, fields304)
    const named = connectionNamed(fields304)
    for (const name of kept) if (fieldLineValues(merged, name).join('\n') !== fieldLineValues(stored, name).join('\n')) return false
    for (let i = 0; i < fields304.length; i += 2) {
      const name = fields304[i] as string
      const taken = !isHopByHop(name, named) && !kept.includes(name)
      if (taken && fieldLineValues(merged, name).join('\n') !== fieldLineValues(fields304, name).join('\n')) return false
    }
    return mergedFields(merged, fields304).join('\n') === merged.join('\n')
  }))
  t.pass('for every pair of field sections')
})

t.test('a HEAD that confirms brings no validator, length or coding that is not the stored one', async t => {
  const stored: Fields = { ETag: '"a"', 'Last-Modified': dateT0, 'Content-Encoding': 'gzip' }
  const every = fc.record({
    ETag: fc.constantFrom('"a"', 'W/"a"', '"b"'),
    'Last-Modified': fc.constantFrom(dateT0, '0'),
    'Content-Encoding': fc.constantFrom('gzip', 'br'),
    'Content-Length': fc.constantFrom('4', '5', '4, 4', ''),
  })
  const like: fc.Arbitrary<Fields> = fc.tuple(every, fc.subarray(['ETag', 'Last-Modified', 'Content-Encoding', 'Content-Length'])).map(([all, some]) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => some.includes(name)))
  )
  fc.assert(fc.property(fc.subarray(['ETag', 'Last-Modified', 'Content-Encoding']), fc.constantFrom(200, 404), fc.constantFrom(200, 404, 410), like, (kept, was, code, fields) => {
    const { meta } = assess({ 'Cache-Control': 'max-age=60', ...Object.fromEntries(kept.map(name => [name, stored[name] as string])) }, { status: was }) as { meta: Metadata }
    const verdict = judgeByHead({ ...meta, bodyBytes: 4 }, code, lines(fields))
    if (verdict !== 'confirms') return true
    const known = new Set(kept)
    return code === 200 && was === 200 && (fields['Content-Length'] ?? '4') === '4' && (fields['ETag'] !== undefined || fields['Last-Modified'] !== undefined) &&
      (['ETag', 'Last-Modified', 'Content-Encoding'] as const).every(name => fields[name] === undefined || (known.has(name) && fields[name] === stored[name]))
  }), { numRuns: 500 })
  t.pass('for every pair')
})

t.test('nothing that reads a field throws, whatever the field', async t => {
  const parsers: Readonly<Record<string, (value: string, lines: readonly string[]) => unknown>> = {
    normaliseAuthority: value => normaliseAuthority(value, 'http'),
    absoluteForm,
    parseResponseDirectives,
    parseEntityTag,
    listMembers,
    splitTarget,
    surrogateDirectives,
    withoutOuterSpace: value => withoutOuterSpace(value),
    parseRequestDirectives: value => parseRequestDirectives(value, value),
    parseHttpDate: value => parseHttpDate(value, T0),
    deltaSeconds,
    qualifiedNames,
    weakMatch: value => weakMatch(value, '"a"'),
    strongMatch: value => strongMatch(value, '"a"'),
    matchesList: value => [matchesList(value, '"a"', 'weak'), matchesList(value, undefined, 'strong')],
    normaliseSelecting: value => ['accept', 'accept-language', 'accept-encoding', 'cookie'].map(name => normaliseSelecting(name, value)),
    parseRange: value => parseRange(value, 10, 4),
    parseContentRange,
    cdnLoopPasses: value => cdnLoopPasses(value, 'springhouse'),
    viaPasses: value => viaPasses(value, 'springhouse'),
    removeQueryParameters: value => removeQueryParameters(value, compileNames(['a*', '*b']), true),
    targetedDirectives: (_, section) => targetedDirectives(section, 'cdn-cache-control'),
    responseTags: (_, section) => responseTags(section, defaultTags.fields),
    groupInvalidations: (_, section) => groupInvalidations(section),
    connectionNamed: (_, section) => connectionNamed(section),
    fieldLines: (_, section) => fieldLines(section),
    reportedAgeMs: (_, section) => reportedAgeMs(section),
    selectingFields: (value, section) => selectingFields(section, () => value),
    notModifiedFields: (_, section) => notModifiedFields(section),
    representsTarget: (value, section) => representsTarget({ scheme: 'http', authority: 'api.example.com', target: `/${value}` }, 200, section),
    invalidatedTargets: (value, section) => invalidatedTargets({ method: 'POST', scheme: 'http', authority: 'api.example.com', target: `/${value}` }, 200, section),
    cacheKey: value => {
      const r = request({ Cookie: value, 'X-Own': value })
      return cacheKey('r', r, r.requestField, { ...defaultRules, cookies: ['a'] }, { ignoreQuery: undefined, sortQuery: false, headers: ['x-own'] }, [])
    },
    isNotModified: (value, section) => isNotModified(request({ 'If-None-Match': value }), 200, section, T0),
    notModifiedSince: (value, section) => isNotModified(request({ 'If-Modified-Since': value }), 200, section, T0),
  }
  for (const [name, parse] of Object.entries(parsers)) {
    fc.assert(fc.property(text, response, (value, fields) => {
      parse(value, lines(fields))
    }))
    fc.assert(fc.property(anyText(), fc.array(fc.tuple(fc.string(), anyText())), (value, pairs) => {
      parse(value, pairs.flat())
    }))
    t.pass(name)
  }
  fc.assert(fc.property(anyMetadata, response, (meta, fields) => {
    confirms(meta, lines(fields))
  }))
})

t.test('normalising a normal form changes nothing', async t => {
  const once = <T>(name: string, arbitrary: fc.Arbitrary<T>, normalise: (value: T) => T | undefined): void => {
    fc.assert(fc.property(arbitrary, value => {
      const normal = normalise(value)
      return normal === undefined || normalise(normal) === normal
    }))
    t.pass(name)
  }
  once('an authority', fc.oneof(text, fc.webAuthority()), value => normaliseAuthority(value, 'https'))
  for (const name of ['accept', 'accept-language', 'accept-encoding', 'x-own']) once(name, text, value => normaliseSelecting(name, value))
  once('a query', fc.oneof(text, fc.webQueryParameters().map(query => `/a?${query}`)), value => removeQueryParameters(value, compileNames(['a*', '*b']), true))
  once('white space', text, value => withoutOuterSpace(value))
  once('a date', text, value => {
    const ms = parseHttpDate(value, T0)
    return ms === undefined ? undefined : formatHttpDate(ms)
  })
  once('members of a list', text, value => listMembers(value).join(', '))
})

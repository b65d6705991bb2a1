// Every reader in src of text from a client, an origin, Redis or an admin client: its name, its input, and the call.
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { tooMuchJson } from '../../src/admin/json-bounds.ts'
import { namesLoopback } from '../../src/admin/same-site.ts'
import { readAbsoluteUrl, readUrlPattern } from '../../src/admin/url-pattern.ts'
import { printable } from '../../src/cli/columns.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { substitute } from '../../src/config/substitute.ts'
import { parseDuration, parseSize } from '../../src/config/units.ts'
import { safeMessage } from '../../src/error-summary.ts'
import { routeRequest } from '../../src/exchange/routed-request.ts'
import { invalidationBy } from '../../src/exchange/pass/invalidate.ts'
import { sendInterim } from '../../src/exchange/client/interim.ts'
import { compileRoutes, keyedTarget, unkeyedNames } from '../../src/exchange/routing/routes.ts'
import { absoluteForm, normaliseAuthority, purgeHost } from '../../src/http/authority.ts'
import { parseRequestDirectives, parseResponseDirectives } from '../../src/http/cache-control.ts'
import { acceptsCodings } from '../../src/http/content-codings.ts'
import { parseHttpDate } from '../../src/http/date.ts'
import { deltaSeconds, qualifiedNames, scanDirectives } from '../../src/http/directives.ts'
import { matchesList, parseEntityTag } from '../../src/http/etag.ts'
import { connectionNamed, fieldLines, fieldValue, listMembers, announcedLength } from '../../src/http/fields.ts'
import { sendableLinks } from '../../src/http/links.ts'
import { cdnLoopPasses, viaPasses } from '../../src/forwarding/loop.ts'
import { compileNames } from '../../src/http/name-globs.ts'
import { normaliseSelecting } from '../../src/http/negotiation.ts'
import { normalPrefix, normalTarget } from '../../src/http/normal-target.ts'
import { plainestForms } from '../../src/http/path-readings.ts'
import { parseContentRange, parseRange } from '../../src/http/range.ts'
import { groupInvalidations, isPossibleTag, responseTags, tagFault } from '../../src/http/tags.ts'
import { removeQueryParameters, splitTarget } from '../../src/http/target.ts'
import { isOnlyMalformed, isPartlyWellFormed, surrogateDirectives, targetedDirectives } from '../../src/http/targeted.ts'
import { withoutOuterSpace } from '../../src/http/white-space.ts'
import { connectionOptions } from '../../src/forwarding/connection-options.ts'
import { forwardFields, unconditionalFields } from '../../src/forwarding/request-fields.ts'
import { isAddressList, readForwarded } from '../../src/forwarding/forwarded.ts'
import { requestFields, sectionLines } from '../../src/origin/transport/http2-fields.ts'
import { ChunkedBody } from '../../src/origin/transport/http1-chunks.ts'
import { mayBecomeHead, parseHead, parseTrailers } from '../../src/origin/transport/http1-head.ts'
import { keyedProvenance, provenanceLines } from '../../src/forwarding/trusted-fields.ts'
import { malformed, receivedHead } from '../../src/origin/request/response-head.ts'
import { isUntrustedField } from '../../src/forwarding/untrusted-fields.ts'
import { trustedProxyMatcher } from '../../src/forwarding/trusted-proxies.ts'
import { namedCookies } from '../../src/policy/cookies.ts'
import { publicHosts } from '../../src/policy/public-hosts.ts'
import { invalidatedTargets } from '../../src/policy/invalidation.ts'
import { cacheKey } from '../../src/policy/key.ts'
import { receivedContent } from '../../src/policy/part.ts'
import { CacheRequest, scanFields } from '../../src/policy/request.ts'
import { assessResponse } from '../../src/policy/storable.ts'
import { confirms, mergedFields, notModifiedFields } from '../../src/policy/validation.ts'
import { matchesVary, selectingFields } from '../../src/policy/vary.ts'
import { validateRequest } from '../../src/proxy/admission/admission.ts'
import { unknownMethod } from '../../src/proxy/admission/methods.ts'
import { Http1Response } from '../../src/proxy/listener/http1-response.ts'
import { readRedisNode, readRedisUrl } from '../../src/redis-address.ts'
import { decodeMetadata, encodeMetadata } from '../../src/store/codec.ts'
import { decodeRecords } from '../../src/store/redis/purge-log/record.ts'
import { decodeValue, encodeValue, entryName } from '../../src/store/redis/entries/value.ts'
import { defaultRules, T0 } from '../policy/scene.ts'

const { cacheOnly } = defaultRules.tags
import { metadata } from '../support/metadata.ts'
import { requestNames, responseNames, type LineReader, type Reader } from './linear.ts'
import type { RequestContext } from '../../src/forwarding/request-context.ts'
import type { Route } from '../../src/exchange/routing/route.ts'
import { responseFields, clientFields, clientTrailers } from '../../src/forwarding/response-fields.ts'

const trusted: RequestContext = { address: '10.0.0.1', scheme: 'http', httpVersion: '1.1', trusted: true, requestId: 'r' }
const stranger: RequestContext = { ...trusted, trusted: false }
const plain = { scheme: 'http', authority: 'h' } as const
const ignored = ['utm_*', '*_ref', 'a', '*b*c*']
const rules = { key: { cookies: ['lang'], query: { ignore: ignored, sort: true }, headers: ['x-key'] } }
const [route, everyRoute] = compileRoutes(resolveConfig({
  origins: { api: { servers: ['http://127.0.0.1:1'] } },
  routes: [{ match: { host: '*.example', path: '/account' }, origin: 'api', ...rules }, { match: {}, origin: 'api', ...rules }],
})) as [Route, Route]
const line = { method: 'GET', scheme: 'http', authority: 'h', target: '/a' } as const
const everywhere = new CacheRequest(scanFields([]), line)

function message(lines: readonly string[], url = '/'): IncomingMessage {
  const made = new IncomingMessage(new Socket())
  Object.assign(made, { url, method: 'GET', httpVersion: '1.1', httpVersionMajor: 1, rawHeaders: [...lines] })
  return made
}

const limits = { maxTargetBytes: 1 << 30, maxHeaderBytes: 1 << 30, viaName: 'springhouse' }

function assess(fields: readonly string[], requestLines: readonly string[] = []): unknown {
  const asked = routeRequest([everyRoute], { method: 'GET', url: '/a', rawHeaders: ['host', 'h', ...requestLines] }, trusted, 'springhouse')
  if (typeof asked === 'string') throw new Error(asked)
  return assessResponse(asked.request, asked.requestField, { status: 200, fields, requestTimeMs: T0, responseTimeMs: T0, stamp: '' }, defaultRules)
}

function interim(fields: readonly string[]): void {
  const request = message([])
  const response = new Http1Response(request)
  // There is no peer, which the socket notices when it writes.
  response.assignSocket(new Socket().on('error', () => undefined))
  sendInterim(response, 103, fields, cacheOnly)
}

const onRequest = (name: string): Reader => (text) => {
  const lines = [name, text, ...(name === 'host' ? [] : ['host', 'h'])]
  const asked = routeRequest([route, everyRoute], { method: 'GET', url: '/a?b=c', rawHeaders: lines }, trusted, 'springhouse')
  if (typeof asked !== 'string') return [asked.key, asked.forwarded]
  return asked
}

/** By name. */
export const readers: Readonly<Record<string, Reader>> = {
  'normaliseAuthority': (text) => [normaliseAuthority(text, 'http'), normaliseAuthority(text, 'https')],
  'absoluteForm': absoluteForm,
  'parseResponseDirectives': parseResponseDirectives,
  'parseRequestDirectives': (text) => [parseRequestDirectives(text, undefined), parseRequestDirectives(undefined, text)],
  'parseHttpDate': (text) => parseHttpDate(text, T0),
  'directives': (text) => [qualifiedNames(text), deltaSeconds(text), scanDirectives(text, [], () => undefined)],
  'matchesList': (text) => [matchesList(text, '"a"', 'weak'), matchesList('"a", W/"b"', text, 'strong')],
  'parseEntityTag': parseEntityTag,
  'listMembers': listMembers,
  'sendableLinks': sendableLinks,
  'passes': (text) => [viaPasses(text, 'springhouse'), cdnLoopPasses(text, 'springhouse')],
  ...Object.fromEntries(['accept', 'accept-encoding', 'accept-language', 'x'].map((name) => [`normaliseSelecting ${name}`, (text: string) => normaliseSelecting(name, text)])),
  'acceptsCodings': (text) => [acceptsCodings(text, 'gzip'), acceptsCodings(`gzip;q=${text}`, 'gzip'), acceptsCodings('gzip', text)],
  'parseRange': (text) => [parseRange(`bytes=${text}`, 1_000, 16), parseRange(text, 0, 16)],
  'parseContentRange': (text) => [parseContentRange(text), parseContentRange(`bytes ${text}`)],
  ...Object.fromEntries(
    (['comma', 'space', 'both', 'structured'] as const).map((separator) => [`responseTags ${separator}`, (text: string) => responseTags(['x', text], [{ name: 'x', separator }])]),
  ),
  'tagFault': tagFault,
  'isPossibleTag': isPossibleTag,
  'groupInvalidations': (text) => groupInvalidations(['cache-group-invalidation', text]),
  'splitTarget': splitTarget,
  'removeQueryParameters': (text) => removeQueryParameters(`/?${text}`, compileNames(ignored), true),
  'surrogateDirectives': (text) => [surrogateDirectives(text), isPartlyWellFormed(text)],
  'targetedDirectives': (
    text,
  ) => [targetedDirectives(['cdn-cache-control', text], 'cdn-cache-control'), isOnlyMalformed(['cdn-cache-control', text], 'cdn-cache-control'),
    targetedDirectives(['cdn-cache-control', `private="${text}"`], 'cdn-cache-control')],
  'withoutOuterSpace': (text) => withoutOuterSpace(text),
  'isSteering': isUntrustedField,
  'trustPredicate': trustedProxyMatcher(['loopback', '10.0.0.0/8']),
  'readForwarded': readForwarded,
  'isAddressList': isAddressList,
  'provenance forwarded': (text) => keyedProvenance(provenanceLines(['Forwarded', text], trusted, 'h'), plain),
  'provenance others': (text) =>
    keyedProvenance(provenanceLines(['X-Forwarded-For', text, 'X-Forwarded-Port', text, 'X-Forwarded-Host', text, 'X-Original-URL', text], trusted, 'h'), plain),
  'namedCookies': (text) => namedCookies(text, ['lang', 'a']),
  'normalTarget': (text) => [normalTarget(`/${text}`), normalPrefix(`/${text}`)],
  'plainestForms': (text) => [plainestForms(`/${text}`, true), plainestForms(`/${text}`, false)],
  'compileNames': (text) => [compileNames(ignored)(text), compileNames([text])('abc')],
  'substitute': (text) => substitute(text, { A: 'b' }),
  'readRedisUrl': (text) => [readRedisUrl(text), readRedisUrl(`redis://${text}`), readRedisNode(text)],
  'safeMessage': safeMessage,
  'receivedHead': (text) => ['etag', 'age', 'expires', 'location', 'link'].map((name) => receivedHead(200, [name, text, name, `${text}a`], T0)),
  'requestFields': (text) => requestFields('GET', '/', 'http', ['x', `a${text}a`, 'cookie', text]),
  'requestFields name': (text) => requestFields('GET', '/', 'http', [text, 'a']),
  'malformed': (text) => [malformed(200, ['content-length', text]), malformed(200, ['transfer-encoding', text])],
  'parseHead value': (text) => parseHead(`HTTP/1.1 200 OK\r\nx: ${text}`),
  'parseHead name': (text) => parseHead(`HTTP/1.1 200 OK\r\n${text}: x`),
  'parseHead line': (text) => parseHead(`HTTP/1.1 ${text}`),
  'parseHead framing': (text) => ['connection', 'keep-alive', 'content-length', 'transfer-encoding'].map((name) => parseHead(`HTTP/1.1 200 OK\r\n${name}: ${text}`)),
  'mayBecomeHead': (text) => [mayBecomeHead(text, 0), mayBecomeHead(`HTTP/1.1 200 ${text}`, 14)],
  'parseTrailers': (text) => [parseTrailers(text), parseTrailers(`x: ${text}`)],
  'ChunkedBody': (text) => ['', '1', '1;', '1;a=', '1;a="', '0\r\n'].map((before) => new ChunkedBody(65_536).read(Buffer.from(`${before}${text}\r\n`, 'latin1'))),
  'admit target': (text) => validateRequest(message(['Host', 'h'], `/${text}`), limits),
  'admit absolute target': (text) => validateRequest(message(['Host', 'h'], `http://${text}`), limits),
  ...Object.fromEntries(requestNames.map((name) => [`admit ${name}`, (text: string) => validateRequest(message(['Host', 'h', name, text]), limits)])),
  ...Object.fromEntries(requestNames.map((name) => [`receive ${name}`, onRequest(name)])),
  'receive target': (text) => routeRequest([route, everyRoute], { method: 'GET', url: `/${text}`, rawHeaders: ['host', 'a.example'] }, stranger, 'springhouse'),
  ...Object.fromEntries(responseNames.map((name) => [`assessResponse ${name}`, (text: string) => assess([name, text])])),
  ...Object.fromEntries(responseNames.map((name) => [`assessResponse max-age and ${name}`, (text: string) => assess(['cache-control', 'max-age=60', name, text])])),
  ...Object.fromEntries(responseNames.map((name) => [`sendInterim ${name}`, (text: string) => interim(['link', '</a>', name, text])])),
  'clientFields': (text) => [clientFields(['connection', text, 'x', text], cacheOnly, 'v', 's'), clientTrailers(['connection', text], cacheOnly)],
  'announcedLength': (text) => announcedLength(['content-length', text]),
  'contentOf': (text) => [receivedContent(`bytes=${text}`, 206, ['content-range', text]), receivedContent('bytes=0-', 206, ['content-type', text])],
  'cacheKey': (text) =>
    cacheKey('r', everywhere, () => text, { ...defaultRules, cookies: ['lang', 'a'] }, { ignoreQuery: undefined, sortQuery: false, headers: ['x'] }, ['x', text]),
  'selectingFields': (text) => selectingFields(['vary', text], () => text),
  'publicHosts': (text) => [publicHosts('a', (name) => (name === 'x-forwarded-port' ? '8443' : text)), purgeHost(text)],
  'invalidatedTargets': (text) => invalidatedTargets({ ...line, method: 'POST', publicHosts: ['b'], anyScheme: true }, 200, ['location', text, 'content-location', `/${text}`]),
  'invalidationBy': (text) =>
    invalidationBy({ routes: () => [route, everyRoute], otherRoutes: () => true }, { request: new CacheRequest(scanFields([]), { ...line, method: 'POST' }), publicHosts: ['b'],
      context: { trusted: true } }, 200, ['location', `/${text}`, 'cache-group-invalidation', text]),
  'keyedTarget': (text) => keyedTarget(route, `/a?${text}`),
  'unknownMethod': (text) => unknownMethod(Buffer.from(text)),
  'decodeMetadata': (text) => decodeMetadata(Buffer.from(text, 'latin1')),
  'metadata of many strings': (text) =>
    decodeMetadata(encodeMetadata(metadata({ tags: text.split(/[ ,;]/), fields: text.split(/[ ,;]/).flatMap((part) => [part, part]), target: text }))),
  'decodeValue': (text) => [decodeValue(Buffer.from(`\u0002${text}`, 'latin1')), decodeValue(encodeValue(text, metadata(), text.length, Buffer.from(text, 'latin1')))],
  'entryName': (text) => entryName('p', text),
  'decodeRecords': (
    text,
  ) => [decodeRecords([['1-1', ['log', text, 'purge', text]]]),
    decodeRecords([['1-1', ['purge', JSON.stringify({ urls: [], prefixes: [], tags: text.split(','), tagsMatch: 'any', all: false, soft: false })]]])],
  'readUrlPattern': (text) => [readUrlPattern(text), readAbsoluteUrl(`http://${text}`), readAbsoluteUrl(`http://a/${text}`)],
  'namesLoopback': namesLoopback,
  'tooMuchJson': tooMuchJson,
  'parseDuration': (text) => [parseDuration(text), parseSize(text)],
  'printable': printable,
}

/** By name: readers that get many short lines. */
export const lineReaders: Readonly<Record<string, LineReader>> = {
  'fieldLines': (lines) => fieldValue(fieldLines(lines), 'x'),
  'connection': (lines) => [connectionNamed(lines), connectionOptions(lines)],
  'forwardFields of a trusted client': (lines) => forwardFields(lines, trusted, 'springhouse'),
  'forwardFields': (lines) => forwardFields(lines, stranger, 'springhouse'),
  'provenance': (lines) => keyedProvenance(provenanceLines(lines, trusted, 'h'), plain),
  'receivedHead': (lines) => receivedHead(200, lines, T0),
  'receive': (lines) => {
    const asked = routeRequest([everyRoute], { method: 'GET', url: '/', rawHeaders: ['host', 'h', ...lines] }, trusted, 'springhouse')
    if (typeof asked === 'string') return asked
    return [asked.key, unkeyedNames(everyRoute, asked.forwarded.filter((_, i) => i % 2 === 0))]
  },
  'admit': (lines) => validateRequest(message(['Host', 'h', ...lines]), limits),
  'admit absolute form': (lines) => validateRequest(message(['Host', 'h', ...lines], 'http://a/'), limits),
  'requestFields': (lines) => requestFields('GET', '/', 'http', lines),
  'sectionLines': (lines) => sectionLines(lines, lines.length / 2),
  'responseFields': (lines) => responseFields(200, lines),
  'malformed': (lines) => malformed(200, lines),
  'parseHead': (lines) => parseHead(lines.reduce((text, part, i) => `${text}${i % 2 === 0 ? '\r\n' : ': '}${part}`, 'HTTP/1.1 200 OK')),
  'plainFields': unconditionalFields,
  'clientFields': (lines) => clientFields(lines, cacheOnly, 'v', 's'),
  'clientTrailers': (lines) => clientTrailers(lines, cacheOnly),
  'sendInterim': (lines) => interim(['link', '</a>', ...lines]),
  'assessResponse': (lines) => assess(lines),
  'assessResponse with a lifetime': (lines) => assess(['cache-control', 'max-age=60', ...lines]),
  'assessResponse that names all lines': (lines) =>
    assess([...lines, 'cache-control', `max-age=60, private="${
      lines.filter((_, i) => i % 2 === 0).join(',')
    }", no-cache="${lines.filter((_, i) => i % 2 === 0).map((name) => `y${name}`).join(',')}"`]),
  'assessResponse that varies by all lines': (lines) => assess(['cache-control', 'max-age=60', 'vary', lines.map((name) => name.replaceAll(/[^\w-]/g, '')).join(',')], lines),
  'matchesVary': (lines) => {
    const asked = routeRequest([everyRoute], { method: 'GET', url: '/', rawHeaders: ['host', 'h', ...lines] }, stranger, 'springhouse')
    return typeof asked === 'string' ? asked : matchesVary(lines.map((name) => [name, null]), asked.requestField)
  },
  'mergedFields': (lines) => [mergedFields(lines, lines), notModifiedFields(lines), confirms(metadata(), lines)],
  'metadata': (lines) => decodeMetadata(encodeMetadata(metadata({ fields: lines }))),
  'decodeRecords': (lines) => decodeRecords([['1-1', [...lines]]]),
}

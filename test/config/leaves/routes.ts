// Probes of routes: matches, keys, and the storage of responses.
import type { Test } from 'tap'
import { detail } from '../../support/proxy.ts'
import { startOrigin, type OriginHandler } from '../../support/scripted-origin.ts'
import { ranged } from '../../support/ranged-origin.ts'
import { each, type Probe, type Under } from './probe.ts'

const fields = (given: Readonly<Record<string, string>>, status = 200): OriginHandler => (_request, response) => void response.writeHead(status, given).end('body')
const status = async (house: Under): Promise<number> => (await house.get('/')).status

/** The reason of a second request, some time after the first. */
const later = (values: readonly [unknown, unknown], origin: OriginHandler, expected: readonly [unknown, unknown], seconds = 0,
  requestFields: Readonly<Record<string, string>> = {}): Probe =>
  each({
    values,
    origin,
    expected,
    see: async (house) => {
      await house.get('/', requestFields)
      house.manual.advance(seconds * 1000)
      return detail(await house.get('/', requestFields))
    },
  })

const target = (values: readonly [unknown, unknown], asked: string, expected: readonly [string, string]): Probe =>
  each({
    values,
    expected,
    see: async (house) => {
      await house.get(asked)
      return house.origin.requests[0]?.target
    },
  })

export const routes: Readonly<Record<string, Probe>> = {
  'routes[].match.host': each({ values: ['127.0.0.1', 'b.example'], expected: [200, 404], see: status }),
  'routes[].match.path': each({ values: ['/', '/b'], expected: [200, 404], see: status }),
  'routes[].match.exact': each({ values: ['/', '/a'], expected: [[200, 404], [404, 200]], see: async (house) => [await status(house), (await house.get('/a')).status] }),
  'routes[].origin': async (t: Test, path) => {
    const other = await startOrigin(fields({}, 201))
    t.teardown(() => other.close())
    return each({ values: ['api', 'other'], with: { 'origins.other.servers': [other.url] }, expected: [200, 201], see: status })(t, path)
  },
  'routes[].key.query.ignore': target([[], ['a']], '/?b=2&a=1', ['/?b=2&a=1', '/?b=2']),
  'routes[].key.query.sort': target([false, true], '/?b=2&a=1', ['/?b=2&a=1', '/?a=1&b=2']),
  'routes[].key.headers': each({
    values: [[], ['x-tenant']],
    expected: ['fresh', 'uri-miss'],
    see: async (house) => {
      await house.get('/', { 'X-Tenant': 'a' })
      return detail(await house.get('/', { 'X-Tenant': 'b' }))
    },
  }),
  'routes[].key.cookies': later([[], ['a']], fields({ 'Cache-Control': 'max-age=60' }), ['cookie', 'fresh'], 0, { Cookie: 'a=b; other=c' }),
  'routes[].cache.rangeFetch': each({
    values: ['part', 'whole'],
    origin: ranged({ body: Buffer.from('abcdefghij'), fields: { 'Cache-Control': 'max-age=60' } }),
    expected: ['bytes=2-4 cde', ' cde'],
    see: async (house) => {
      const answer = await house.get('/', { Range: 'bytes=2-4' })
      return `${house.origin.requests[0]?.header('range') ?? ''} ${answer.body.toString()}`
    },
  }),
  'routes[].requestHeaders': each({
    values: ['all', 'strict'],
    expected: ['a', undefined],
    see: async (house) => {
      await house.get('/', { 'X-Steer': 'a' })
      return house.origin.requests[0]?.header('x-steer')
    },
  }),
  'routes[].retryOn': async (t, path) => {
    const servers = await Promise.all([503, 200].map(async (code) => {
      const origin = await startOrigin(fields({ 'Cache-Control': 'no-store' }, code))
      t.teardown(() => origin.close())
      return origin.url
    }))
    return each({
      values: [[], [503]],
      with: { 'origins.<name>.servers': servers, 'origins.<name>.balance': 'round-robin' },
      expected: [[200, 503], [200, 200]],
      see: async (house) => [await status(house), await status(house)].toSorted((a, b) => a - b),
    })(t, path)
  },
  'routes[].cache.mode': later(['cache', 'bypass'], fields({ 'Cache-Control': 'max-age=60' }), ['fresh', 'route-uncached']),
  'routes[].cache.ttl.default': later(['0s', '1m'], fields({ ETag: '"a"' }), ['no-lifetime', 'fresh']),
  'routes[].cache.ttl.max': later(['1h', '1m'], fields({ 'Cache-Control': 'max-age=600' }), ['fresh', 'stale'], 120),
  'routes[].cache.ttl.status': later([{}, { 404: '1m' }], fields({}, 404), ['no-lifetime', 'fresh']),
  'routes[].cache.ttl.heuristic': later(['10m', '1m'], fields({ 'Last-Modified': 'Mon, 01 Jan 2001 00:00:00 GMT' }), ['fresh', 'stale'], 120),
  'routes[].cache.staleWhileRevalidate': later(['0s', '1m'], fields({ 'Cache-Control': 'max-age=10', ETag: '"a"' }), ['stale', 'stale-while-revalidate'], 20),
  'routes[].cache.staleIfSlow': each({
    values: ['1ms', '1m'],
    origin: async (request, response) => {
      if (request.headers['x-slow'] !== undefined)
        await new Promise((resolve) => {
          setTimeout(resolve, 50)
        })
      response.writeHead(200, { 'Cache-Control': 'max-age=10' }).end('body')
    },
    expected: ['stale-if-slow', 'stale'],
    see: async (house) => {
      await house.get('/')
      house.manual.advance(20_000)
      return detail(await house.get('/', { 'X-Slow': '1' }))
    },
  }),
  'routes[].cache.staleIfError': each({
    values: ['0s', '1m'],
    origin: (request, response) => {
      if (request.headers['x-fail'] === undefined) response.writeHead(200, { 'Cache-Control': 'max-age=10' }).end('body')
      else response.writeHead(500).end()
    },
    expected: ['status', 'stale-if-error'],
    see: async (house) => {
      await house.get('/')
      house.manual.advance(20_000)
      return detail(await house.get('/', { 'X-Fail': '1' }))
    },
  }),
  'routes[].cache.cookies': later(['private', 'ignore'], fields({ 'Cache-Control': 'max-age=60' }), ['cookie', 'fresh'], 0, { Cookie: 'a=b' }),
  'routes[].cache.setCookie': later(['skip', 'store'], fields({ 'Cache-Control': 'max-age=60', 'Set-Cookie': 'a=b' }), ['set-cookie', 'fresh']),
  'routes[].cache.maxEntryBytes': later([1000, 2], fields({ 'Cache-Control': 'max-age=60' }), ['fresh', 'uri-miss']),
}

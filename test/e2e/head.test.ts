// RFC 9111 §4.3.5: the effect of a response to HEAD on the response stored for GET.
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { detail, overRedis, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'

type Fields = Readonly<Record<string, string>>
type Asked = Readonly<Record<string, string>>

interface Script {
  get: Fields
  getStatus: number
  head: Fields
  headStatus: number
  beforeHead: Promise<void>
}

const tagged: Fields = { 'Cache-Control': 'max-age=600', ETag: '"v1"', 'X-A': 'old', 'X-B': 'stays', 'Content-Length': '4' }
const dated: Fields = { 'Cache-Control': 'max-age=600', 'Last-Modified': 'Wed, 01 Jan 2020 00:00:00 GMT', 'X-A': 'old' }
const bare: Fields = { 'Cache-Control': 'max-age=600', 'X-A': 'old' }
const noCache = { 'Cache-Control': 'no-cache' }

function scripted(): { script: Script; origin: OriginHandler } {
  const script: Script = { get: tagged, getStatus: 200, head: {}, headStatus: 200, beforeHead: Promise.resolve() }
  const origin: OriginHandler = async (request, response) => {
    if (request.method === 'HEAD') {
      const { head, headStatus, beforeHead } = script
      await beforeHead
      response.writeHead(headStatus, head).end()
    } else response.writeHead(script.getStatus, script.get).end('body')
  }
  return { script, origin }
}

async function startAt(t: Test, kind: string, cache: Record<string, unknown> = {}): Promise<{ script: Script; house: TestProxy<Clock> }> {
  const { script, origin } = scripted()
  const redis = kind === 'redis' ? await startRedis() : undefined
  if (redis !== undefined) t.teardown(() => redis.stop())
  const house = await startProxy<Clock>(t, { origin, clock: systemClock, cache, ...(redis !== undefined && { config: overRedis(redis.url) }) })
  await eventually(async () => (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current)
  return { script, house }
}

type Outcome = 'updated' | 'gone' | 'as it was'

const rows: readonly [sentence: string, stored: Fields, head: Fields, expected: Outcome, more?: { status?: number; asked?: Asked; getStatus?: number }][] = [
  ['the same tag updates it', tagged, { ETag: '"v1"', 'X-A': 'new', 'Cache-Control': 'max-age=60' }, 'updated'],
  ['the same tag and length update it', tagged, { ETag: '"v1"', 'X-A': 'new', 'Content-Length': '4' }, 'updated'],
  ['the same date updates it', dated, { 'Last-Modified': 'Wed, 01 Jan 2020 00:00:00 GMT', 'X-A': 'new' }, 'updated'],
  ['another tag removes it', tagged, { ETag: '"v2"', 'X-A': 'new' }, 'gone'],
  ['a weak form of its tag is another value', tagged, { ETag: 'W/"v1"', 'X-A': 'new' }, 'gone'],
  ['a tag where none is stored removes it', bare, { ETag: '"v2"' }, 'gone'],
  ['another date removes it', dated, { 'Last-Modified': 'Thu, 02 Jan 2020 00:00:00 GMT' }, 'gone'],
  ['another length removes it, whatever the tag', tagged, { ETag: '"v1"', 'Content-Length': '5' }, 'gone'],
  ['another coding removes it, whatever the tag', tagged, { ETag: '"v1"', 'Content-Encoding': 'gzip' }, 'gone'],
  ['without any validator it is not made young again', bare, { 'X-A': 'new', 'Cache-Control': 'max-age=600' }, 'as it was'],
  ['a length alone proves nothing', bare, { 'X-A': 'new', 'Content-Length': '4' }, 'as it was'],
  ['but another length does', bare, { 'X-A': 'new', 'Content-Length': '5' }, 'gone'],
  ['a 404 leaves it while it is fresh', tagged, { 'X-A': 'new' }, 'as it was', { status: 404 }],
  ['a 410 leaves it while it is fresh', tagged, { 'X-A': 'new' }, 'as it was', { status: 410 }],
  ['a 500 leaves it', tagged, { 'X-A': 'new' }, 'as it was', { status: 500 }],
  ['a 405 leaves it', tagged, { 'X-A': 'new' }, 'as it was', { status: 405 }],
  ['a 302 leaves it', tagged, { Location: '/b' }, 'as it was', { status: 302 }],
  ['a 200 removes a stored 404', { 'Cache-Control': 'max-age=600', 'X-A': 'old' }, {}, 'gone', { getStatus: 404 }],
  ['a 404 leaves a stored 404', { 'Cache-Control': 'max-age=600', 'X-A': 'old' }, {}, 'as it was', { getStatus: 404, status: 404 }],
  ['a response that may not be stored removes it', tagged, { ETag: '"v1"', 'X-A': 'new', 'Cache-Control': 'no-store' }, 'gone'],
  ['a private response removes it', tagged, { ETag: '"v1"', 'X-A': 'new', 'Cache-Control': 'private' }, 'gone'],
  ['the same tag to Authorization leaves it', tagged, { ETag: '"v1"', 'X-A': 'new' }, 'as it was', { asked: { Authorization: 'Bearer x' } }],
  ["another tag to Authorization leaves it: it may be that client's own", tagged, { ETag: '"mine"' }, 'as it was', { asked: { Authorization: 'Bearer x' } }],
  ['another tag to a Cookie leaves it', tagged, { ETag: '"mine"' }, 'as it was', { asked: { Cookie: 'a=b' } }],
  ['a 404 to Authorization leaves it', tagged, {}, 'as it was', { status: 404, asked: { Authorization: 'Bearer x' } }],
  ['the same tag to Authorization updates it if the response is for all', tagged, { ETag: '"v1"', 'X-A': 'new', 'Cache-Control': 'public, max-age=60' }, 'updated', {
    asked: { Authorization: 'Bearer x' },
  }],
  ['another tag to Authorization removes it if the response is for all', tagged, { ETag: '"v2"', 'Cache-Control': 'public, max-age=60' }, 'gone', {
    asked: { Authorization: 'Bearer x' },
  }],
  ['a request that says no-store leaves it', tagged, { ETag: '"v1"', 'X-A': 'new' }, 'as it was', { asked: { 'Cache-Control': 'no-cache, no-store' } }],
]

for (const kind of ['memory', 'redis']) {
  t.test(`over ${kind}`, async t => {
    t.test('the effect of a response to HEAD', async t => {
      const { script, house } = await startAt(t, kind)
      for (const [sentence, stored, head, expected, more = {}] of rows) {
        t.test(sentence, async t => {
          await house.purge({ all: true })
          Object.assign(script, { get: stored, getStatus: more.getStatus ?? 200, head, headStatus: more.status ?? 200 })
          await house.get('/a')
          const answer = await house.get('/a', { ...noCache, ...more.asked }, { method: 'HEAD' })
          t.equal(answer.status, more.status ?? 200)
          t.match(answer.header('cache-status'), /fwd=request; fwd-status=\d+; detail=request-method/)
          const after = await house.get('/a')
          t.equal(detail(after), expected === 'gone' ? 'uri-miss' : 'fresh')
          t.equal(after.header('x-a'), expected === 'updated' ? 'new' : 'old')
          t.equal(after.body.toString(), 'body')
          if (expected !== 'gone') t.equal(after.header('content-length'), '4')
          if (stored === tagged) t.equal(after.header('x-b'), 'stays')
        })
      }
    })

    t.test('only the variants that the request selects are touched, and all of those', async t => {
      const { script, house } = await startAt(t, kind)
      for (const language of ['de', 'fr']) {
        script.get = { ...tagged, Vary: 'Accept-Language', 'X-A': language }
        await house.get('/a', { 'Accept-Language': language })
      }
      script.head = { ETag: '"v2"', Vary: 'Accept-Language' }
      await house.get('/a', { ...noCache, 'Accept-Language': 'de' }, { method: 'HEAD' })
      t.equal(detail(await house.get('/a', { 'Accept-Language': 'fr' })), 'fresh')
      t.not(detail(await house.get('/a', { 'Accept-Language': 'de' })), 'fresh')

      await house.purge({ all: true })
      script.get = { ...tagged, 'X-A': 'for all' }
      await house.get('/a')
      script.get = { ...tagged, Vary: 'Accept', 'X-A': 'for some' }
      await house.get('/a', { ...noCache, Accept: 'a/a' })
      script.head = { ETag: '"v2"', Vary: 'Accept' }
      await house.get('/a', { ...noCache, Accept: 'a/a' }, { method: 'HEAD' })
      t.not(detail(await house.get('/a', { Accept: 'a/a' })), 'fresh', 'an older one that matches as well does not come forward')
    })

    t.test('a purge that came while the HEAD was in flight wins over the response that the HEAD confirms', async t => {
      const { script, house } = await startAt(t, kind)
      for (const [body, expected] of [[{ urls: ['/a'] }, 'uri-miss'], [{ urls: ['/a'], soft: true }, 'soft-purged']] as const) {
        await house.get('/a')
        let release = (): void => {}
        script.beforeHead = new Promise(resolve => {
          release = resolve
        })
        script.head = { ETag: '"v1"', 'X-A': 'new' }
        const answer = house.get('/a', noCache, { method: 'HEAD' })
        await house.origin.nth(house.origin.requests.length + 1)
        await house.purge(body)
        release()
        t.equal((await answer).status, 200)
        t.equal(detail(await house.get('/a')), expected)
      }
    })

    t.test('a response requested after the HEAD is not judged by it', async t => {
      const { script, house } = await startAt(t, kind)
      let release = (): void => {}
      script.beforeHead = new Promise(resolve => {
        release = resolve
      })
      script.head = { ETag: '"v0"' }
      const answer = house.get('/a', {}, { method: 'HEAD' })
      await house.origin.nth(1)
      // The clock that orders the two requests has whole milliseconds.
      const then = systemClock.now()
      await eventually(() => systemClock.now() > then)
      await house.get('/a')
      release()
      await answer
      t.equal(detail(await house.get('/a')), 'fresh')
    })
  })
}

t.test('a HEAD freshens a stale response, from the moment of the HEAD, for the lifetime that it gives', async t => {
  const { script, origin } = scripted()
  const house = await startProxy(t, { origin })
  script.get = { ...tagged, 'Cache-Control': 'max-age=60' }
  await house.get('/a')
  house.clock.advance(100_000)
  script.head = { ETag: '"v1"', 'Cache-Control': 'max-age=120' }
  t.match((await house.get('/a', {}, { method: 'HEAD' })).header('cache-status'), /fwd=stale/)
  house.clock.advance(119_000)
  const hit = await house.get('/a')
  t.equal(hit.header('cache-status'), 'springhouse; hit; ttl=1; detail=fresh')
  t.equal(hit.header('age'), '119')
  house.clock.advance(1000)
  t.equal(detail(await house.get('/a', {}, { method: 'HEAD' })), 'request-method')
})

t.test('a HEAD response that contradicts a stale response is not outdone by stale-while-revalidate or a failing origin', async t => {
  const { script, origin } = scripted()
  const house = await startProxy(t, { origin })
  script.get = { ...tagged, 'Cache-Control': 'max-age=60, stale-while-revalidate=600, stale-if-error=600' }
  await house.get('/a')
  house.clock.advance(61_000)
  script.head = { ETag: '"v2"' }
  await house.get('/a', noCache, { method: 'HEAD' })
  t.equal(detail(await house.get('/a')), 'uri-miss')
})

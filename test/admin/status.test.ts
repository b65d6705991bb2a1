// The reports of the listener about the process and the stored entries.
import tap from 'tap'
import { SpringhouseError } from '../../src/errors.ts'
import { errorsOf, listen, overLog, T0, TwoWorkers, type Answer } from './support.ts'
import { endMany } from '../support/exchange.ts'

interface Entry {
  readonly url: string
  readonly verdict: string
}

const entriesOf = (answer: Answer): Entry[] => answer.json()['entries'] as Entry[]
const urlsOf = (answer: Answer): string[] => entriesOf(answer).map((entry) => entry.url).sort()

tap.test('/healthz shows that the process is alive', async (t) => {
  const { ask } = await listen(t, () => ({ ready: () => false }))
  const answer = await ask('/healthz', { token: null })
  t.equal(answer.status, 200)
  t.same(answer.json(), { status: 'ok' })
})

tap.test('/readyz is 503 while starting or shutting down, and 200 otherwise', async (t) => {
  let ready = false
  const { ask } = await listen(t, () => ({ ready: () => ready }))
  const before = await ask('/readyz', { token: null })
  t.equal(before.status, 503)
  t.equal(before.json()['code'], 'NOT_READY')
  ready = true
  const after = await ask('/readyz', { token: null })
  t.equal(after.status, 200)
  t.same(after.json(), { status: 'ready', degraded: [] })
})

tap.test('without Redis /readyz stays ready, and names what is degraded', async (t) => {
  const { ask } = await listen(t, ({ store }) => ({
    store: {
      lookup: (key) => store.lookup(key),
      write: (key, meta) => store.write(key, meta),
      refresh: (...args) => store.refresh(...args),
      remove: (...args) => store.remove(...args),
      list: (...args) => store.list(...args),
      stats: () => ({ ...store.stats(), degraded: ['redis'] }),
      close: () => store.close(),
    },
  }))
  t.same((await ask('/readyz', { token: null })).json(), { status: 'ready', degraded: ['redis'] })
  t.match((await ask('/metrics')).text, /^springhouse_degraded 1$/m)
})

tap.test('/v1/stats shows the counters, the hit ratio, the store and the log', async (t) => {
  const { ask, parts, store } = await listen(t)
  t.equal((await ask('/v1/stats')).json()['hitRatio'], null)
  await store('a', '/x')
  endMany(parts.counters, 2, 'hit', 'fresh')
  endMany(parts.counters, 1, 'stale', 'stale-while-revalidate')
  endMany(parts.counters, 1, 'miss', 'vary-miss')
  endMany(parts.counters, 6, 'pass', 'method')
  parts.counters.failed(new SpringhouseError('ORIGIN_TIMEOUT'))
  const stats = (await ask('/v1/stats')).json()
  t.match(stats, {
    version: '1.2.3',
    uptimeMs: 0,
    requests: 10,
    outcomes: { hit: 2, stale: 1, revalidated: 0, coalesced: 0, miss: 1, pass: 6, error: 0 },
    requestsByReason: { fresh: 2, 'stale-while-revalidate': 1, 'vary-miss': 1, method: 6, refused: 0 },
    hits: 2,
    hitRatio: 0.75,
    originErrors: { ORIGIN_TIMEOUT: 1, ORIGIN_REFUSED: 0 },
    store: { kind: 'memory', entries: 1, degraded: [] },
    purgeLog: { applied: parts.purgeLog.applied, revision: parts.purgeLog.revision, current: true },
  })
})

tap.test('/v1/origins, /v1/replicas and /v1/config show what they are named for', async (t) => {
  const { ask, parts } = await listen(t)
  t.same((await ask('/v1/origins')).json(), { origins: parts.origins.status().map(server => ({ ...server, requests: 0, errors: 0, p50: null, p99: null, lastError: null })) })
  t.same((await ask('/v1/replicas')).json(), { replicas: (await parts.purgeLog.replicas()).map(replica => ({ ...replica, ...parts.ownState(), seenMs: T0 })) })
  t.same((await ask('/v1/config')).json(), { redis: { url: 'redis://***@redis:6379' } })
})

tap.test('a list of replicas that cannot be read is a 503', async (t) => {
  const { ask } = await listen(t, ({ purgeLog }) => ({
    purgeLog: overLog(purgeLog, { replicas: () => Promise.reject(new SpringhouseError('STORE_UNAVAILABLE')) }),
  }))
  const answer = await ask('/v1/replicas')
  t.equal(answer.status, 503)
  t.equal(answer.json()['code'], 'STORE_UNAVAILABLE')
})

tap.test('/v1/entries lists stored responses, their age and the verdict of the purges', async (t) => {
  const { ask, store, purge, parts } = await listen(t)
  const stamp = parts.purgeLog.applied
  await store('a.example', '/x?y=1', { tags: ['red'], stamp, vary: [['accept', 'text/html']] })
  t.match((await ask('/v1/entries')).json(), {
    entries: [
      {
        key: 'a.example/x?y=1',
        url: 'http://a.example/x?y=1',
        status: 200,
        bytes: 5,
        ageMs: 11_000,
        lifetimeMs: 60_000,
        freshUntilMs: T0 + 49_000,
        keepUntilMs: T0 + 3_600_000,
        tags: ['red'],
        vary: [['accept', 'text/html']],
        etag: '"v1"',
        verdict: 'valid',
      },
    ],
  })
  await purge({ tags: ['red'], soft: true })
  t.equal(entriesOf(await ask('/v1/entries'))[0]?.verdict, 'stale')
})

tap.test('entries are found by the beginning of their URL, on one host or all, and by tag', async (t) => {
  const { ask, store } = await listen(t)
  await store('a', '/v1/x', { tags: ['red'] })
  await store('a', '/v2/x', { tags: ['blue'] })
  await store('b', '/v1/x', { tags: ['red', 'blue'] })
  const found = async (query: string): Promise<string[]> => urlsOf(await ask(`/v1/entries?${query}`))
  t.same(await found('prefix=/v1/'), ['http://a/v1/x', 'http://b/v1/x'])
  t.same(await found('prefix=https://A/v1'), ['http://a/v1/x'])
  t.same(await found('tag=blue'), ['http://a/v2/x', 'http://b/v1/x'])
  t.same(await found('tag=blue&prefix=/v1/'), ['http://b/v1/x'])
  t.same(await found('prefix=&tag=&cursor=&limit='), ['http://a/v1/x', 'http://a/v2/x', 'http://b/v1/x'], 'a parameter without a value is not given')
  t.same(await found('tag=green'), [])
})

tap.test('pages follow on one another by their cursors, each entry once', async (t) => {
  const { ask, store } = await listen(t)
  for (let i = 0; i < 25; i++) await store('a', `/${i}`, { tags: i % 5 === 0 ? ['fifth'] : [] })
  const walk = async (query: string): Promise<string[]> => {
    const urls: string[] = []
    let cursor: unknown
    do {
      const answer = await ask(`/v1/entries?${query}${typeof cursor === 'string' ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
      t.equal(answer.status, 200)
      urls.push(...urlsOf(answer))
      cursor = answer.json()['cursor']
    } while (cursor !== undefined)
    return urls
  }
  const all = await walk('limit=4')
  t.equal(all.length, 25)
  t.equal(new Set(all).size, 25)
  t.same((await walk('limit=2&tag=fifth')).sort(), ['http://a/0', 'http://a/10', 'http://a/15', 'http://a/20', 'http://a/5'])
})

tap.test('a query gets every problem at once', async (t) => {
  const { ask } = await listen(t)
  const answer = await ask('/v1/entries?limit=1001&prefix=x&tags=a')
  t.equal(answer.status, 400)
  t.same(errorsOf(answer).sort(), [
    'limit: must be <= 1000',
    'prefix: must be absolute (http://host/path) or a path (/path)',
    'tags: is not known here; did you mean "tag"?',
  ])
  t.same(errorsOf(await ask('/v1/entries?limit=ten')), ['limit: must be integer'])
  t.same(errorsOf(await ask('/v1/entries?limit=1&limit=2')), ['limit: must be integer'])
})

tap.test('/v1/stats of several workers sums their counters and stores, and shows the share of each', async (t) => {
  const crew = new TwoWorkers()
  const one = await listen(t, () => ({ workers: crew.member('one') }))
  const other = await listen(t, () => ({ workers: crew.member('other') }))
  for (const [{ parts: { counters } }, hits] of [[one, 2], [other, 1]] as const) {
    endMany(counters, hits, 'hit', 'fresh')
    endMany(counters, 1, 'miss', 'vary-miss')
    counters.notStored('no-store')
  }
  await other.store('a', '/x')
  const stats = (await one.ask('/v1/stats')).json()
  t.match(stats, {
    pid: process.pid,
    requests: 5,
    hits: 3,
    hitRatio: 3 / 5,
    requestsByReason: { fresh: 3, 'vary-miss': 2 },
    notStoredByReason: { 'no-store': 2 },
    store: { kind: 'memory', entries: 1, maxBytes: 2 << 20, degraded: [] },
    workers: [{ pid: process.pid, requests: 3, hits: 2 }, { pid: process.pid, requests: 2, hits: 1 }],
  })
  t.equal((stats['store'] as { bytes: number }).bytes, other.parts.store.stats().bytes)
  t.notOk('workers' in (await listen(t).then(({ ask }) => ask('/v1/stats'))).json(), 'a process that is alone has none')
})

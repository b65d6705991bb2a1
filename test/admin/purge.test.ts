// The input, response, effect and log line of a purge.
import tap from 'tap'
import { SpringhouseError } from '../../src/errors.ts'
import type { Purge } from '../../src/store/purge/log.ts'
import { errorsOf, listen, overLog, purger, storedAt, T0 } from './support.ts'

tap.test('a purge that every live replica acknowledged returns 200, and the named entries are dead', async (t) => {
  const { purge, parts } = await listen(t)
  const before = storedAt('api.example.com', '/v1/a?b=c', { stamp: parts.purgeLog.applied })
  const answer = await purge({ urls: ['https://API.example.com:443/v1/a?b=c'] })
  t.equal(answer.status, 200)
  t.same(answer.json(), { id: parts.purgeLog.applied, soft: false, replicas: { live: 1, acknowledged: 1 }, matched: 0 })
  t.equal(parts.purgeLog.judge(before), 'dead')
  t.equal(parts.purgeLog.judge({ ...before, target: '/v1/a' }), 'valid')
  t.equal(parts.counters.snapshot().purges, 1)
})

tap.test('a path alone means every host; a prefix the beginning; a tag its entries; all everything', async (t) => {
  const { purge, parts } = await listen(t)
  const verdicts = async (body: unknown): Promise<string[]> => {
    const stamp = parts.purgeLog.applied
    t.equal((await purge(body)).status, 200)
    return [
      storedAt('a', '/v1/x', { stamp, tags: ['red', 'big'] }),
      storedAt('b', '/v1/x', { stamp, tags: ['red'] }),
      storedAt('b', '/v1/y', { stamp }),
    ].map((meta) => parts.purgeLog.judge(meta))
  }
  t.same(await verdicts({ urls: ['/v1/x'] }), ['dead', 'dead', 'valid'])
  t.same(await verdicts({ prefixes: ['http://b/v1/'] }), ['valid', 'dead', 'dead'])
  t.same(await verdicts({ tags: ['red', 'big'] }), ['dead', 'dead', 'valid'])
  t.same(await verdicts({ tags: ['red', 'big'], tagsMatch: 'all' }), ['dead', 'valid', 'valid'])
  t.same(await verdicts({ tags: ['big'], prefixes: ['/v1/y'], soft: true }), ['stale', 'valid', 'stale'])
  t.same(await verdicts({ all: true }), ['dead', 'dead', 'dead'])
  t.same(await verdicts({ prefixes: ['/v1/*'] }), ['valid', 'valid', 'valid'], 'no character is a wildcard')
  t.same(await verdicts({ urls: [], all: false, tags: ['big'] }), ['dead', 'valid', 'valid'], 'an empty list beside another is nothing')
})

tap.test('not acknowledged by all in time is a 202 of the same shape', async (t) => {
  const { purge } = await listen(t, ({ purgeLog }) => ({
    purgeLog: overLog(purgeLog, { append: async ({ soft }) => ({ id: '7', soft, replicas: { live: 3, acknowledged: 2 }, copied: true }) }),
  }))
  const answer = await purge({ all: true, soft: true })
  t.equal(answer.status, 202)
  t.same(answer.json(), { id: '7', soft: true, replicas: { live: 3, acknowledged: 2 }, matched: 0 })
})

tap.test('nor is one done that would be lost with the only server that has it', async (t) => {
  const { purge } = await listen(t, ({ purgeLog }) => ({
    purgeLog: overLog(purgeLog, { append: async ({ soft }) => ({ id: '7', soft, replicas: { live: 3, acknowledged: 3 }, copied: false }) }),
  }))
  const answer = await purge({ all: true })
  t.equal(answer.status, 202)
  t.same(answer.json(), { id: '7', soft: false, replicas: { live: 3, acknowledged: 3 }, matched: 0 })
})

tap.test('a log that cannot be written is a 503, and is logged with whose purge it was', async (t) => {
  const { purge, parts, logged } = await listen(t, ({ purgeLog }) => ({
    purgeLog: overLog(purgeLog, { append: () => Promise.reject(new SpringhouseError('PURGE_NOT_WRITTEN', { detail: 'redis://inside' })) }),
  }))
  const answer = await purge({ all: true })
  t.equal(answer.status, 503)
  t.match(answer.json(), { code: 'PURGE_NOT_WRITTEN', title: /nothing was purged/ })
  t.notMatch(answer.text, /inside/)
  t.equal(parts.counters.snapshot().purges, 0)
  t.match(logged.find(({ level }) => level === 40), { code: 'PURGE_NOT_WRITTEN', token: 'deploy', detail: 'redis://inside' })
})

tap.test('the wait is the configured one unless the body says another', async (t) => {
  const waits: number[] = []
  const { purge } = await listen(t, ({ purgeLog }) => ({
    defaultPurgeWaitMs: 1_234,
    purgeLog: overLog(purgeLog, {
      append: (named, waitMs) => {
        waits.push(waitMs)
        return purgeLog.append(named, waitMs)
      },
    }),
  }))
  await purge({ all: true })
  await purge({ all: true, waitMs: 0 })
  await purge({ all: true, waitMs: 30_000 })
  t.same(waits, [1_234, 0, 30_000])
})

tap.test('each purge is a log line: token, targets, id and acknowledgements', async (t) => {
  const { purge, logged, parts } = await listen(t)
  await purge({ tags: Array.from({ length: 1000 }, (_, index) => `t${index}`), urls: ['/a'], prefixes: ['http://b/'] })
  t.equal(logged.filter((line) => line['msg'] === 'purge').length, 1)
  t.match(logged.find(({ msg }) => msg === 'purge'), {
    msg: 'purge',
    token: 'deploy',
    id: parts.purgeLog.applied,
    soft: false,
    live: 1,
    acknowledged: 1,
    purge: { urls: 1, prefixes: 1, tags: 1000, all: false, first: ['/a', 'http://b/', 't0', 't1', 't2'] },
  })
})

tap.test('a purge that names nothing gets a description of valid bodies', async (t) => {
  const { purge, ask, parts } = await listen(t)
  const expected = [': must name what to purge: one or more of "urls", "tags", "prefixes" (arrays of strings), or "all": true']
  for (const body of [{}, { soft: true }, { urls: [] }, { all: false }, { urls: [], tags: [], prefixes: [] }, [], 'all', null, 1]) {
    const answer = await purge(body)
    t.equal(answer.status, 400)
    t.equal(answer.json()['code'], 'BAD_ADMIN_REQUEST')
    t.same(errorsOf(answer), expected, JSON.stringify(body))
  }
  const nothing = await ask('/v1/purge', { method: 'POST', token: purger })
  t.equal(nothing.status, 400)
  t.same(errorsOf(nothing), expected, 'no body at all')
  t.equal(parts.purgeLog.recent(1).length, 0)
})

tap.test('every mistake is named at once, each with its path', async (t) => {
  const { purge, parts } = await listen(t)
  const answer = await purge({
    urls: ['/ok', 'not-a-url', 'http://a/b#c', ''],
    prefix: ['/v1'],
    tags: ['ok', 7],
    tagsMatch: 'some',
    waitMs: 30_001,
    soft: 'yes',
    whatever: 1,
  })
  t.equal(answer.status, 400)
  t.same(errorsOf(answer).sort(), [
    'prefix: is not known here; did you mean "prefixes"?',
    'soft: must be boolean',
    'tagsMatch: must be one of "any", "all"',
    'tags[1]: must be string',
    'urls[1]: must be absolute (http://host/path) or a path (/path)',
    'urls[2]: has a fragment (#…), which clients never send',
    'urls[3]: must not be empty',
    'waitMs: must be <= 30000',
    'whatever: is not known here; known are "urls", "tags", "prefixes", "all", "soft", "tagsMatch", "waitMs"',
  ])
  t.equal(parts.purgeLog.recent(1).length, 0, 'a purge that is half right purges nothing')
})

tap.test('values of a body are not coerced', async (t) => {
  const { purge } = await listen(t)
  t.same(errorsOf(await purge({ all: 'true', waitMs: '10' })).sort(), [
    ': must name what to purge: one or more of "urls", "tags", "prefixes" (arrays of strings), or "all": true',
    'all: must be boolean',
    'waitMs: must be integer',
  ])
  t.same(errorsOf(await purge({ urls: '/a' })), ['urls: must be array'])
  t.same(errorsOf(await purge({ all: true, waitMs: 1.5 })), ['waitMs: must be integer'])
})

tap.test('a thousand items are taken, one more is not, and the list of mistakes has an end', async (t) => {
  const { purge } = await listen(t)
  t.equal((await purge({ urls: Array(1000).fill('/a') })).status, 200)
  t.same(errorsOf(await purge({ urls: Array(1001).fill('/a') })), ['urls: must NOT have more than 1000 items'])
  const many = errorsOf(await purge({ urls: Array(1000).fill('bad') }))
  t.equal(many.length, 101)
  t.equal(many.at(-1), ': and 900 more')
})

tap.test('malformed JSON is refused with its place', async (t) => {
  const { ask } = await listen(t)
  const said = async (raw: string): Promise<string> => {
    const answer = await ask('/v1/purge', { token: purger, raw })
    t.equal(answer.status, 400)
    t.equal(answer.json()['code'], 'BAD_ADMIN_REQUEST')
    return errorsOf(answer).join()
  }
  t.match(await said('{\n  "all": true,\n}'), /is not JSON: .* at line 3, column 1$/)
  t.match(await said('{"urls": ["/a"'), /is not JSON: .*line 1, column 15$/)
  t.match(await said('{"urls": [\'/a\']}'), /is not JSON: Unexpected token.*'\/a'/)
  t.match(await said(''), /it ends too soon/)
  t.equal((await ask('/v1/purge', { token: purger, raw: '\uFEFF{"all":true}' })).status, 200, 'a byte order mark is passed over')
})

tap.test('a key that would reach a prototype is an unknown key like any other', async (t) => {
  const { ask } = await listen(t)
  for (const key of ['__proto__', 'constructor']) {
    const answer = await ask('/v1/purge', { token: purger, raw: `{"all":true,"${key}":{"prototype":{"soft":true}}}` })
    t.equal(answer.status, 400)
    t.match(errorsOf(answer)[0], /is not known here/)
  }
})

tap.test('GET /v1/purges lists the latest purges, newest first, in the form of requests', async (t) => {
  const { purge, ask } = await listen(t)
  await purge({ urls: ['http://a/x', '/y'] })
  await purge({ tags: ['t'], tagsMatch: 'all', prefixes: ['https://b:443/'], soft: true })
  const { purges } = (await ask('/v1/purges')).json() as { purges: (Purge & { id: string; atMs: number })[] }
  t.match(purges, [
    { atMs: T0, soft: true, all: false, urls: [], prefixes: ['http://b/'], tags: ['t'], tagsMatch: 'all' },
    { atMs: T0, soft: false, all: false, urls: ['http://a/x', '/y'], prefixes: [], tags: [] },
  ])
  t.ok((purges[0]?.id ?? '') > (purges[1]?.id ?? ''))
  t.equal(((await ask('/v1/purges?limit=1')).json()['purges'] as unknown[]).length, 1)
  t.same(errorsOf(await ask('/v1/purges?limit=0')), ['limit: must be >= 1'])
})

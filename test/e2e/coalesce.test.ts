// Coalescing over four processes: real processes, one Redis, and an origin that responds when the test says so.
import t from 'tap'
import { detail } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { askAll, countFrom, startReplicas, tally } from '../support/processes.ts'

// Longer than the tests may take: nothing here may be owed to the end of a lease.
const site = await startReplicas(t, { count: 4, env: { SPRINGHOUSE_COHERENCE_LEASE_MS: '60000' } })
const { replicas, asked, nth } = site
const [a, b, c] = replicas as [typeof replicas[number], typeof replicas[number], typeof replicas[number], typeof replicas[number]]
const timed = (from: number): string => `${Math.round(performance.now() - from)} ms`
const bodies = (answers: readonly { status: number; body: Buffer }[]): Record<string, number> => tally(answers.map(({ status, body }) => `${status} ${body.toString()}`))

t.test('2,000 at once for a cold key, and 2,000 when it is stale, make one request to the origin each time', async t => {
  const fields = { 'Cache-Control': 'max-age=600', 'ETag': '"v"' }
  let count = await countFrom(replicas)
  let startedMs = performance.now()
  const cold = askAll(replicas, 2000, '/a')
  const first = await nth('/a', 1)
  await eventually(async () => await count('waits') === 1999)
  first.answer(200, fields, 'one')
  let answers = await Promise.all(cold)
  t.comment(`2,000 on a cold key over 4 processes: ${asked('/a').length} request to the origin, ${timed(startedMs)}`)
  t.equal(asked('/a').length, 1)
  t.same(bodies(answers), { '200 one': 2000 })
  t.same(tally(answers.map(answer => (answer.header('cache-status') ?? '').replace(/ttl=\d+/, 'ttl=N'))), {
    'springhouse; fwd=uri-miss; fwd-status=200; stored; detail=uri-miss': 1,
    'springhouse; fwd=uri-miss; collapsed; ttl=N; detail=uri-miss': 1999,
  })
  t.equal(await count('coalesced'), 1999)
  t.equal(await count('hits'), 0)

  // A soft purge makes it stale everywhere at one moment; validated, it is one request again.
  t.match(JSON.parse((await a.purge({ urls: ['/a'], soft: true })).body.toString()), { replicas: { live: 4, acknowledged: 4 } })
  count = await countFrom(replicas)
  startedMs = performance.now()
  const stale = askAll(replicas, 2000, '/a')
  const second = await nth('/a', 2)
  t.equal(second.recorded.header('if-none-match'), '"v"')
  await eventually(async () => await count('waits') === 1999)
  second.answer(304, fields)
  answers = await Promise.all(stale)
  t.comment(`2,000 on a stale key over 4 processes: ${asked('/a').length - 1} request to the origin, ${timed(startedMs)}`)
  t.equal(asked('/a').length, 2)
  t.same(bodies(answers), { '200 one': 2000 })
  t.equal(await count('coalesced'), 1999)
  t.equal(await count('leasesTakenOver'), 0)
})

t.test('2,000 requests for a key that may be served stale meanwhile get a response at once, and it is refreshed once', async t => {
  const fields = { 'Cache-Control': 'max-age=600, stale-while-revalidate=600' }
  const early = a.get('/swr')
  ;(await nth('/swr', 1)).answer(200, fields, 'one')
  await early
  await a.purge({ urls: ['/swr'], soft: true })
  const count = await countFrom(replicas)
  const startedMs = performance.now()
  const answers = await Promise.all(askAll(replicas, 2000, '/swr'))
  t.comment(`2,000 on a key served stale over 4 processes: ${timed(startedMs)}`)
  t.same(tally(answers.map(answer => `${answer.body.toString()} ${detail(answer)}`)), { 'one stale-while-revalidate': 2000 })
  const refresh = await nth('/swr', 2)
  await eventually(async () => await count('waits') === 3)
  refresh.answer(200, fields, 'two')
  for (const replica of replicas) await eventually(async () => (await replica.get('/swr')).body.toString() === 'two')
  t.equal(asked('/swr').length, 2)
})

t.test('1,000 requests at once for a response that may not be stored reach the origin at once, as soon as one has found that out', async t => {
  const count = await countFrom(replicas)
  const all = askAll(replicas, 1000, '/no-store')
  const first = await nth('/no-store', 1)
  await eventually(async () => await count('waits') === 999)
  first.answer(200, { 'Cache-Control': 'no-store' }, 'x')
  // When the last of the others reaches the origin, none of them has its response yet.
  await nth('/no-store', 1000)
  t.equal(await count('waits'), 999, 'nobody waited a second time')
  for (const one of asked('/no-store').slice(1)) one.answer(200, { 'Cache-Control': 'no-store' }, 'x')
  t.same(tally((await Promise.all(all)).map(answer => `${answer.status} ${detail(answer)}`)), { '200 no-store': 1000 })

  const known = askAll(replicas, 1000, '/no-store')
  await nth('/no-store', 2000)
  t.equal(await count('waits'), 999, 'and once it is known nobody waits at all, at any of them')
  t.equal(await count('leases'), 1, 'nor takes a lease')
  for (const one of asked('/no-store').slice(1000)) one.answer(200, { 'Cache-Control': 'no-store' }, 'x')
  await Promise.all(known)
})

t.test('requests that must be validated each time do not wait in turn: one fetch, and then each request validates', async t => {
  const fields = { 'Cache-Control': 'no-cache', 'ETag': '"v"' }
  const count = await countFrom(replicas)
  const all = askAll(replicas, 100, '/no-cache')
  const first = await nth('/no-cache', 1)
  await eventually(async () => await count('waits') === 99)
  first.answer(200, fields, 'one')
  await nth('/no-cache', 100)
  t.same(tally(asked('/no-cache').map(({ recorded }) => recorded.header('if-none-match') ?? 'none')), { 'none': 1, '"v"': 99 })
  for (const one of asked('/no-cache').slice(1)) one.answer(304, fields)
  t.same(bodies(await Promise.all(all)), { '200 one': 100 })
})

for (const [what, fields, credentials] of [
  ['private', { 'Cache-Control': 'private, max-age=600' }, (user: string) => ({ 'X-User': user })],
  ['to-authorization', { 'Cache-Control': 'max-age=600' }, (user: string) => ({ 'X-User': user, 'Authorization': `Bearer ${user}` })],
  ['to-cookie', { 'Cache-Control': 'max-age=600' }, (user: string) => ({ 'X-User': user, 'Cookie': `sid=${user}` })],
] as const) {
  t.test(`a response that is ${what} reaches only the client that requested it, however many waited for it`, async t => {
    const path = `/${what}`
    const count = await countFrom(replicas)
    const all = askAll(replicas, 100, path, i => credentials(`user ${i}`))
    const first = await nth(path, 1)
    await eventually(async () => await count('waits') === 99)
    first.answer(200, fields, first.recorded.header('x-user'))
    await nth(path, 100)
    for (const one of asked(path).slice(1)) one.answer(200, fields, one.recorded.header('x-user'))
    t.same((await Promise.all(all)).map(one => one.body.toString()), Array.from({ length: 100 }, (_, i) => `user ${i}`))
  })
}

t.test('requests without credentials that waited for one with credentials share the next fetch', async t => {
  const count = await countFrom(replicas)
  const ann = a.get('/mixed', { Authorization: 'Bearer ann' })
  const first = await nth('/mixed', 1)
  const strangers = askAll(replicas, 100, '/mixed')
  await eventually(async () => await count('waits') === 100)
  first.answer(200, { 'Cache-Control': 'max-age=600' }, 'for ann')
  const second = await nth('/mixed', 2)
  await eventually(async () => await count('waits') === 199)
  second.answer(200, { 'Cache-Control': 'max-age=600' }, 'for all')
  t.equal((await ann).body.toString(), 'for ann')
  t.same(bodies(await Promise.all(strangers)), { '200 for all': 100 })
  t.equal(asked('/mixed').length, 2)
})

for (const [name, purge] of [['url', { urls: ['/purge-url'] }], ['tag', { tags: ['x'] }], ['prefix', { prefixes: ['/purge-prefix'] }], ['all', { all: true }]] as const) {
  t.test(`a request after a purge by ${name} does not wait for a fetch that began before it at another process`, async t => {
    const path = `/purge-${name}`
    const fields = { 'Cache-Control': 'max-age=600', 'Cache-Tag': 'x' }
    const count = await countFrom(replicas)
    const before = a.get(path)
    const old = await nth(path, 1)
    t.match(JSON.parse((await b.purge(purge)).body.toString()), { replicas: { live: 4, acknowledged: 4 } })
    const after = b.get(path)
    const young = await nth(path, 2)
    t.equal(await count('leasesTakenOver'), 1)
    // The younger fetch holds the lease now: a request at a third process waits for that fetch.
    const third = c.get(path)
    await eventually(async () => await count('waits') === 1)
    young.answer(200, fields, 'new')
    t.equal((await after).body.toString(), 'new')
    t.equal((await third).body.toString(), 'new')
    old.answer(200, fields, 'old')
    t.equal((await before).body.toString(), 'old', 'an earlier request gets the earlier response')
    for (const replica of replicas) t.equal((await replica.get(path)).body.toString(), 'new', 'and nobody else does')
    t.equal(asked(path).length, 2)
  })
}

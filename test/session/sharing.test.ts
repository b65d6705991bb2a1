// The cache and sessions, over two replicas with a real Redis: nothing is shared by default, and with facets nothing outside the key.
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { eventually } from '../support/log.ts'
import { detail, overRedis, startProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { obedient, seen, Visitor } from './support.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const held = new Map<string, Promise<void>>()
const answer = obedient()
const origin = await startOrigin(async (request, response, count) => {
  const name = request.headers['x-hold']
  const half = request.headers['x-half']
  if (typeof half === 'string') {
    response.writeHead(200, { 'Cache-Control': 'max-age=60' })
    response.write('old ')
    await held.get(half)
    return response.end('body')
  }
  if (typeof name === 'string') await held.get(name)
  return answer(request, response, count)
})
t.teardown(() => origin.close())

const config = {
  ...overRedis(redis.url),
  sessions: { enabled: true, headers: { 'x-user': 'user', 'x-tenant': 'tenant' } },
  routes: [
    { match: { path: '/off/' }, origin: 'api', identity: { sources: [] } },
    { match: { path: '/tenant/' }, origin: 'api', key: { facets: ['tenant', 'roles'] } },
    { match: { path: '/user/' }, origin: 'api', key: { facets: ['user'] } },
    { match: { path: '/all/' }, origin: 'api', key: { facets: ['tenant'] }, identity: { forward: 'all' } },
    { match: {}, origin: 'api' },
  ],
}
const start = () => startProxy(t, { origin, host: 'api.example', clock: systemClock, config })
const houses = [await start(), await start()] as const
const [one, two] = houses

/** A client of one replica. */
const client = (house = one, cookie?: string): Visitor => new Visitor(house.port, cookie)
const host = { Host: 'api.example' }

async function loggedIn(user: string, data: object = {}, house = one): Promise<Visitor> {
  const visitor = client(house)
  await visitor.do({ login: user, data }, '/do', host)
  return visitor
}

/** The same session at the other replica. */
const elsewhere = (visitor: Visitor): Visitor => client(visitor.port === one.port ? two : one, visitor.cookie)

// The guard: `privateBecause` in Handler.#begin.
t.test('private both ways by default: neither reads nor makes shared responses, whatever the origin says', async t => {
  const ann = await loggedIn('ann')
  await client().send('/private', host)
  for (const cc of ['max-age=60', 'public, max-age=60, s-maxage=60']) {
    const first = await ann.send('/private', { ...host, 'X-Cc': cc })
    t.equal(detail(first), 'identity')
    t.match(seen(first).claims, { sub: 'ann' })
    t.match(first.header('cache-control'), /^private, max-age=60$/, 'no permission for caches in front')
    t.equal(seen(await ann.send('/private2', { ...host, 'X-Cc': cc })).claims?.['sub'], 'ann')
    t.equal(seen(await client().send('/private2', { ...host, 'X-Cc': cc })).claims, null)
  }
})

t.test('identified requests wait for nobody, and nobody waits for them', async t => {
  const [ann, bob] = [await loggedIn('ann'), await loggedIn('bob')]
  let release: () => void = () => undefined
  held.set('slow', new Promise(resolve => {
    release = resolve
  }))
  const slow = ann.send('/together', { ...host, 'X-Hold': 'slow' })
  const quick = await bob.send('/together', host)
  t.match(seen(quick).claims, { sub: 'bob' })
  t.equal(seen(await client().send('/together', host)).claims, null)
  release()
  t.match(seen(await slow).claims, { sub: 'ann' })
})

// The guards: the key part of the facets, and ofFacets in SessionExchange.sent.
t.test('facets: shared by tenant and role over both replicas, and blind by construction', async t => {
  const ann = await loggedIn('ann', { tenant: 'a', roles: ['x', 'y'], secret: 1 })
  const bob = await loggedIn('bob', { tenant: 'a', roles: ['y', 'x'] }, two)
  const eve = await loggedIn('eve', { tenant: 'b', roles: ['x', 'y'] })
  const first = await ann.send('/tenant/page', { ...host })
  t.match(first.header('cache-control'), /private/)
  const claims = seen(first).claims
  t.same(Object.keys(claims ?? {}).toSorted(), ['aud', 'exp', 'facets', 'from', 'iat', 'iss'])
  t.same(claims?.['facets'], { tenant: 'a', roles: ['x', 'y'] })
  t.equal(seen(first).headers['x-tenant'], 'a')
  t.notOk('x-user' in seen(first).headers, 'the user is not in the key')
  t.notOk('cookie' in seen(first).headers)
  const same = await bob.send('/tenant/page', host)
  t.equal(detail(same), 'fresh')
  t.match(same.header('cache-control'), /private/, 'a hit is private for caches in front too')
  t.equal(detail(await eve.send('/tenant/page', host)), 'uri-miss')
  const nobody = await client().send('/tenant/page', host)
  t.equal(detail(nobody), 'uri-miss')
  t.equal(seen(nobody).claims, null)
  t.equal(detail(await client(two).send('/tenant/page', host)), 'fresh')
  const anonymous = client()
  await anonymous.do({ data: { other: 1 } }, '/do', host)
  t.equal(detail(await anonymous.send('/tenant/page', host)), 'uri-miss', 'an identity without these facets is not a visitor')
  t.match(seen(await ann.do('{}', '/tenant/page', host)).claims, { sub: 'ann', data: { secret: 1 } }, 'unsafe methods tell everything')
  // Authorization is not in the key either.
  const basic = seen(await ann.send('/tenant/basic', { ...host, Authorization: 'Basic abc' }))
  t.notOk('authorization' in basic.headers)
})

t.test('confusable values, and values that fit no key', async t => {
  const values: unknown[] = [1, '1', true, 'true', '', 'null', [], ['1'], [1], 'x'.repeat(256)]
  for (const [i, tenant] of values.entries()) {
    const visitor = await loggedIn(`u${i}`, { tenant })
    const found = await visitor.send('/tenant/types', host)
    t.equal(detail(found), 'uri-miss', JSON.stringify(tenant).slice(0, 20))
    t.match(seen(found).claims, { facets: { tenant } })
  }
  for (const tenant of [{}, { a: 1 }, 'x'.repeat(257), Array.from({ length: 17 }, (_, i) => i), [[1]]]) {
    const visitor = await loggedIn('odd', { tenant })
    const found = await visitor.send('/tenant/types', host)
    t.equal(detail(found), 'facet')
    t.notOk('sub' in (seen(found).claims ?? {}), 'no more is told than for others')
  }
})

t.test('an instruction in a shared response is refused, and changes nothing', async t => {
  const ann = await loggedIn('ann', { tenant: 'instruct' })
  const answered = await ann.send('/tenant/instruct', { ...host, 'X-Do': '{"data":{"tenant":"other"}}' })
  t.equal(answered.status, 502)
  t.match(seen(await ann.send('/who', host)).claims, { ver: 1, data: { tenant: 'instruct' } })
  const begins = client()
  await begins.send('/tenant/instruct2', { ...host, 'X-Do': '{"data":{"a":1}}' })
  t.ok(begins.cookie, 'a visitor may begin one')
})

t.test('forward: all shares only by permission', async t => {
  const [ann, bob] = [await loggedIn('ann', { tenant: 'all' }), await loggedIn('bob', { tenant: 'all' })]
  const first = await ann.send('/all/page', host)
  t.match(seen(first).claims, { sub: 'ann' })
  t.equal(detail(first), 'authorization')
  t.equal(detail(await bob.send('/all/page', host)), 'authorization')
  await ann.send('/all/public', { ...host, 'X-Cc': 'public, max-age=60' })
  t.equal(detail(await bob.send('/all/public', host)), 'fresh')
})

// The guards: the mark in Pass.#changed and precedesChange in decide.
t.test('read-your-writes: after a change, nothing that was requested before it, at any replica', async t => {
  const ann = await loggedIn('ann', { tenant: 'rw' })
  const bob = await loggedIn('bob', { tenant: 'rw' })
  await ann.send('/tenant/list', host)
  t.equal(detail(await bob.send('/tenant/list', host)), 'fresh')
  const far = elsewhere(ann)
  t.equal(detail(await far.send('/tenant/list', host)), 'fresh')
  await ann.send('/elsewhere/item', host, { method: 'POST' })
  t.equal(detail(await bob.send('/tenant/list', host)), 'fresh', "nobody else's entries suffer")
  t.equal(detail(await far.send('/tenant/list', host)), 'after-write')
  t.equal(detail(await ann.send('/tenant/list', host)), 'fresh', 'the new one is shared again')
  await ann.send('/elsewhere/item', { ...host, 'X-Status': '500' }, { method: 'POST' })
  t.equal(detail(await ann.send('/tenant/list', host)), 'fresh', 'a failed request changes nothing')
  await ann.do({ data: { x: 1 } }, '/elsewhere/item', host)
  t.equal(detail(await far.send('/tenant/list', host)), 'after-write', 'with an instruction too')
})

t.test('a fetch that began before the change is not for its sender', async t => {
  const [ann, bob] = [await loggedIn('ann', { tenant: 'flight' }), await loggedIn('bob', { tenant: 'flight' })]
  let release: () => void = () => undefined
  held.set('flight', new Promise(resolve => {
    release = resolve
  }))
  const before = origin.requests.length
  const slow = bob.send('/tenant/flight', { ...host, 'X-Hold': 'flight' })
  while (origin.requests.length === before) await new Promise(resolve => setImmediate(resolve))
  await ann.send('/elsewhere/item', host, { method: 'POST' })
  const late = ann.send('/tenant/flight', host)
  release()
  const old = seen(await slow).number
  t.ok(seen(await late).number > old, 'requested after the change')
})

// The guard: the mark in mayRead.
t.test('a response that is still arriving, and was requested before the change, is not for its sender', async t => {
  const [ann, bob, eve] = [await loggedIn('ann', { tenant: 'half' }), await loggedIn('bob', { tenant: 'half' }), await loggedIn('eve', { tenant: 'half' })]
  let release: () => void = () => undefined
  held.set('half', new Promise(resolve => {
    release = resolve
  }))
  const before = origin.requests.length
  const slow = bob.send('/tenant/half', { ...host, 'X-Half': 'half' })
  while (origin.requests.length === before) await new Promise(resolve => setImmediate(resolve))
  await ann.send('/elsewhere/item', host, { method: 'POST' })
  const waits = async (): Promise<number> => Number(/^springhouse_coalescing_waits_total (\d+)$/m.exec((await one.admin('/metrics')).body.toString())?.[1])
  const waited = await waits()
  const [late, shared] = [ann.send('/tenant/half', host), eve.send('/tenant/half', host)]
  await eventually(async () => await waits() === waited + 2)
  release()
  t.equal((await slow).body.toString(), 'old body')
  t.equal((await shared).body.toString(), 'old body', 'another session may read it')
  t.equal(typeof seen(await late).number, 'number', 'its own request went to the origin')
})

t.test('purges and invalidations reach all facets', async t => {
  const [ann, eve] = [await loggedIn('ann', { tenant: 'p1' }), await loggedIn('eve', { tenant: 'p2' })]
  const all = [ann, eve, client()]
  for (const each of all) await each.send('/tenant/purged', host)
  for (const each of all) t.equal(detail(await each.send('/tenant/purged', host)), 'fresh')
  t.equal((await two.purge({ urls: ['http://api.example/tenant/purged'] })).status, 200)
  for (const each of all) t.equal(detail(await each.send('/tenant/purged', host)), 'uri-miss')
  await client().send('/tenant/purged', host, { method: 'DELETE' })
  for (const each of all) t.equal(detail(await each.send('/tenant/purged', host)), 'uri-miss')
})

t.test('a role that was taken away, and a session that ended, read no entry of the tenant', async t => {
  const ann = await loggedIn('ann', { tenant: 'demoted', roles: ['admin'] })
  const bob = await loggedIn('bob', { tenant: 'demoted', roles: ['admin'] })
  await ann.send('/tenant/admin', host)
  t.equal(detail(await bob.send('/tenant/admin', host)), 'fresh')
  await bob.do({ data: { roles: ['reader'] } }, '/do', host)
  t.equal(detail(await elsewhere(bob).send('/tenant/admin', host)), 'uri-miss')
  const old = client(two, ann.cookie)
  await ann.do({ logout: true }, '/do', host)
  t.equal(seen(await old.send('/tenant/admin', host)).claims, null)
})

t.test('responses with Set-Cookie, or to a HEAD, are not shared by mistake', async t => {
  const [ann, bob] = [await loggedIn('ann', { tenant: 'sc' }), await loggedIn('bob', { tenant: 'sc' })]
  await ann.send('/tenant/cookie', { ...host, 'X-Cookie': 'a=b' })
  t.equal(detail(await bob.send('/tenant/cookie', host)), 'uri-miss')
  t.equal((await bob.send('/tenant/cookie', host, { method: 'HEAD' })).status, 200)
  // RFC 9110 §9.3.3: the response to a POST for its own URL may be stored. It was made for one user.
  const posted = await ann.send('/tenant/posted', { ...host, 'X-Location': '/tenant/posted' }, { method: 'POST', body: 'x' })
  t.match(posted.header('cache-control'), /private/)
  t.equal(detail(await bob.send('/tenant/posted', host)), 'uri-miss')
  t.equal(detail(await client().send('/tenant/posted', host)), 'uri-miss')
})

t.test('explain takes facets, and shows them in the parts of the key', async t => {
  const ann = await loggedIn('ann', { tenant: 'ex' })
  await ann.send('/tenant/explained', host)
  const explain = async (facets?: object): Promise<{ decision: { reason: string }; keyParts?: unknown[] }> =>
    JSON.parse((await one.admin('/v1/explain', { url: 'http://api.example/tenant/explained', ...(facets && { facets }) })).body.toString()) as never
  const found = await explain({ tenant: 'ex' })
  t.equal(found.decision.reason, 'fresh')
  t.same(found.keyParts?.slice(-2), [{ part: 'tenant', value: 'ex', source: 'session' }, { part: 'roles', value: null, source: 'session' }])
  t.equal((await explain({ tenant: 'other' })).decision.reason, 'uri-miss')
  t.equal((await explain()).decision.reason, 'uri-miss', 'a visitor')
  t.equal((await explain({ tenant: Array.from({ length: 17 }, (_, i) => i) })).decision.reason, 'facet')
})

// Sessions by the admin API: a scope of their own, lists, data, patches that hold at the next request, and revocation.
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { ask, type Answer } from '../support/client.ts'
import { overRedis, startProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { obedient, Visitor } from './support.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const origin = await startOrigin(obedient())
t.teardown(() => origin.close())
const operator = 'a-token-for-sessions-of-the-house'
const start = () =>
  startProxy(t, {
    origin,
    clock: systemClock,
    config: {
      ...overRedis(redis.url),
      sessions: { enabled: true },
      admin: { host: '127.0.0.1', port: 0,
        tokens: [{ name: 'operator', token: operator, scopes: ['sessions'] }, { name: 'reader', token: 'a-token-that-only-reads-things', scopes: ['read', 'purge'] }] },
    },
  })
const [one, two] = [await start(), await start()]

function admin(path: string, { method = 'GET', body, token = operator }: { method?: string; body?: string | undefined; token?: string | undefined } = {}): Promise<Answer> {
  const headers = [...(token === '' ? [] : ['Authorization', `Bearer ${token}`]), ...(body === undefined ? [] : ['Content-Type', 'application/json'])]
  return ask(Number(new URL(one.app.adminUrl).port), { path: `/v1/sessions${path}`, method, headers, ...(body !== undefined && { body }) })
}
const json = (answer: Answer): Record<string, unknown> => JSON.parse(answer.body.toString()) as Record<string, unknown>
const loggedIn = async (user: string, data: object | string = {}): Promise<Visitor> => {
  const visitor = new Visitor(two.port)
  await visitor.do(typeof data === 'string' ? data : { login: user, data, label: 'phone' })
  return visitor
}
const listed = async (user: string): Promise<readonly { sid: string }[]> => json(await admin(`?user=${encodeURIComponent(user)}`))['sessions'] as { sid: string }[]

t.test('without the scope there is nothing', async t => {
  for (const [path, method, body] of [['?user=a', 'GET'], [`/${'a'.repeat(22)}`, 'GET'], [`/${'a'.repeat(22)}`, 'DELETE'], [`/${'a'.repeat(22)}`, 'PATCH', '{}'], ['?user=a',
    'PATCH', '{}'], ['/revoke', 'POST', '{"user":"a"}'], ['/keys', 'GET']] as const) {
    t.equal((await admin(path, { method, body, token: '' })).status, 401)
    t.equal((await admin(path, { method, body, token: 'a-token-that-only-reads-things' })).status, 403)
  }
})

t.test('a list, a session, its data, and the line in the log for reading it', async t => {
  await loggedIn('zoë', '{"login":"zo\\u00eb","label":"phone","data":{"n":9007199254740993,"s":"x","o":{},"a":[],"b":true}}')
  const [session] = await listed('zoë')
  t.match(session, { user: 'zoë', label: 'phone', version: 1, createdAt: Number, loginAt: Number, lastSeenAt: Number, endsAt: Number })
  t.notMatch(JSON.stringify(await listed('zoë')), /shs1|digest/)
  const sid = session?.sid ?? ''
  t.match(json(await admin(`/${sid}`)), { sid, data: { n: 'number', s: 'string', o: 'object', a: 'array', b: 'boolean' } })
  t.match((await admin(`/${sid}?data=true`)).body.toString(), /"data":\{"n":9007199254740993,"s":"x"/)
  const audits = (one.log as readonly object[] as readonly Record<string, unknown>[]).filter(({ msg }) => msg === 'sessions')
  t.match(audits, [{ token: 'operator', action: 'read data', sid, user: 'zoë' }])
  t.equal((await admin(`/${'a'.repeat(22)}`)).status, 404)
  t.equal((await admin('/not-an-id')).status, 400)
  t.same(await listed('nobody'), [])
  t.equal((await admin('?user=')).status, 400)
})

t.test('pages', async t => {
  for (let i = 0; i < 5; i++) await loggedIn('many')
  const seen: string[] = []
  let cursor: unknown = ''
  while (cursor !== undefined) {
    const page = json(await admin(`?user=many&limit=2${cursor === '' ? '' : `&cursor=${String(cursor)}`}`))
    seen.push(...(page['sessions'] as { sid: string }[]).map(({ sid }) => sid))
    cursor = page['cursor']
  }
  t.equal(new Set(seen).size, 5)
})

t.test('a patch holds at the next request, at any replica', async t => {
  const visitors = [await loggedIn('role', { roles: ['admin'] }), await loggedIn('role', { roles: ['admin'] })]
  const [first] = await listed('role')
  t.same(json(await admin(`/${first?.sid}`, { method: 'PATCH', body: '{"n":9007199254740993}' })), { patched: 1, version: 2 })
  t.same(json(await admin('?user=role', { method: 'PATCH', body: '{"roles":["reader"]}' })), { patched: 2 })
  for (const visitor of visitors) t.match(await visitor.claims(), { data: { roles: ['reader'] } })
  t.match((await admin(`/${first?.sid}?data=true`)).body.toString(), /9007199254740993/)
  for (const body of ['', '[]', '{', '{"a":1,"a":2}', `{"a":"${'x'.repeat(5000)}"}`])
    t.equal((await admin(`/${first?.sid}`, { method: 'PATCH', body })).status, 400, body.slice(0, 20))
  t.equal((await admin(`/${'a'.repeat(22)}`, { method: 'PATCH', body: '{}' })).status, 404)
})

t.test('revocation: one, and all but one; it can be repeated', async t => {
  const visitors = [await loggedIn('ann'), await loggedIn('ann'), await loggedIn('ann')]
  const claims = await Promise.all(visitors.map(visitor => visitor.claims()))
  const [a, b] = claims.map(each => each?.['sid'])
  const ended = await admin(`/${String(a)}`, { method: 'DELETE' })
  t.equal(ended.status, 200)
  t.same(json(ended), { revoked: 1 })
  t.equal(await visitors[0]?.claims(), null)
  t.same(json(await admin(`/${String(a)}`, { method: 'DELETE' })), { revoked: 0 })
  t.same(json(await admin('/revoke', { method: 'POST', body: JSON.stringify({ user: 'ann', except: b }) })), { revoked: 1 })
  t.match(await visitors[1]?.claims(), { sub: 'ann' })
  t.equal(await visitors[2]?.claims(), null)
  t.same(json(await admin('/revoke', { method: 'POST', body: '{"user":"ann","realm":"other"}' })), { revoked: 0 })
  t.same(json(await admin('/revoke', { method: 'POST', body: '{"user":"ann"}' })), { revoked: 1 })
  t.equal(await visitors[1]?.claims(), null)
  const commands = new Redis(redis.url)
  t.teardown(() => commands.disconnect())
  t.equal((await commands.keys('sh:{u:*')).length, 3, 'only the users of the other tests')
})

t.test('the public keys, and 202 while a Redis replica does not confirm', async t => {
  t.match(json(await admin('/keys')), { keys: [{ kty: 'OKP', use: 'sig' }] })
  const copy = await startRedis({ args: ['--replicaof', '127.0.0.1', String(redis.port)] })
  t.teardown(() => copy.stop())
  const commands = new Redis(redis.url)
  t.teardown(() => commands.disconnect())
  while (!/state=online/.test(await commands.info('replication'))) await new Promise(resolve => setImmediate(resolve))
  await loggedIn('copied')
  t.equal((await admin('/revoke', { method: 'POST', body: '{"user":"copied"}' })).status, 200)
  await loggedIn('copied')
  copy.kill('SIGSTOP')
  t.equal((await admin('/revoke', { method: 'POST', body: '{"user":"copied"}' })).status, 202)
  t.same(await listed('copied'), [])
  copy.kill('SIGCONT')
})

// Sessions at the edges: over HTTP/2, behind a trusted proxy, with large bodies, and with conflicts that do not end.
import { connect } from 'node:http2'
import t from 'tap'
import { eventually } from '../support/log.ts'
import { startProxy } from '../support/proxy.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'
import { obedient, problem, seen, Visitor } from './support.ts'

const answer = obedient()
/** Called when a request for `/held` has arrived; its response waits for the result. */
let held: (() => Promise<void>) | undefined
/** The visitor whose session another request changes before each response to `/contended`. */
let rival: Visitor | undefined
const origin: OriginHandler = async (request, response, recorded) => {
  if (request.url === '/held') await held?.()
  if (request.url === '/contended') await rival?.do({ data: { rival: Math.random() } })
  return answer(request, response, recorded)
}

const house = await startProxy(t, {
  origin,
  config: { log: { access: 'all' }, proxy: { host: '127.0.0.1', port: 0, h2c: true, trustProxy: ['127.0.0.1'] }, sessions: { enabled: true, anonymousPerMinute: 3 },
    routes: [{ match: { path: '/held' }, origin: 'api', identity: { login: 'any' } }, { match: {}, origin: 'api' }] },
})

t.test('over HTTP/2, with cookies in several fields', async t => {
  const one = new Visitor(house.port)
  await one.do({ login: 'ann' })
  const client = connect(`http://127.0.0.1:${house.port}`)
  t.teardown(() => client.close())
  const send = (headers: Record<string, string | string[]>): Promise<{ status: number; setCookie: string; body: string }> =>
    new Promise((resolve, reject) => {
      const stream = client.request({ ':path': '/who', 'x-cc': 'no-store', ...headers }, { endStream: true })
      let status = 0
      let setCookie = ''
      let body = ''
      stream.on('response', fields => {
        status = Number(fields[':status'])
        setCookie = String(fields['set-cookie'] ?? '')
      })
      stream.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      stream.on('end', () => resolve({ status, setCookie, body }))
      stream.on('error', reject)
    })
  const received = JSON.parse((await send({ cookie: ['a=b', one.cookie as string, 'c=d'] })).body) as { claims: object; headers: { cookie: string } }
  t.match(received.claims, { sub: 'ann' })
  t.equal(received.headers.cookie, 'a=b; c=d')
  t.equal((JSON.parse((await send({ cookie: [one.cookie as string, one.cookie as string] })).body) as { claims: unknown }).claims, null, 'twice')
  const rotated = await send({ ':method': 'POST', ':path': '/do', cookie: one.cookie as string, 'x-do': '{"rotate":true}' })
  t.match(rotated.setCookie, /^__Host-session=shs1/)
  t.equal((await send({ ':method': 'POST', ':path': '/do', origin: 'https://evil.example' })).status, 403)
})

t.test('behind a trusted proxy, the public host is the own one', async t => {
  const one = new Visitor(house.port)
  const post = async (fields: Readonly<Record<string, string>>): Promise<number> => (await one.send('/post', fields, { method: 'POST' })).status
  t.equal(await post({ Host: 'internal', Origin: 'https://public.example' }), 403)
  t.equal(await post({ Host: 'internal', Origin: 'https://public.example', 'X-Forwarded-Host': 'public.example', 'X-Forwarded-Proto': 'https' }), 200)
  t.equal(await post({ Host: 'public.example', Origin: 'https://public.example', 'X-Forwarded-Proto': 'https' }), 200)
  t.equal(await post({ Host: 'public.example:443', Origin: 'https://public.example' }), 200)
  t.equal(await post({ Host: 'public.example', Origin: 'https://public.example:8443' }), 403)
})

t.test('anonymous sessions are limited for each address that the trusted proxy reports', async t => {
  const begin = async (address: string): Promise<number> => (await new Visitor(house.port).do({ data: { a: 1 } }, '/do', { 'X-Forwarded-For': address })).status
  for (let i = 0; i < 3; i++) t.equal(await begin('192.0.2.1'), 200)
  t.equal(await begin('192.0.2.1'), 429)
  t.equal(await begin('192.0.2.2'), 200)
  for (let i = 0; i < 3; i++) t.equal(await begin(`2001:db8::${i}`), 200)
  t.equal(await begin('2001:db8::ffff'), 429, 'a network of IPv6 is one client')
  t.equal((await new Visitor(house.port).do({ login: 'ann' }, '/do', { 'X-Forwarded-For': '192.0.2.1' })).status, 200, 'a log-in is not limited')
  house.clock.advance(20_000)
  t.equal(await begin('192.0.2.1'), 200, 'a third of a minute later')
})

t.test('retry: five times, then 409; never with a body that was not kept', async t => {
  const one = new Visitor(house.port)
  await one.do({ login: 'ann' })
  rival = new Visitor(house.port, one.cookie)
  const before = house.origin.requests.filter(({ target }) => target === '/contended').length
  t.equal(problem(await one.send('/contended', { 'X-Do': 'count' }, { method: 'POST', body: 'x' })), '409 SESSION_CONFLICT')
  t.equal(house.origin.requests.filter(({ target }) => target === '/contended').length - before, 6)
  const large = 'x'.repeat(65_537)
  const again = house.origin.requests.length
  t.equal(problem(await one.send('/contended', { 'X-Do': 'count' }, { method: 'POST', body: large })), '409 SESSION_CONFLICT')
  t.equal(house.origin.requests.slice(again).filter(({ target }) => target === '/contended').length, 1)
  rival = undefined
  t.equal(seen(await one.send('/contended', { 'X-Do': 'count' }, { method: 'POST', body: large })).body.length, large.length)
  t.match(await one.claims(), { data: { n: 1 } })
})

// The guard: Fill.onHead acts whether the client waits or not.
t.test('an instruction in the response to a cacheable GET is carried out after its client has left', async t => {
  const logins = async (): Promise<number> => Number(/session_writes_total\{operation="login",outcome="written"\} (\d+)/.exec((await house.admin('/metrics')).body.toString())?.[1])
  const before = await logins()
  const controller = new AbortController()
  const lines = house.accessLines.length
  held = async () => {
    controller.abort()
    // The proxy has noticed: the request has ended.
    await eventually(() => house.accessLines.length > lines)
  }
  await t.rejects(fetch(`http://127.0.0.1:${house.port}/held`, { headers: { 'X-Do': '{"login":"ann"}', 'X-Cc': 'max-age=60' }, signal: controller.signal }))
  await eventually(async () => await logins() === before + 1)
  held = undefined
  t.not((await new Visitor(house.port).send('/held', { 'X-Cc': 'max-age=60' })).header('cache-status')?.includes('hit'), true, 'nothing of it is stored')
})

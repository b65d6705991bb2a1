// The demo's backend, on which the demonstration is built.
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { demoApi, itemCount, itemEtag } from '../../src/cli/demo/api.ts'
import { sessionReader } from '../../src/cli/demo/session-field.ts'
import { keySet, newPrivateKey, signCompact, signingKey } from '../../src/session/jws.ts'

interface Answer {
  readonly status: number
  readonly fields: Readonly<Record<string, string | undefined>>
  readonly body: string
}

/** A running backend; `ask` sends it one request. */
async function backend(test: Test,
  name: string): Promise<{ ask: (target: string, options?: { method?: string; headers?: Record<string, string> }) => Promise<Answer>; tick: () => void }> {
  let nowMs = Date.UTC(2030, 0, 1)
  const server = createServer(demoApi({ name, clock: { now: () => nowMs, monotonic: () => nowMs } }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    tick: () => (nowMs += 1000),
    ask: (target, options = {}) =>
      new Promise((resolve, reject) => {
        request({ port, host: '127.0.0.1', path: target, agent: false, ...options }, (response) => {
          let body = ''
          response.setEncoding('utf8').on('data', (text: string) => (body += text))
          response.on('end', () => resolve({ status: response.statusCode ?? 0, fields: response.headers as Answer['fields'], body }))
        }).on('error', reject).end()
      }),
  }
}

t.test('every response names its server and its time', async (test) => {
  const { ask, tick } = await backend(test, 'a')
  const first = await ask('/items')
  tick()
  const second = await ask('/items')
  test.equal(first.fields['x-served-by'], 'a')
  test.equal(first.fields['x-generated-at'], '2030-01-01T00:00:00.000Z')
  test.match(JSON.parse(second.body), { servedBy: 'a', generatedAt: '2030-01-01T00:00:01.000Z' })
  test.equal(first.fields['cache-tag'], 'items')
})

t.test('an item is the same bytes under the same strong entity-tag from every server, at any time', async (test) => {
  const [a, b] = [await backend(test, 'a'), await backend(test, 'b')]
  b.tick()
  const [fromA, fromB] = [await a.ask('/items/7'), await b.ask('/items/7')]
  test.equal(fromA.body, fromB.body)
  test.equal(fromA.fields.etag, fromB.fields.etag)
  test.equal(fromA.fields.etag, itemEtag(7))
  test.equal(fromA.fields['cache-tag'], 'items, item-7')
})

t.test('If-None-Match gets 304 if it names the item', async (test) => {
  const { ask } = await backend(test, 'a')
  const status = async (value: string): Promise<number> => (await ask('/items/7', { headers: { 'if-none-match': value } })).status
  test.equal(await status(itemEtag(7)), 304)
  test.equal(await status(`"other", W/${itemEtag(7)}`), 304)
  test.equal(await status('*'), 304)
  test.equal(await status('"other"'), 200)
  test.equal((await ask('/items/7', { headers: { 'if-none-match': itemEtag(7) } })).body, '')
})

t.test('there are so many items and no more', async (test) => {
  const { ask } = await backend(test, 'a')
  const targets = ['/items/0', '/items/-1', '/items/1.5', `/items/${itemCount + 1}`, '/items/1/2', '/items/constructor', '/nothing', '/']
  for (const target of targets) test.equal((await ask(target)).status, 404, target)
  test.equal((await ask(`/items/${itemCount}?utm_source=x`)).status, 200)
})

t.test('/flaky fails while its switch is on, on that server only', async (test) => {
  const [a, b] = [await backend(test, 'a'), await backend(test, 'b')]
  test.equal((await a.ask('/flaky/fail', { method: 'POST' })).status, 200)
  test.equal((await a.ask('/flaky')).status, 503)
  test.equal((await b.ask('/flaky')).status, 200)
  await a.ask('/flaky/heal', { method: 'POST' })
  test.equal((await a.ask('/flaky')).status, 200)
  test.equal((await a.ask('/flaky/explode', { method: 'POST' })).status, 404)
})

t.test('the path of /tagged is its tags', async (test) => {
  const { ask } = await backend(test, 'a')
  test.equal((await ask('/tagged/red/green')).fields['cache-tag'], 'red, green')
  test.equal((await ask('/tagged')).fields['cache-tag'], undefined)
})

t.test('/private is each caller’s own, and is not to be stored', async (test) => {
  const { ask } = await backend(test, 'a')
  const answer = await ask('/private', { headers: { authorization: 'Bearer alice' } })
  test.match(JSON.parse(answer.body), { user: 'alice' })
  test.equal(answer.fields['cache-control'], 'private, no-store')
})

t.test('an unsafe request names the URL that it changed', async (test) => {
  const { ask } = await backend(test, 'a')
  const answer = await ask('/items', { method: 'POST' })
  test.equal(answer.status, 201)
  test.match(answer.fields.location, /^\/items\/\d+$/)
})

t.test('HEAD is served as GET without a body, other methods are not allowed', async (test) => {
  const { ask } = await backend(test, 'a')
  const head = await ask('/items/7', { method: 'HEAD' })
  test.equal(head.body, '')
  test.equal(head.fields['content-length'], (await ask('/items/7')).fields['content-length'])
  const refused = await ask('/slow', { method: 'DELETE' })
  test.equal(refused.status, 405)
  test.equal(refused.fields.allow, 'GET, HEAD')
  test.equal((await ask('/events', { method: 'HEAD' })).fields['content-type'], 'text/event-stream')
})

// Guards: each check of session-field.ts. Without one, a field below names a user.
t.test('a session is read from the field of the proxy alone', async (test) => {
  const key = signingKey('own', 'EdDSA', newPrivateKey())
  const keys = createServer((_request, response) => response.end(keySet([key])))
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve))
  test.teardown(() => keys.close())
  const clock = { now: () => Date.UTC(2030, 0, 1), monotonic: () => 1_000_000 }
  const keysUrl = (): string => `http://127.0.0.1:${(keys.address() as AddressInfo).port}/`
  const read = sessionReader({ keysUrl, audience: 'api', clock })

  const now = clock.now() / 1000
  const claims = { iss: 'springhouse', aud: 'api', iat: now, exp: now + 60, ver: 1, sub: 'zoe', data: {} }
  const signed = (changed: object = {}, typ = 'springhouse-session+jwt', by = key): string => signCompact(by, typ, JSON.stringify({ ...claims, ...changed }))
  test.match(await read(signed()), { sub: 'zoe', ver: 1 })
  const [header = '', payload = ''] = signed().split('.')
  const none = Buffer.from('{"alg":"none","kid":"own","typ":"springhouse-session+jwt"}').toString('base64url')
  const forged = [`${header}.${payload}.`, `${none}.${payload}.`, `${signed()}.x`, signed({}, 'springhouse-session+jwt', signingKey('own', 'EdDSA', newPrivateKey())),
    signed({}, 'JWT'), signed({ iss: 'x' }), signed({ aud: 'x' }), signed({ exp: now - 90 }), signed({ iat: now + 90 }), 'zoe', '']
  for (const field of forged) await test.rejects(read(field), field)
  const without = sessionReader({ keysUrl: () => undefined, audience: 'api', clock })
  await test.rejects(without(signed()), 'without keys there is nobody')
})

// Access to the admin listener by token, host and origin, and the form of its refusals.
import tap, { type Test } from 'tap'
import { namesLoopback } from '../../src/admin/same-site.ts'
import { listen, purger, reader, sendRaw, type Answer } from './support.ts'

function isProblem(t: Test, answer: Answer, status: number, code: string): void {
  t.equal(answer.status, status)
  t.equal(answer.headers['content-type'], 'application/problem+json')
  t.equal(answer.headers['cache-control'], 'no-store')
  t.match(answer.json(), { type: 'about:blank', status, code, title: String })
}

const guarded = ['/metrics', '/v1/explain?url=http://a/', '/v1/entries', '/v1/stats', '/v1/origins', '/v1/replicas', '/v1/purges', '/v1/config', '/no-such-path']

tap.test('every path except /healthz and /readyz needs a token', async (t) => {
  const { ask } = await listen(t)
  for (const path of guarded) {
    const answer = await ask(path, { token: null })
    isProblem(t, answer, 401, 'UNAUTHENTICATED')
    t.match(answer.headers['www-authenticate'], /^Bearer /)
  }
  isProblem(t, await ask('/v1/purge', { token: null, body: { all: true } }), 401, 'UNAUTHENTICATED')
  isProblem(t, await ask('/v1/explain', { token: null, body: {} }), 401, 'UNAUTHENTICATED')
  t.equal((await ask('/healthz', { token: null })).status, 200)
  t.equal((await ask('/readyz', { token: null })).status, 200)
})

tap.test('without any token configured nobody gets in', async (t) => {
  const { ask } = await listen(t, () => ({ tokens: [] }))
  isProblem(t, await ask('/v1/stats', { token: reader }), 401, 'UNAUTHENTICATED')
  isProblem(t, await ask('/v1/stats', { headers: { authorization: 'Bearer ' }, token: null }), 401, 'UNAUTHENTICATED')
})

tap.test('a token is right or wrong as a whole', async (t) => {
  const { ask } = await listen(t)
  for (const token of [reader.slice(0, -1), `${reader}1`, reader.toUpperCase(), 'undefined', `${reader} ${reader}`]) {
    t.equal((await ask('/v1/stats', { token })).status, 401, token)
  }
  t.equal((await ask('/v1/stats', { token: null, headers: { authorization: `Basic ${reader}` } })).status, 401)
  t.equal((await ask('/v1/stats', { token: null, headers: { authorization: `bearer ${reader}` } })).status, 200, 'the scheme has no case')
  t.match((await ask('/v1/stats', { token: 'wrong' })).headers['www-authenticate'], /error="invalid_token"/)
})

tap.test('a token without the scope gets the name of the missing scope', async (t) => {
  const { ask, parts } = await listen(t, () => ({ tokens: [{ name: 'r', token: reader, scopes: ['read'] }, { name: 'p', token: purger, scopes: ['purge'] }] }))
  const refused = await ask('/v1/purge', { token: reader, body: { all: true } })
  isProblem(t, refused, 403, 'FORBIDDEN')
  t.equal(refused.json()['scope'], 'purge')
  t.match(refused.headers['www-authenticate'], /error="insufficient_scope", scope="purge"/)
  t.equal(parts.purgeLog.recent(10).length, 0, 'nothing was purged')
  for (const path of guarded.filter((guardedPath) => guardedPath !== '/no-such-path')) {
    const answer = await ask(path, { token: purger })
    isProblem(t, answer, 403, 'FORBIDDEN')
    t.equal(answer.json()['scope'], 'read')
  }
})

tap.test("another site's page is refused, the listener's own is not", async (t) => {
  const { ask, port } = await listen(t)
  for (const origin of ['https://evil.example', 'null', `http://127.0.0.1:${port + 1}`, `http://127.0.0.1:${port}.evil.example`]) {
    isProblem(t, await ask('/v1/purge', { token: purger, body: { all: true }, headers: { origin } }), 403, 'FOREIGN_ORIGIN')
    isProblem(t, await ask('/healthz', { headers: { origin } }), 403, 'FOREIGN_ORIGIN')
  }
  const own = await ask('/v1/stats', { headers: { origin: `http://127.0.0.1:${port}` } })
  t.equal(own.status, 200)
  t.equal(own.headers['access-control-allow-origin'], undefined)
})

tap.test('on loopback, only names of this machine are served, so that no page can rebind its own name', async (t) => {
  const { ask, port } = await listen(t)
  for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1']) {
    isProblem(t, await ask('/v1/stats', { headers: { host } }), 421, 'MISDIRECTED')
  }
  for (const host of ['localhost', 'LOCALHOST:1', `127.0.0.1:${port}`, '127.9.9.9', '[::1]:8081', '[::1]']) {
    t.equal((await ask('/v1/stats', { headers: { host } })).status, 200, host)
  }
  t.notOk(namesLoopback('127.0.0.1:80:80'))
  t.match(await sendRaw(port, `GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 421 /, 'an empty name')
  t.match(await sendRaw(port, `GET /healthz HTTP/1.0\r\n\r\n`), /^HTTP\/1\.1 421 /, 'no name at all')
  t.match(await sendRaw(port, `GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 400 /, 'two names')
  t.match(await sendRaw(port, `GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 421 /, 'another one in the target')
  t.match(await sendRaw(port, `GET http://localhost/healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 200 /, 'the target is what counts')
})

tap.test('bound to every address, any name is served, and the token decides', async (t) => {
  const { ask } = await listen(t, undefined, '0.0.0.0')
  t.equal((await ask('/v1/stats', { headers: { host: 'springhouse.internal:8081' } })).status, 200)
  isProblem(t, await ask('/v1/stats', { token: null, headers: { host: 'springhouse.internal' } }), 401, 'UNAUTHENTICATED')
})

tap.test('there is no CORS', async (t) => {
  const { ask, port } = await listen(t)
  const preflight = await ask('/v1/purge', { method: 'OPTIONS', headers: { origin: `http://127.0.0.1:${port}`, 'access-control-request-method': 'POST' } })
  isProblem(t, preflight, 405, 'METHOD_NOT_ALLOWED')
  t.equal(preflight.headers['access-control-allow-methods'], undefined)
})

tap.test('an unknown path is a 404, and so is what is not built yet', async (t) => {
  const { ask } = await listen(t)
  for (const path of ['/assets/', '/assets/x.js', '/v1', '/v1/stats/', '/v1/sessions', '/docs/x', '/v1/purge/x', '/__proto__']) {
    isProblem(t, await ask(path), 404, 'NOT_FOUND')
  }
  isProblem(t, await ask('/no-such-path', { body: { all: true } }), 404, 'NOT_FOUND')
})

tap.test('a method that a path does not take is a 405 that says which it takes', async (t) => {
  const { ask } = await listen(t)
  const cases: [string, string, string][] = [
    ['GET', '/v1/purge', 'POST'],
    ['DELETE', '/v1/explain', 'GET, HEAD, POST'],
    ['POST', '/v1/stats', 'GET, HEAD'],
    ['PUT', '/healthz', 'GET, HEAD'],
  ]
  for (const [method, path, allow] of cases) {
    const answer = await ask(path, { method, raw: 'not json', headers: { 'content-type': 'text/plain' } })
    isProblem(t, answer, 405, 'METHOD_NOT_ALLOWED')
    t.equal(answer.headers.allow, allow)
  }
  isProblem(t, await ask('/v1/purge', { token: null }), 401, 'UNAUTHENTICATED')
  t.equal((await ask('/v1/stats', { method: 'HEAD' })).status, 200)
})

tap.test('a body beyond 1 MiB is refused, with or without a length', async (t) => {
  const { port } = await listen(t)
  const head = `POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${purger}\r\nContent-Type: application/json\r\n`
  const limit = 1024 * 1024
  const refused = /^HTTP\/1\.1 413 [^]*PAYLOAD_TOO_LARGE/
  t.match(await sendRaw(port, `${head}Content-Length: ${limit + 1}\r\n\r\n`), refused)
  t.match(await sendRaw(port, `${head}Transfer-Encoding: chunked\r\n\r\n${(limit + 1).toString(16)}\r\n${' '.repeat(limit + 1)}`), refused)
})

tap.test('a body that is not JSON by its type is a 415', async (t) => {
  const { ask } = await listen(t)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense', 'application/jsonp']) {
    const answer = await ask('/v1/purge', { token: purger, raw: '{"all":true}', headers: { 'content-type': type } })
    isProblem(t, answer, 415, 'UNSUPPORTED_MEDIA_TYPE')
    t.match(answer.json()['detail'], /application\/json/)
  }
  const charset = await ask('/v1/purge', { token: purger, raw: '{"all":true}', headers: { 'content-type': 'application/json; charset=utf-8' } })
  t.equal(charset.status, 200)
})

tap.test('half a head is given no longer than a whole request', async (t) => {
  const { server } = await listen(t)
  t.equal(server.headersTimeout, 10_000)
})

tap.test('an internal failure is in the log, and not in the response', async (t) => {
  const { ask, logged } = await listen(t, () => ({
    config: () => {
      throw new Error('secret inside')
    },
  }))
  const answer = await ask('/v1/config')
  isProblem(t, answer, 500, 'INTERNAL')
  t.notMatch(answer.text, /secret/)
  t.match(logged.at(-1), { err: { message: 'secret inside' }, token: 'dashboard', url: '/v1/config' })
})

tap.test('a request that is not HTTP gets a problem document, too', async (t) => {
  const { port } = await listen(t)
  t.match(await sendRaw(port, 'GET / HTTP/1.1\r\nbad field\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json\r\n/)
})

tap.test('a path with a malformed percent-encoding is a 400', async (t) => {
  const { ask } = await listen(t)
  isProblem(t, await ask('/v1/%zz'), 400, 'BAD_ADMIN_REQUEST')
})

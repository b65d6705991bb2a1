// The login cookie of the admin listener: browsers send it to the proxy too, and nothing behind the listener ever sees it.
import { connect, type ClientHttp2Session } from 'node:http2'
import t from 'tap'
import { removeAdminCookie } from '../../src/forwarding/admin-cookie.ts'
import { ask, rawRequest } from '../support/client.ts'
import { detail, startProxy } from '../support/proxy.ts'
import { rawHeader } from '../support/scripted-origin.ts'

const login = 'springhouse_admin=ops.1700000000.secret'

/** Cookie lines that a client sends, and the one line that the origin receives; undefined: none. */
const lines: readonly (readonly [said: readonly string[], received: string | undefined])[] = [
  [[login], undefined],
  [[`${login};`], undefined],
  [[`; ;${login} ; `], undefined],
  [[`\t springhouse_admin \t= secret \t`], undefined],
  [['springhouse_admin="secret"'], undefined],
  [['springhouse_admin="se; cret"'], 'cret"'],
  [['springhouse_admin'], undefined],
  [[`a=b; ${login}`], 'a=b'],
  [[`${login}; a=b`], 'a=b'],
  [[`${login};a=b`], 'a=b'],
  [[`a=b;${login};c=d`], 'a=b;c=d'],
  [[`a="x; ${login}; y"`], 'a="x; y"'],
  [[`${login}; ${login}; a=b; ${login}`], 'a=b'],
  [[login, 'a=b', login], 'a=b'],
  [['a=b', login, 'c=d'], 'a=b; c=d'],
  [[login, ''], undefined],
  [[login, ' ; '], undefined],
  // Cookies of applications that only look like it keep their bytes.
  [['springhouse_admin2=x'], 'springhouse_admin2=x'],
  [['my_springhouse_admin=x;  y=z'], 'my_springhouse_admin=x;  y=z'],
  [['a=springhouse_admin'], 'a=springhouse_admin'],
  [['a=b=springhouse_admin=c'], 'a=b=springhouse_admin=c'],
]

const routes = (origin: string): readonly unknown[] => [
  { match: { path: '/keyed/' }, origin, key: { cookies: ['springhouse_admin', 'a'] } },
  { match: { path: '/open/' }, origin, cache: { cookies: 'ignore' } },
  { match: { path: '/bypass/' }, origin, cache: { mode: 'bypass' } },
  { match: {}, origin },
]
const listening = { host: '127.0.0.1', port: 0, h2c: true }

// The guard: removeAdminCookie in checkFields (proxy/admission/admission.ts), for each row.
t.test('no origin receives the cookie, whatever the protocol, the method and the route', async t => {
  const house = await startProxy(t, {
    origin: (request, response) => void response.writeHead(200, { 'Cache-Control': 'no-store' }).end(JSON.stringify(rawHeader(request.rawHeaders, 'cookie') ?? null)),
    config: { proxy: listening, routes: routes('api') },
  })
  const session = connect(`http://127.0.0.1:${house.port}`)
  t.teardown(() => session.destroy())
  for (const [said, received] of lines) {
    const cookies = said.flatMap(line => ['Cookie', line])
    for (const [method, path] of [['GET', '/'], ['POST', '/'], ['HEAD', '/'], ['GET', '/bypass/x'], ['GET', '/open/x']] as const) {
      await ask(house.port, { path, method, headers: ['Host', 'h', ...cookies] })
      t.equal(house.origin.requests.at(-1)?.header('cookie'), received, `${method} ${path} ${said.join(' | ')}`)
    }
    await askH2(session, said)
    t.equal(house.origin.requests.at(-1)?.header('cookie'), received, `HTTP/2 ${said.join(' | ')}`)
    await ask(house.port, { path: '/', headers: ['Host', 'h', 'Upgrade', 'h2c', 'Connection', 'Upgrade', ...cookies] })
    t.equal(house.origin.requests.at(-1)?.header('cookie'), received, `Upgrade: h2c ${said.join(' | ')}`)
    await rawRequest(house.port,
      `GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${
        said.map(line => `Cookie: ${line}\r\n`).join('')
      }\r\n`)
    t.same([house.origin.requests.at(-1)?.target, house.origin.requests.at(-1)?.header('cookie')], ['/socket', received], `a WebSocket ${said.join(' | ')}`)
  }
  const absolute = await rawRequest(house.port, `GET http://h/abs HTTP/1.1\r\nHost: other\r\nConnection: close\r\nCookie: ${login}\r\nX: y\r\n\r\n`)
  t.match(absolute, /\r\nnull/)
  t.equal(house.origin.requests.at(-1)?.header('x'), 'y')
})

// The same guard.
t.test('an operator who is logged in gets the responses that everybody gets, and theirs are stored', async t => {
  let count = 0
  const house = await startProxy(t, {
    origin: (_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(`answer ${++count}`),
    config: { proxy: listening, routes: routes('api') },
  })
  for (const path of ['/page', '/keyed/page']) {
    const first = await house.get(path, { Host: 'h', Cookie: login })
    t.equal(detail(first), 'uri-miss', 'a request with no other cookie has no cookie')
    t.equal(detail(await house.get(path, { Host: 'h' })), 'fresh')
    t.equal(detail(await house.get(path, { Host: 'h', Cookie: login.replace('ops', 'other') })), 'fresh')
  }
  t.equal(detail(await house.get('/keyed/page', { Host: 'h', Cookie: `${login}; a=b` })), 'uri-miss')
  t.equal(detail(await house.get('/keyed/page', { Host: 'h', Cookie: 'a=b' })), 'fresh', 'the key holds the other cookie alone')
  t.equal(count, 3)
})

t.test('the time to remove it grows with the field alone', async t => {
  const long = [`${'a=b; '.repeat(100_000)}${`${login};`.repeat(20_000)}`]
  const raw = ['Host', 'h', 'Cookie', ...long]
  removeAdminCookie(raw)
  t.notOk(raw[3]?.includes('secret'))
  t.equal(raw[3]?.split(';').filter(pair => pair.trim() === 'a=b').length, 100_000)
})

function askH2(session: ClientHttp2Session, cookies: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/h2', ':authority': 'h', cookie: [...cookies] })
    stream.on('error', reject).on('close', resolve).resume()
  })
}

// Fields of this proxy's own: neither a client, nor a trusted proxy, nor an origin can set one, whether sessions are on or off.
import t from 'tap'
import { ask, rawRequest } from '../support/client.ts'
import { detail, startProxy } from '../support/proxy.ts'

const spellings = ['Springhouse-Session', 'SPRINGHOUSE-SESSION', 'springhouse_session', 'Springhouse.Session', 'springhouse!session', 'Springhouse_Session-Unavailable',
  'Springhouse-Whatever']

// The guard: isReservedField in forwardFields.
for (const trustProxy of [false, true]) {
  t.test(`no request field of the proxy's own is forwarded from a client that is ${trustProxy ? 'trusted' : 'not trusted'}`, async t => {
    const house = await startProxy(t, {
      origin: (request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(request.rawHeaders.join('\n').toLowerCase()),
      config: { proxy: { host: '127.0.0.1', port: 0, trustProxy } },
    })
    for (const [number, name] of spellings.entries()) {
      for (const method of ['GET', 'POST']) {
        const answer = await ask(house.port, { path: `/${number}`, method, headers: ['Host', 'h', name, 'forged'] })
        t.notMatch(String(answer.body), /forged/, `${name} by ${method}`)
      }
    }
    await rawRequest(house.port,
      'GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSpringhouse-Session: forged\r\n\r\n')
    t.equal(house.origin.requests.at(-1)?.target, '/socket')
    t.equal(house.origin.requests.at(-1)?.header('springhouse-session'), undefined)
  })
}

// The guards: isReservedField in fieldsNotForClients, instructionField in storable.ts.
t.test("no response field of the proxy's own reaches a client, and a response with an instruction is not stored", async t => {
  const house = await startProxy(t, {
    origin: (request, response) => {
      const set = request.url === '/set' ? { 'Springhouse-Session-Set': '{"login":"zoe"}' } : { 'springhouse_session_token': 'x' }
      response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Springhouse-Session-Token': 'shs1', ...(request.method !== 'HEAD' && { Trailer: 'Springhouse-Session-Set' }),
        ...set })
      if (request.method !== 'HEAD') response.addTrailers({ 'Springhouse-Session-Set': '{}' })
      response.end('body')
    },
  })
  for (const [path, method] of [['/set', 'GET'], ['/set', 'POST'], ['/set', 'HEAD'], ['/', 'GET'], ['/', 'GET'], ['/', 'POST']] as const) {
    const answer = await house.get(path, {}, { method })
    t.equal(answer.status, 200)
    t.same(answer.rawHeaders.filter(part => /^springhouse[^a-z;]/i.test(part)), [], `${method} ${path}`)
  }
  t.equal(detail(await house.get('/set')), 'session-instruction')
  await house.get('/')
  t.equal(detail(await house.get('/')), 'fresh')
})

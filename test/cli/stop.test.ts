// SIGTERM, in real processes: requests in flight get responses, endless ones are aborted, and the exit is in order.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { Agent, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import tap, { test, type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { testCertificate, testKey } from '../support/certificate.ts'
import { ask, type Answer } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'
import { anyPort, Running, urls } from './command.ts'

tap.setTimeout(360_000)

const token = { SPRINGHOUSE_ADMIN_TOKEN: 'abc-abc-abc-abc-abc' }
const portOf = (url: string): number => Number(new URL(url).port)

/** An origin that responds on a signal of the test; `/at-once` it always serves. */
async function held(t: Test): Promise<{ origin: ScriptedOrigin; release: (text: string) => void }> {
  let end: (text: string) => void = () => {}
  const origin = await startOrigin((request, response) => {
    if (request.url === '/at-once') return void response.end()
    response.writeHead(200, { 'Cache-Control': 'max-age=60' })
    response.write('first ')
    end = (text) => response.end(text)
  })
  t.teardown(() => origin.close())
  return { origin, release: (text) => end(text) }
}

for (const workers of [1, 2]) {
  test(`after SIGTERM it is not ready, accepts no connection, and finishes requests in flight; workers: ${workers}`, async (t) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const { origin, release } = await held(t)
    const serve = new Running(t, ['serve', '--origin', origin.url, ...anyPort, '--redis', redis.url, '--workers', String(workers)], { ...token,
      SPRINGHOUSE_PROXY_SHUTDOWN_GRACE_MS: '600000' })
    const { proxy, admin } = await urls(serve)
    t.equal((await ask(portOf(admin), { path: '/readyz' })).status, 200)
    const answer = ask(portOf(proxy), { path: '/a' })
    await origin.nth(1)
    serve.child.kill('SIGTERM')
    // A worker without requests in flight has ended; the other one serves alone.
    const readiness = (): Promise<number> => ask(portOf(admin), { path: '/readyz' }).then(({ status }: Answer) => status, () => 0)
    await eventually(async () => await readiness() === 503)
    // A worker may get the signal a moment later than the other, and take connections until then. A connection is refused once
    // all workers have stopped listening.
    await eventually(() => ask(portOf(proxy), { path: '/at-once' }).then(() => false, (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED'))
    // A worker that has nothing left to do may break off a response as it ends. The other still reports its state to a load
    // balancer.
    const said: number[] = []
    await eventually(async () => said.push(await readiness()) > 0 && said.at(-1) === 503)
    t.notOk(said.includes(200), 'and nobody says anything else')
    release('last')
    const { status, complete, body } = await answer
    t.same([status, complete, body.toString()], [200, true, 'first last'])
    t.equal((await serve.ended).code, 0)
    t.equal(origin.requests.filter(({ target }) => target === '/a').length, 1)
  })
}

test('with a delay, it serves as before while it is not ready, until the delay is over or a second signal', async (t) => {
  const origin = await startOrigin((_, response) => response.end('as before'))
  t.teardown(() => origin.close())
  const args = ['serve', '--origin', origin.url, ...anyPort]
  const waiting = new Running(t, args, { ...token, SPRINGHOUSE_PROXY_SHUTDOWN_DELAY_MS: '1h' })
  const { proxy, admin } = await urls(waiting)
  const agents = [new Agent({ keepAlive: true }), new Agent({ keepAlive: true })] as const
  t.teardown(() => {
    for (const agent of agents) agent.destroy()
  })
  t.equal((await ask(portOf(proxy), { agent: agents[0] })).header('connection'), 'keep-alive')
  waiting.child.kill('SIGTERM')
  await eventually(async () => (await ask(portOf(admin), { path: '/readyz' })).status === 503)
  for (const agent of agents) {
    const answer = await ask(portOf(proxy), { agent })
    t.equal(answer.body.toString(), 'as before', 'new connections are taken, and those that there are kept')
    t.equal(answer.header('connection'), 'close', 'until they have their next response')
  }
  waiting.child.kill('SIGTERM')
  t.equal((await waiting.ended).code, 1)

  const brief = new Running(t, args, { ...token, SPRINGHOUSE_PROXY_SHUTDOWN_DELAY_MS: '1ms' })
  await urls(brief)
  brief.child.kill('SIGTERM')
  t.equal((await brief.ended).code, 0)
})

test('WebSockets, HTTP/2 sessions, a fill that hangs and a hung Redis do not hold the exit beyond one grace', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { origin } = await held(t)
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(sockets, 'listening')
  t.teardown(() => {
    for (const each of sockets.clients) each.terminate()
    sockets.close()
  })
  const folder = t.testdir({ 'cert.pem': testCertificate, 'key.pem': testKey })
  const file = `${folder}/a.json`
  writeFileSync(file, JSON.stringify({
    // Twice this is more than a stop may take.
    proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 6_000, tls: { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` } },
    admin: { host: '127.0.0.1', port: 0 },
    redis: { url: redis.url },
    origins: { api: { servers: [origin.url] }, ws: { servers: [`http://127.0.0.1:${(sockets.address() as { port: number }).port}`] } },
    routes: [{ match: { path: '/ws' }, origin: 'ws' }, { match: {}, origin: 'api' }],
  }))
  const serve = new Running(t, ['serve', '--config', file], token)
  const { proxy, admin } = await urls(serve)
  const ca = testCertificate

  const socket = new WebSocket(`${proxy.replace('https', 'wss')}/ws`, { ca })
  socket.on('error', () => {})
  await once(socket, 'open')
  const idle = connectHttp2(proxy, { ca })
  const busy = connectHttp2(proxy, { ca })
  for (const session of [idle, busy]) session.on('error', () => {})
  await once(idle, 'connect')
  const stream = busy.request({ ':path': '/stalled' })
  stream.on('error', () => {})
  await once(stream, 'response')
  // The client has left, and its fill continues.
  const leaving = httpsRequest(`${proxy}/left`, { ca }, (response) => response.once('data', () => leaving.destroy()))
  leaving.on('error', () => {})
  leaving.end()
  await once(leaving, 'close')
  // Half a request to the admin API.
  const half = httpRequest(`${admin}/v1/purge`, { method: 'POST',
    headers: { Authorization: 'Bearer abc-abc-abc-abc-abc', 'Content-Length': 10, 'Content-Type': 'application/json' } })
  half.on('error', () => {})
  half.write('{')
  await once(half, 'socket')
  redis.kill('SIGSTOP')
  serve.child.kill('SIGTERM')
  const { code, stderr } = await serve.ended
  t.equal(code, 0, stderr)
  t.notMatch(stderr, /did not stop in time/)
})

// Open streams of sessions: each is closed when its session ends at any replica, and no other stream is.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { systemClock } from '../../src/clock.ts'
import { open } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { overRedis, startProxy } from '../support/proxy.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { streaming, Visitor } from './support.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const origin = await startOrigin(streaming)
t.teardown(() => origin.close())
const sockets = createServer()
new WebSocketServer({ server: sockets }).on('connection', accepted => accepted.send('hello'))
sockets.listen(0, '127.0.0.1')
await once(sockets, 'listening')
t.teardown(() => {
  sockets.closeAllConnections()
  sockets.close()
})

// Without another value, only messages close streams within the time of this test.
const start = (recheck = '1h') =>
  startProxy(t, {
    origin,
    clock: systemClock,
    config: {
      ...overRedis(redis.url),
      sessions: { enabled: true, streams: { recheck }, keys: [{ id: 'k', alg: 'HS256', secret: 'a secret of at least thirty-two bytes' }] },
      origins: { api: { servers: [origin.url] }, sockets: { servers: [`http://127.0.0.1:${(sockets.address() as AddressInfo).port}`] } },
      routes: [{ match: { path: '/socket' }, origin: 'sockets' }, { match: {}, origin: 'api' }],
    },
  })
const [one, two] = [await start(), await start()]

/** An event stream that has begun. `ended` resolves when it is closed. */
async function events(visitor: Visitor): Promise<{ readonly ended: Promise<unknown>; close(): void }> {
  return new Promise((resolve, reject) => {
    const request = open(visitor.port, { path: '/events', headers: visitor.cookie === undefined ? [] : ['Cookie', visitor.cookie] }, response => {
      const ended = new Promise(cut => response.on('close', cut))
      response.on('error', () => undefined)
      response.once('data', () => resolve({ ended, close: () => response.destroy() }))
    })
    request.on('error', reject)
  })
}

async function socket(visitor: Visitor): Promise<{ readonly ended: Promise<unknown>; close(): void }> {
  const client = new WebSocket(`ws://127.0.0.1:${visitor.port}/socket`, { headers: visitor.cookie === undefined ? {} : { Cookie: visitor.cookie } })
  const ended = new Promise(cut => client.on('close', cut))
  client.on('error', () => undefined)
  await once(client, 'message')
  return { ended, close: () => client.terminate() }
}

const loggedIn = async (port: number, user: string): Promise<Visitor> => {
  const visitor = new Visitor(port)
  await visitor.do({ login: user })
  return visitor
}

t.test('a log-out at another replica closes the streams of its session at once, and no others', async t => {
  const [ann, bob, nobody] = [await loggedIn(one.port, 'ann'), await loggedIn(one.port, 'bob'), new Visitor(one.port)]
  const cut = await Promise.all([events(ann), socket(ann)])
  const left = await Promise.all([events(bob), socket(bob), events(nobody), socket(nobody)])
  let wrong = 0
  for (const each of left) void each.ended.then(() => wrong++)
  await new Visitor(two.port, ann.cookie).do({ logout: true })
  await Promise.all(cut.map(({ ended }) => ended))
  t.equal(wrong, 0)
  t.match((await one.admin('/metrics')).body.toString(), /springhouse_session_streams_cut_total 2/)
  for (const each of left) each.close()
})

t.test('so do a log-in that ends the session, and log out everywhere', async t => {
  const ann = await loggedIn(one.port, 'ann')
  const before = await events(ann)
  await ann.do({ login: 'ann' })
  await before.ended
  const after = await events(ann)
  await new Visitor(two.port, (await loggedIn(two.port, 'ann')).cookie).do({ logout: 'everywhere' })
  await after.ended
  t.pass('both were cut')
})

// The guard: Streams rechecks, also when its messages arrive again.
t.test('a message that was lost is made up for, and a Redis in trouble closes nothing', async t => {
  const house = await start('100ms')
  const ann = await loggedIn(house.port, 'ann')
  const stream = await events(ann)
  let isCut = false
  void stream.ended.then(() => {
    isCut = true
  })
  redis.kill('SIGSTOP')
  await eventually(async () => ((await house.admin('/readyz')).body.toString().includes('redis')) || isCut)
  t.equal(isCut, false)
  redis.kill('SIGCONT')
  await eventually(async () => (await ann.send('/who')).status === 200)
  t.equal(isCut, false)
  // As another program would end it, without a message.
  const { Redis } = await import('ioredis')
  const commands = new Redis(redis.url)
  t.teardown(() => commands.disconnect())
  for (const key of await commands.keys('sh:{s:*')) await commands.del(key)
  await stream.ended
  t.equal(isCut, true)
})

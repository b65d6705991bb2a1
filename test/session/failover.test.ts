// Sessions while a Redis master dies, under Sentinels and in a cluster: nobody is logged out, and no lost change seems written.
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { Answer } from '../support/client.ts'
import { eventually } from '../support/log.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startWatchedRedis } from '../support/redis-sentinel.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { obedient, problem, seen, Visitor } from './support.ts'

t.setTimeout(120_000)

const token = 'a-token-for-sessions-of-the-house'
const secret = 'a secret of at least thirty-two bytes'

interface Scene {
  readonly houses: readonly [TestProxy<Clock>, TestProxy<Clock>]
  admin(path: string, body: unknown): Promise<Answer>
}

async function start(t: Test, redis: object): Promise<Scene> {
  const origin = await startOrigin(obedient())
  t.teardown(() => origin.close())
  const config = {
    admin: { host: '127.0.0.1', port: 0, tokens: [{ name: 'operator', token, scopes: ['sessions', 'read'] }] },
    sessions: { enabled: true, redis: { ...redis, commandTimeoutMs: 500 }, keys: [{ id: 'k', alg: 'HS256', secret }] },
    routes: [{ match: { path: '/users/' }, origin: 'api', identity: { required: true } }, { match: {}, origin: 'api' }],
  }
  const house = (): Promise<TestProxy<Clock>> => startProxy<Clock>(t, { origin, clock: systemClock, config })
  const houses = [await house(), await house()] as const
  const admin = async (path: string, body: unknown): Promise<Answer> => {
    const url = `${houses[0].app.adminUrl}${path}`
    const response = await fetch(url, { method: 'POST', headers: { 'Authorization': `Bearer ${token}`, 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
    return { status: response.status } as Answer
  }
  return { houses, admin }
}

/** A visitor with the same session at a replica. */
const at = (house: TestProxy<Clock>, visitor: Visitor): Visitor => new Visitor(house.port, visitor.cookie)

/**
 * Logs people in, waits until Redis has copied them, kills a master under their requests, and judges what they receive.
 * @param kill kills the master that keeps the session of this id
 */
async function masterDies(t: Test, { houses, admin }: Scene, kill: (sid: string) => Promise<void>): Promise<void> {
  const people: Visitor[] = []
  for (let i = 0; i < 6; i++) {
    const visitor = new Visitor(houses[i % 2 === 0 ? 0 : 1].port)
    await eventually(async () => (await visitor.do({ login: `user ${i}`, data: { n: 0 } })).status === 200)
    people.push(visitor)
  }
  const gone = new Visitor(houses[0].port)
  await gone.do({ login: 'gone' })
  // 200: a Redis replica has it, and with it all that was written to that master before.
  await eventually(async () => (await admin('/v1/sessions/revoke', { user: 'gone' })).status === 200)
  for (let i = 0; i < 6; i++) {
    // A revocation of other sessions of each user, so that the master of each has confirmed.
    const other = new Visitor(houses[0].port)
    await eventually(async () => (await other.do({ login: `user ${i}` })).status === 200)
    const sid = String((await people[i]?.claims())?.['sid'])
    await eventually(async () => (await admin('/v1/sessions/revoke', { user: `user ${i}`, except: sid })).status === 200)
  }
  const sid = String((await people[0]?.claims())?.['sid'])
  const stop = new AbortController()
  const refused = new Set<string>()
  const wrong: string[] = []
  const written = people.map(() => 0)
  const load = people.map(async (person, i) => {
    for (let n = 1; !stop.signal.aborted; n++) {
      const visitor = at(houses[n % 2 === 0 ? 0 : 1], person)
      const answer = await visitor.send('/users/do', { 'X-Do': JSON.stringify({ data: { n } }) }, { method: 'POST', body: 'x' })
      if (answer.header('set-cookie') !== undefined) wrong.push('a cookie was taken back')
      if (answer.status === 200) {
        written[i] = n
        const user = seen(answer).claims?.['sub']
        if (user !== `user ${i}`) wrong.push(`user ${i} is ${String(user)}`)
      } else {
        refused.add(problem(answer))
        if (answer.header('retry-after') !== '1') wrong.push('a 503 without Retry-After')
      }
      await delay(5)
    }
  })
  await eventually(() => written.every(n => n > 2))
  await kill(sid)
  const page = await new Visitor(houses[0].port).send('/page')
  t.equal(page.status, 200, 'visitors notice nothing')
  // The other replica of the proxy may find the new master later.
  for (const house of houses) for (const person of people) await eventually(async () => (await at(house, person).send('/users/me')).status === 200, 20)
  const before = [...written]
  await eventually(() => written.every((n, i) => n > (before[i] ?? 0) + 2))
  stop.abort()
  await Promise.all(load)
  t.same(wrong, [])
  for (const code of refused) t.match(code, /^503 SESSION_(?:UNAVAILABLE|NOT_WRITTEN|UNCONFIRMED)$/)
  t.ok(refused.size > 0, `the master was missed: ${[...refused].join(', ')}`)
  for (const [i, person] of people.entries()) {
    for (const house of houses) t.match(await at(house, person).claims(), { sub: `user ${i}`, data: { n: written[i] } }, 'logged in, with the last change')
  }
  for (const house of houses) t.equal(await at(house, gone).claims(), null, 'a confirmed revocation is one')
}

t.test('Sentinels name another master', async t => {
  const watched = await startWatchedRedis()
  t.teardown(() => watched.stop())
  const scene = await start(t, { sentinel: { master: watched.name, nodes: [...watched.sentinels] } })
  await masterDies(t, scene, async () => {
    const port = await watched.masterPort()
    watched.servers.find(server => server.port === port)?.kill('SIGKILL')
    await eventually(async () => {
      const now = await watched.masterPort()
      return now !== undefined && now !== port
    }, 50)
  })
})

t.test('a replica of the cluster takes over', async t => {
  const cluster = await startCluster()
  t.teardown(() => cluster.stop())
  const scene = await start(t, { cluster: [...cluster.addresses] })
  await masterDies(t, scene, async sid => {
    const owner = await cluster.ownerOf(`sh:{s:${sid}}`)
    owner.server.kill('SIGKILL')
    await eventually(async () => await cluster.settled(), 50)
  })
})

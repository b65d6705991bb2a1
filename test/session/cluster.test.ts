// Sessions over a Redis Cluster: a session lies in one slot, the sessions of its user in another.
import { pino } from 'pino'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { dataText } from '../../src/session/data.ts'
import { Sessions } from '../../src/session/sessions.ts'
import { RedisSessionStore } from '../../src/session/store/redis.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { patchOf, settings, zoe } from './contract.ts'

t.setTimeout(120_000)

t.test('log-ins, patches and log out everywhere, and a master that hands over loses none', async t => {
  const cluster = await startCluster()
  t.teardown(() => cluster.stop())
  const connections = connectRedis({ cluster: [...cluster.addresses], commandTimeoutMs: 10_000, clock: systemClock, logger: pino({ level: 'silent' }) })
  t.teardown(() => connections.close())
  await connections.ready()
  const store = new RedisSessionStore(connections.small, 'cl', 'cl:0:sessions')
  const sessions = new Sessions(store, settings)
  const sids: string[] = []
  for (let i = 0; i < 12; i++) {
    const begun = await sessions.begin('default', { patch: patchOf('{"a":{"x":1}}'), mark: undefined })
    const login = { user: zoe.user, remember: false, fresh: false, label: undefined, transport: 'cookie' } as const
    const { token: { sid } } = await sessions.login(await store.read(begun.token.sid), 'default', login, { patch: patchOf('{"b":1}'), ifVersion: undefined, mark: undefined })
    await sessions.change(sid, new Map(), { patch: patchOf('{"a":{"y":2}}'), ifVersion: undefined, mark: undefined })
    sids.push(sid)
  }
  t.same((await store.list(zoe)).toSorted(), sids.toSorted())
  const [first = ''] = sids
  await cluster.failOver(await cluster.ownerOf(`cl:{s:${first}}`))
  let record
  // The client learns of the new master by its first command.
  while (record === undefined) record = await store.read(first).catch(() => undefined)
  t.equal(dataText(record.data), '{"a":{"x":1,"y":2},"b":1}')
  t.equal(await sessions.revoke(zoe), 12)
  t.same(await store.list(zoe), [])
  for (const sid of sids) t.equal(await store.read(sid), undefined)
})

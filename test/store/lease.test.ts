// Leases over a real Redis: one holder for each key, followers are notified, and no follower waits in vain.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { HeldElsewhere, Lease, Leases, Outcome, LeaseResult } from '../../src/store/lease.ts'
import type { RedisServers } from '../../src/store/redis/connect/client.ts'
import { connectRedis, type RedisConnections } from '../../src/store/redis/connect/connections.ts'
import { createRedisLeases } from '../../src/store/redis/leases/leases.ts'
import { createRedisStore } from '../../src/store/redis/entries/store.ts'
import { entryName } from '../../src/store/redis/entries/value.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { metadata } from '../support/metadata.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { put } from './contract.ts'

// Longer than a test may take, so that no proof depends on the end of a lease.
const longMs = 60_000
const key = 'GET http://api.example.com/v1/things?page=1 & more'
const name = `${entryName('test', key)}:lease`

interface Process {
  readonly leases: Leases
  readonly redis: RedisConnections
}

interface Setting {
  readonly server: RedisServer
  /** A separate connection of the test. */
  readonly raw: Redis
  process(called: string, leaseMs?: number): Promise<Process>
}

async function setting(test: Test, server: RedisServer, servers: (server: RedisServer) => RedisServers = ({ url }) => ({ url })): Promise<Setting> {
  const raw = new Redis(server.url, { retryStrategy: () => 20 })
  raw.on('error', () => {})
  const processes: Process[] = []
  test.teardown(async () => {
    for (const { leases, redis } of processes) {
      await leases.close()
      redis.close()
    }
    raw.disconnect()
    await server.stop()
  })
  return {
    server,
    raw,
    process: async (called, leaseMs = longMs) => {
      const redis = connectRedis({ ...servers(server), commandTimeoutMs: 2000, clock: systemClock, logger: memoryLog() })
      const leases = createRedisLeases({ redis, prefix: 'test', process: called, leaseMs, logger: memoryLog() })
      processes.push({ leases, redis })
      await eventually(async () => redis.small.healthy === true && await raw.call('PUBSUB', 'NUMSUB', `test:0:lease:${called}`).then(reply => (reply as unknown[])[1] === 1))
      return { leases, redis }
    },
  }
}

const take = (leases: Leases, stealFrom?: string): Promise<LeaseResult> => leases.take(key, 'stamp', 'uncacheable', stealFrom)

async function held(taking: Promise<LeaseResult>): Promise<Lease> {
  const taken = await taking
  if (taken.kind !== 'acquired') throw new Error(`not held but ${taken.kind}`)
  return taken.lease
}

async function elsewhere(taking: Promise<LeaseResult>): Promise<HeldElsewhere> {
  const taken = await taking
  if (taken.kind !== 'heldElsewhere') throw new Error(`not elsewhere but ${taken.kind}`)
  return taken
}

for (const [where, start, servers] of [
  ['one server', () => startRedis(), ({ url }: RedisServer) => ({ url })],
  ['a cluster', startCluster, ({ host, port }: RedisServer) => ({ cluster: [`${host}:${port}`] })],
] as const) {
  t.test(`over ${where}: one takes it, the others wait, and receive its outcome`, async t => {
    const { raw, process } = await setting(t, await start(), servers)
    const [{ leases: a }, { leases: b }, { leases: c }] = [await process('a'), await process('b'), await process('c')]
    for (const outcome of ['stored', 'refused', 'failed'] as const) {
      const lease = await held(a.take(key, `stamp of ${outcome}`, 'uncacheable'))
      t.equal(lease.hasEntry, false)
      const [atB, atC] = [await elsewhere(take(b)), await elsewhere(take(c))]
      t.equal(atB.stamp, `stamp of ${outcome}`)
      t.equal(atB.token, atC.token)
      const told = [atB.ended(), atC.ended()]
      lease.release(outcome)
      lease.release('failed')
      t.same(await Promise.all(told), [outcome, outcome])
      t.equal(await raw.exists(name), 0, 'nothing is left of it')
    }
  })
}

async function startCluster(): Promise<RedisServer> {
  const server = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] })
  const raw = new Redis(server.url)
  await raw.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await eventually(async () => String(await raw.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  raw.disconnect()
  return server
}

t.test('the holder learns that another process waits, by one message at once, or by a renewal if that was lost', async t => {
  const { raw, server, process } = await setting(t, await startRedis())
  const messages: string[] = []
  const listener = new Redis(server.url)
  t.teardown(() => listener.disconnect())
  listener.on('pmessage', (_pattern: string, _channel: string, message: string) => void (message !== '' && messages.push(message)))
  await listener.psubscribe('*')
  const [{ leases: a }, { leases: b }, { leases: c }] = [await process('a'), await process('b'), await process('c')]
  let awaited = 0
  const alone = await held(take(a))
  alone.whenAwaited(() => awaited++)
  alone.release('stored')
  await eventually(async () => await raw.exists(name) === 0)
  const lease = await held(take(a))
  lease.whenAwaited(() => awaited++)
  await elsewhere(take(b))
  await eventually(() => awaited === 1)
  await elsewhere(take(c))
  await elsewhere(take(b))
  lease.release('stored')
  await eventually(() => messages.length >= 3)
  t.same(messages.map(message => message.split(' ')[0]), ['awaited', 'stored', 'stored'], 'a lease without waiting processes publishes nothing')
  t.equal(awaited, 1)

  const { leases: brief } = await process('brief', 300)
  const unheard = await held(take(brief))
  await raw.hset(name, 'w:x', '')
  await new Promise<void>(resolve => unheard.whenAwaited(resolve))
  const next = await held(take(b, unheard.token))
  await new Promise<void>(resolve => next.whenAwaited(resolve))
  t.pass('and so does the process that takes over a lease for which others wait')
})

t.test('every key has a time to live, and none holds a byte of a request', async t => {
  const { raw, process } = await setting(t, await startRedis())
  const [{ leases: a }, { leases: b }] = [await process('a'), await process('b')]
  const check = async (when: string): Promise<void> => {
    for (const one of await raw.keys('*')) {
      t.match(one, /^test:\{[\w-]{43}\}:lease$/, when)
      t.ok(await raw.pttl(one) > 0, when)
    }
  }
  const lease = await held(take(a))
  await check('acquired')
  const waiting = await elsewhere(take(b))
  await check('waited for')
  const second = await held(take(b, waiting.token))
  waiting.leave()
  await check('taken over')
  await elsewhere(take(a))
  second.release('uncacheable')
  lease.release('stored')
  await eventually(async () => (await take(a)).kind === 'knownUncacheable')
  t.equal((await raw.keys('*')).length, 1)
  await check('given back as uncacheable')
})

t.test('a release message is not lost, however soon it follows the take', async t => {
  const { process } = await setting(t, await startRedis())
  const [{ leases: a }, { leases: b }] = [await process('a'), await process('b')]
  const words: Record<string, number> = {}
  for (let round = 0; round < 300; round++) {
    const lease = await held(take(a))
    // Redis runs it before the release. The release message arrives on another connection than the reply.
    const asking = take(b)
    if (round % 3 > 0) await new Promise(setImmediate)
    lease.release('stored')
    const taken = await asking
    const word = taken.kind === 'heldElsewhere' ? await taken.ended() : taken.kind
    words[word] = (words[word] ?? 0) + 1
    if (taken.kind === 'acquired') taken.lease.release('stored')
    await eventually(async () => {
      const again = await take(a)
      if (again.kind === 'acquired') again.lease.release('stored')
      else if (again.kind === 'heldElsewhere') again.leave()
      return again.kind === 'acquired'
    })
  }
  t.same(Object.keys(words).filter(word => word !== 'stored' && word !== 'acquired'), [])
  t.ok((words['stored'] ?? 0) > 0, `${words['stored']} of 300 waited`)
})

t.test('it is renewed while its holder lives, and lapses when that one has died', async t => {
  const { raw, process } = await setting(t, await startRedis())
  const [{ leases: a, redis }, { leases: b }] = [await process('a', 300), await process('b', 300)]
  await held(take(a))
  let [last, renewals] = [await raw.pttl(name), 0]
  await eventually(async () => {
    const left = await raw.pttl(name)
    if (left > last) renewals++
    last = left
    return renewals >= 4
  })
  const waiting = await elsewhere(take(b))
  redis.close()
  t.equal(await waiting.ended(), 'expired')
  await eventually(async () => {
    const again = await take(b)
    if (again.kind === 'heldElsewhere') again.leave()
    return again.kind === 'acquired'
  })
})

t.test('a lease that was taken over is safe from its former holder, and its new holder notifies the former followers', async t => {
  const { process } = await setting(t, await startRedis())
  const [{ leases: a }, { leases: b }, { leases: c }] = [await process('a'), await process('b'), await process('c')]
  const first = await held(take(a))
  const waiting = await elsewhere(take(c))
  const over = waiting.ended()
  const second = await held(take(b, waiting.token))
  t.not((await elsewhere(take(c))).token, waiting.token, 'the token is a new one')
  first.release('failed')
  t.equal((await take(a, waiting.token)).kind, 'heldElsewhere', 'neither release nor token of the first has any effect')
  second.release('stored')
  t.equal(await over, 'stored')
})

t.test('two requests of one process that want it are both notified', async t => {
  const { process } = await setting(t, await startRedis())
  const [{ leases: a }, { leases: b }] = [await process('a'), await process('b')]
  const lease = await held(take(a))
  const waiting = [await elsewhere(take(b)), await elsewhere(take(b)), await elsewhere(take(a))]
  const told = waiting.map(one => one.ended())
  lease.release('stored')
  t.same(await Promise.all(told), ['stored', 'stored', 'stored'])
})

t.test('an uncacheable outcome is reported for a while to requests that it concerns, if any had waited', async t => {
  const { raw, process } = await setting(t, await startRedis())
  const [{ leases: a }, { leases: b }] = [await process('a'), await process('b')]
  const as = (leases: Leases, acceptsOutcome: Outcome): Promise<LeaseResult> => leases.take(key, 'stamp', acceptsOutcome)
  const alone = await held(take(a))
  alone.release('uncacheable')
  await eventually(async () => await raw.exists(name) === 0)

  const lease = await held(take(a))
  const waiting = (await elsewhere(take(b))).ended()
  lease.release('uncacheable-with-credentials')
  t.equal(await waiting, 'uncacheable-with-credentials')
  t.equal((await as(b, 'uncacheable-with-credentials')).kind, 'knownUncacheable')
  const without = await held(as(b, 'uncacheable'))
  t.equal((await as(a, 'uncacheable-with-credentials')).kind, 'knownUncacheable')
  t.equal((await as(a, 'uncacheable')).kind, 'heldElsewhere')
  without.release('stored')
})

t.test('it reports whether something is stored under the key', async t => {
  const { process } = await setting(t, await startRedis())
  const { leases, redis } = await process('a')
  const store = createRedisStore({ redis, prefix: 'test', clock: systemClock, logger: memoryLog(), maxEntryBytes: 1000, maxVariants: 4 })
  await eventually(() => redis.bodies.healthy === true)
  t.equal(await put(store, key, metadata({ keepUntilMs: systemClock.now() + longMs }), Buffer.from('x')), true)
  t.equal((await held(take(leases))).hasEntry, true)
  t.equal((await held(leases.take('another', 'stamp', 'uncacheable'))).hasEntry, false)
})

t.test('a value under its name that is no lease is replaced', async t => {
  const { raw, process } = await setting(t, await startRedis())
  const { leases } = await process('a')
  await raw.set(name, 'not a lease')
  t.equal((await take(leases)).kind, 'acquired')
})

t.test('a process that receives no messages does not wait; and followers are woken when Redis fails', async t => {
  const { server, raw, process } = await setting(t, await startRedis())
  const [{ leases: a }, { leases: b }] = [await process('a'), await process('b')]
  const lease = await held(take(a))

  let waiting = (await elsewhere(take(b))).ended()
  await raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  t.equal(await waiting, 'expired', 'its subscription is lost: it may have missed the message')
  // Until messages arrive again it takes no lease; then it waits, and is notified.
  let again: LeaseResult = { kind: 'unavailable' }
  await eventually(async () => (again = await take(b)).kind !== 'unavailable')
  t.equal(again.kind, 'heldElsewhere')
  waiting = (again as LeaseResult as HeldElsewhere).ended()
  lease.release('stored')
  t.equal(await waiting, 'stored')

  await held(take(a))
  waiting = (await elsewhere(take(b))).ended()
  await server.stop()
  t.equal(await waiting, 'expired')
  t.equal((await take(b)).kind, 'unavailable')
  await server.restart()
  await eventually(async () => {
    const taken = await take(b)
    return taken.kind === 'acquired'
  })
})

t.test('a Redis that hangs delays nothing: there is no lease, within the deadline of one command', async t => {
  const { server, process } = await setting(t, await startRedis())
  const [{ leases: a }, { leases: b, redis }] = [await process('a'), await process('b')]
  await held(take(a))
  const waiting = (await elsewhere(take(b))).ended()
  server.kill('SIGSTOP')
  const takings = await Promise.all(Array.from({ length: 5 }, () => b.take('another', 'stamp', 'uncacheable')))
  t.same(takings.map(({ kind }) => kind), Array.from({ length: 5 }, () => 'unavailable'))
  t.equal(redis.degraded, true)
  t.equal(await waiting, 'expired', 'and waiting calls are woken')
  server.kill('SIGCONT')
})

t.test('closed, it has no leases and keeps nobody', async t => {
  const { process } = await setting(t, await startRedis())
  const [{ leases: a }, { leases: b }] = [await process('a'), await process('b')]
  await held(take(a))
  const waiting = (await elsewhere(take(b))).ended()
  await b.close()
  t.equal(await waiting, 'expired')
  t.equal((await take(b)).kind, 'unavailable')
})

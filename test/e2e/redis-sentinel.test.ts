// Replicas over a real Redis that Sentinels watch: they find the master, and a change of master costs hits, not responses.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { Answer } from '../support/client.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startWatchedRedis } from '../support/redis-sentinel.ts'
import type { RedisServer } from '../support/redis.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { stampedOrigin, startLoad, versionOf, type LoadReport, type SteadyLoad } from '../support/steady-load.ts'

type Replica = TestProxy<Clock>

const host = 'api.example'
const paths = [...Array.from({ length: 20 }, (_, i) => `/k/${i}`), '/large/1', '/large/2']
const password = 'of the servers'
const sentinelPassword = 'of-those-who-watch'
// No request may wait for much longer than the deadlines of Redis. The bound is far longer, because machines may be busy.
const slowestMs = 5000

// For machines that are busy: it takes a fraction of it.
t.setTimeout(360_000)

const watched = await startWatchedRedis({ password, sentinelPassword })
t.teardown(() => watched.stop())
const origin = stampedOrigin()
const server = await startOrigin(origin.handler)
t.teardown(() => server.close())
const raws = watched.servers.map(({ host: address, port }) => new Redis(port, address, { password, retryStrategy: () => 50, commandTimeout: 2000 }))
for (const raw of raws) raw.on('error', () => {})
t.teardown(() => raws.forEach((raw) => raw.disconnect()))

async function startReplica(cache: object): Promise<Replica> {
  const sentinel = { master: watched.name, nodes: [...watched.sentinels], password: sentinelPassword }
  const replica = await startProxy(t, { origin: server, host, clock: systemClock, config: { redis: { sentinel, password }, cache } })
  await eventually(async () => (await json<{ purgeLog: { current: boolean } }>(replica.admin('/v1/stats'))).purgeLog.current)
  return replica
}

// Replica `a` has a memory tier; every hit of `b` comes from Redis.
const [a, b] = [await startReplica({}), await startReplica({ memory: { maxBytes: 0 } })]

async function json<T>(answer: Promise<Answer>): Promise<T> {
  return JSON.parse((await answer).body.toString()) as T
}

async function well(replica: Replica): Promise<boolean> {
  const { degraded } = await json<{ degraded: string[] }>(replica.admin('/readyz'))
  await replica.get('/well')
  return degraded.length === 0 && detail(await replica.get('/well')) === 'fresh'
}

async function master(): Promise<{ server: RedisServer; raw: Redis; other: { server: RedisServer; raw: Redis } }> {
  let number = -1
  await eventually(async () => {
    const port = await watched.masterPort()
    number = watched.servers.findIndex((each) => each.port === port)
    return number >= 0 && /^role:master/m.test(await (raws[number] as Redis).info('replication').catch(() => ''))
  })
  const pair = (i: number): { server: RedisServer; raw: Redis } => ({ server: watched.servers[i] as RedisServer, raw: raws[i] as Redis })
  return { ...pair(number), other: pair(1 - number) }
}

/** Waits until one server follows the other. The Sentinels see to that as well, but take their time. */
async function together(): Promise<void> {
  await eventually(async () => {
    const { server: { host: address, port }, other } = await master()
    const replication = await other.raw.info('replication').catch(() => '')
    if (/^role:master/m.test(replication)) await other.raw.replicaof(address, port)
    return /^master_link_status:up/m.test(replication)
  })
}

/** How often it has found that the log had lost its end. */
function lost({ log }: Replica): number {
  return log.filter(({ msg }) => msg.startsWith('the purge log was lost:')).length
}

/** Under load: `happens` must cost no response, and its effects must end by themselves. */
async function underLoad(test: Test, happens: (load: SteadyLoad) => Promise<void>): Promise<LoadReport> {
  await together()
  await eventually(async () => await well(a) && await well(b))
  const load = startLoad({ replicas: [a, b], origin, paths, host })
  await load.more(120)
  await happens(load)
  const overMs = systemClock.monotonic()
  await eventually(async () => await well(a) && await well(b))
  const recoveredMs = Math.round(systemClock.monotonic() - overMs)
  await load.more(120)
  const report = await load.stop()
  const { answered, hits, cut, purges, p99Ms, slowestMs: slowest } = report
  test.comment(
    `${answered} responses, ${hits} hits, ${cut} truncated, purges ${
      JSON.stringify(purges)
    }, p99 ${p99Ms} ms, slowest ${slowest} ms, well again ${recoveredMs} ms after there was a master`,
  )
  test.same(report.wrong.slice(0, 5), [])
  test.ok(slowest < slowestMs, `${slowest} ms was the longest that anybody waited`)
  return report
}

t.test('a response that one replica has stored another serves, and both acknowledge a purge', async (test) => {
  await eventually(async () => {
    for (const path of paths) await a.get(path)
    return (await Promise.all(paths.map((path) => b.get(path)))).every((hit) => detail(hit) === 'fresh')
  })
  const version = origin.advance()
  const receipt = await b.purge({ tags: ['x'] })
  test.equal(receipt.status, 200)
  test.match(JSON.parse(receipt.body.toString()), { replicas: { live: 2, acknowledged: 2 } })
  for (const path of paths) test.equal(versionOf((await a.get(path)).body), version)
})

t.test('the Sentinels hand over to the replica, under load', async (test) => {
  const { other, server: before } = await master()
  const { purges } = await underLoad(test, async (load) => {
    const [address = ''] = watched.sentinels
    const [at = '', port = ''] = address.split(':')
    const sentinel = new Redis(Number(port), at, { password: sentinelPassword, enableReadyCheck: false })
    await sentinel.call('SENTINEL', 'FAILOVER', watched.name)
    sentinel.disconnect()
    await eventually(async () => (await master()).server === other.server)
    await load.more(100)
  })
  test.not((await master()).server, before)
  test.ok((purges[200] ?? 0) > 0)
})

t.test('the master dies, under load', async (test) => {
  const { server: dead, other } = await master()
  await underLoad(test, async (load) => {
    dead.kill('SIGKILL')
    await eventually(async () => (await master()).server === other.server)
    await load.more(100)
  })
  await dead.restart()
})

t.test('an acknowledged purge that only the dead master knew stays in force', async (test) => {
  await together()
  await eventually(async () => await well(a) && await well(b))
  const { server: dead, raw, other } = await master()
  for (const path of paths) await a.get(path)
  const before = [a, b].map(lost)
  // The server is disconnected from its master and frozen, so that it neither receives nor requests new writes.
  other.server.kill('SIGSTOP')
  await raw.call('CLIENT', 'KILL', 'TYPE', 'replica')
  const version = origin.advance()
  const receipt = await b.purge({ tags: ['x'] })
  test.equal(receipt.status, 200)
  dead.kill('SIGKILL')
  other.server.kill('SIGCONT')
  const old: string[] = []
  await eventually(async () => {
    for (const path of paths) {
      for (const each of [a, b]) {
        const answer = await each.get(path)
        if (versionOf(answer.body) < version) old.push(`${path}: ${detail(answer)}`)
      }
    }
    return [a, b].every((each, i) => lost(each) > (before[i] as number))
  })
  test.same(old, [])
  await dead.restart()
  await eventually(async () => await well(a) && await well(b))
})

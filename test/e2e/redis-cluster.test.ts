// Replicas over a real Redis Cluster. Entries are spread over it, and a failover or a slot that moves costs hits, not
// responses.
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { Answer } from '../support/client.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startCluster, type ClusterNode, type RedisCluster } from '../support/redis-cluster.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { bodyOf, stampedOrigin, startLoad, versionOf, type LoadReport, type SteadyLoad } from '../support/steady-load.ts'

type Replica = TestProxy<Clock>

const host = 'api.example'
const logKey = 'sh:{log}'
const small = Array.from({ length: 40 }, (_, i) => `/k/${i}`)
const large = ['/large/1', '/large/2', '/large/3']
const paths = [...small, ...large]
// No request may wait for much longer than the deadlines of Redis. The bound is far longer, because machines may be busy.
const slowestMs = 5000
// Errors that a cluster sends to a correct client while slots move and masters come and go. Older servers send ERR to a client
// library that sends its name. An ERR from a script would be in our log.
const expectedErrors = new Set(['ERR', 'NOSCRIPT', 'MOVED', 'ASK', 'TRYAGAIN', 'CLUSTERDOWN', 'UNBLOCKED', 'LOADING', 'MASTERDOWN', 'NOREPLICAS'])

// For machines that are busy: it takes a fraction of it.
t.setTimeout(360_000)

const cluster = await startCluster()
t.teardown(() => cluster.stop())
const origin = stampedOrigin()
const server = await startOrigin(origin.handler)
t.teardown(() => server.close())

async function startReplica(cache: object): Promise<Replica> {
  const replica = await startProxy(t, { origin: server, host, clock: systemClock, config: { redis: { cluster: [...cluster.addresses] }, cache } })
  await eventually(() => follows(replica))
  return replica
}

// Replica `a` has a memory tier; every hit of `b` comes from Redis.
const [a, b] = [await startReplica({}), await startReplica({ memory: { maxBytes: 0 } })]

async function json<T>(answer: Promise<Answer>): Promise<T> {
  return JSON.parse((await answer).body.toString()) as T
}

async function follows(replica: Replica): Promise<boolean> {
  return (await json<{ purgeLog: { current: boolean } }>(replica.admin('/v1/stats'))).purgeLog.current
}

async function degraded(replica: Replica): Promise<readonly string[]> {
  return (await json<{ degraded: string[] }>(replica.admin('/readyz'))).degraded
}

async function caches(replica: Replica, path: string): Promise<boolean> {
  await replica.get(path)
  return detail(await replica.get(path)) === 'fresh'
}

/** Both replicas store and find entries on every master, purge, and report nothing amiss. */
async function well(): Promise<boolean> {
  for (const replica of [a, b]) {
    if ((await degraded(replica)).length > 0) return false
    for (const path of paths) {
      if (!await caches(replica, path)) return false
    }
  }
  return (await a.purge({ all: true })).status === 200 && (await b.purge({ all: true })).status === 200
}

async function storedOn({ raw }: ClusterNode): Promise<number> {
  return await raw.dbsize()
}

/** Returns unexpected kinds of errors of the nodes, and the refusals that the replicas have logged. */
async function refused({ nodes }: RedisCluster): Promise<string[]> {
  const kinds = new Set([...a.log, ...b.log].filter(({ msg }) => /refused|cannot be followed/.test(msg)).map((line) => JSON.stringify(line)))
  for (const { raw, server: { pid } } of nodes) {
    if (pid === undefined) continue
    for (const [, kind = ''] of (await raw.info('errorstats')).matchAll(/^errorstat_([^:]+):/gm)) {
      if (!expectedErrors.has(kind)) kinds.add(kind)
    }
  }
  return [...kinds]
}

/** Counts how often the replica found that the log was lost, or had lost its end. */
function lost({ log }: Replica): number {
  return log.filter(({ msg }) => msg.startsWith('the purge log was lost:')).length
}

/** Under load: `happens` must cost no response, and its effects must end by themselves once Redis has recovered. */
async function underLoad(test: Test, happens: (load: SteadyLoad) => Promise<void>): Promise<LoadReport> {
  await eventually(well)
  const load = startLoad({ replicas: [a, b], origin, paths, host })
  await load.more(120)
  await happens(load)
  await eventually(() => cluster.settled())
  const overMs = systemClock.monotonic()
  await eventually(async () => (await Promise.all([a, b].map(async (replica) => (await degraded(replica)).length === 0 && await caches(replica, '/after')))).every(Boolean))
  const recoveredMs = Math.round(systemClock.monotonic() - overMs)
  await load.more(120)
  const report = await load.stop()
  const { answered, hits, cut, purges, p99Ms, slowestMs: slowest } = report
  test.comment(
    `${answered} responses, ${hits} hits, ${cut} truncated, purges ${
      JSON.stringify(purges)
    }, p99 ${p99Ms} ms, slowest ${slowest} ms, well again ${recoveredMs} ms after the cluster`,
  )
  test.same(report.wrong.slice(0, 5), [])
  test.ok(slowest < slowestMs, `${slowest} ms was the longest that anybody waited`)
  test.ok(hits > 0)
  await eventually(well)
  return report
}

t.test('entries are spread over the masters, and each replica finds the entries of another', async (test) => {
  // More than once on a machine so busy that Redis is slower than it may be.
  await eventually(async () => {
    for (const path of paths) await a.get(path)
    const hits = await Promise.all(paths.map((path) => b.get(path)))
    test.ok(hits.every(({ body }, i) => body.equals(bodyOf(paths[i] as string, origin.version))))
    return hits.every((hit) => detail(hit) === 'fresh')
  })
  const masters = await cluster.masters()
  const counts = await Promise.all(masters.map(storedOn))
  test.comment(`keys on the masters: ${counts.join(', ')}`)
  test.equal(counts.length, 3)
  test.ok(counts.every((count) => count >= 4), 'each has its share')
  const listed = new Set<string>()
  let cursor: string | undefined
  do {
    const page: { entries: { url: string }[]; cursor?: string } = await json(b.admin(`/v1/entries?limit=7${cursor === undefined ? '' : `&cursor=${cursor}`}`))
    test.ok(page.entries.length <= 7)
    for (const { url } of page.entries) listed.add(new URL(url, `http://${host}`).pathname)
    ;({ cursor } = page)
  } while (cursor !== undefined)
  test.same([...listed].sort(), paths.toSorted(), 'the list has what lies on every master')
})

t.test('a purge is acknowledged by both, and everything that it names is invalidated, whatever master it lies on', async (test) => {
  for (const [purge, touched] of [[{ tags: ['x'] }, paths], [{ prefixes: ['/k/'] }, small], [{ all: true }, paths], [{ urls: [`http://${host}/large/1`] }, [
    '/large/1',
  ]]] as const) {
    for (const path of paths) await a.get(path)
    const version = origin.advance()
    const receipt = await b.purge(purge)
    test.equal(receipt.status, 200)
    test.match(JSON.parse(receipt.body.toString()), { replicas: { live: 2, acknowledged: 2 } })
    for (const replica of [b, a]) {
      const versions = await Promise.all(paths.map(async (path) => [path, versionOf((await replica.get(path)).body)] as const))
      test.same(versions.filter(([, seen]) => seen === version).map(([path]) => path), touched)
    }
  }
  test.same(await refused(cluster), [], 'nothing else was refused, and no command went across slots')
})

t.test('the masters hand over in the orderly way, under load', async (test) => {
  const before = await cluster.masters()
  const { purges } = await underLoad(test, async (load) => {
    for (const master of before) {
      await cluster.failOver(master)
      await load.more(100)
    }
  })
  test.equal((await cluster.masters()).some((master) => before.includes(master)), false)
  test.ok((purges[200] ?? 0) > 0)
})

for (const [which, victim] of [
  ['the master that has the purge log', () => cluster.ownerOf(logKey)],
  ['another master', async () => {
    const owner = await cluster.ownerOf(logKey)
    return (await cluster.masters()).find((master) => master !== owner) as ClusterNode
  }],
] as const) {
  t.test(`${which} dies, under load`, async (test) => {
    const master = await victim()
    const replica = await cluster.replicaOf(master)
    await underLoad(test, async (load) => {
      master.server.kill('SIGKILL')
      await eventually(async () => (await cluster.masters()).includes(replica))
      await load.more(100)
      await master.server.restart()
    })
  })
}

t.test('slots move with their entries under load, the slot of the purge log as well', async (test) => {
  const from = await cluster.ownerOf(logKey)
  const to = (await cluster.masters()).find((master) => master !== from) as ClusterNode
  const { purges } = await underLoad(test, async (load) => {
    for (const name of (await Promise.all((await from.raw.keys('sh:{?????*}')).slice(0, 8)))) await cluster.moveSlot(name, to, () => load.more(10))
    await cluster.moveSlot(logKey, to, () => load.more(20))
    await eventually(async () => await cluster.ownerOf(logKey) === to)
    await load.more(100)
    await cluster.moveSlot(logKey, from)
  })
  test.ok((purges[200] ?? 0) > 0)
  test.same(await refused(cluster), [])
})

t.test('a master that hangs, and comes back as a replica', async (test) => {
  const master = await cluster.ownerOf(logKey)
  const replica = await cluster.replicaOf(master)
  await underLoad(test, async (load) => {
    master.server.kill('SIGSTOP')
    await eventually(async () => String(await replica.raw.call('ROLE')).startsWith('master'))
    await load.more(100)
    master.server.kill('SIGCONT')
    await load.more(100)
  })
})

t.test('the whole cluster hangs: responses come all the same, no purge is said to be done, and the cluster is used again', async (test) => {
  await underLoad(test, async (load) => {
    for (const { server: { kill } } of cluster.nodes) kill('SIGSTOP')
    await eventually(async () => (await degraded(a)).includes('redis') && (await degraded(b)).includes('redis'))
    await load.more(200)
    const beganMs = systemClock.monotonic()
    test.equal((await a.purge({ all: true })).status, 503)
    test.comment(`a purge was refused in ${Math.round(systemClock.monotonic() - beganMs)} ms`)
    await load.more(500)
    for (const { server: { kill } } of cluster.nodes) kill('SIGCONT')
  })
})

t.test('the purge log is lost, under load: responses stored before it are lost too', async (test) => {
  const owner = await cluster.ownerOf(logKey)
  const { purges } = await underLoad(test, async (load) => {
    for (let i = 0; i < 5; i++) {
      await owner.raw.unlink(logKey)
      await load.more(100)
    }
  })
  test.same(Object.keys(purges).filter((status) => status !== '200' && status !== '202'), [])
})

t.test('an acknowledged purge outlives the master that took it, and costs nothing else', async (test) => {
  await eventually(well)
  const owner = await cluster.ownerOf(logKey)
  const replica = await cluster.replicaOf(owner)
  const before = [a, b].map(lost)
  const [purged = '', ...others] = paths
  await eventually(async () => (await Promise.all(paths.map(async (path) => await caches(a, path) && await caches(b, path)))).every(Boolean))
  const version = origin.advance()
  test.equal((await a.purge({ urls: [`http://${host}${purged}`] })).status, 200)
  owner.server.kill('SIGKILL')
  await eventually(async () => (await cluster.masters()).includes(replica) && await follows(a) && await follows(b) && await caches(a, purged) && await caches(b, purged))
  test.equal(versionOf((await a.get(purged)).body), version)
  test.equal(versionOf((await b.get(purged)).body), version)
  test.same([a, b].map(lost), before, 'the log goes on where it was')
  // At least the entries on the other masters are as they were.
  test.ok((await Promise.all(others.map((path) => b.get(path)))).filter((hit) => detail(hit) === 'fresh' && versionOf(hit.body) < version).length > others.length / 4)
  await owner.server.restart()
  await eventually(() => cluster.settled())
})

t.test('a purge of which only one server knows is not said to be done while another follows it', async (test) => {
  await eventually(well)
  const replica = await cluster.replicaOf(await cluster.ownerOf(logKey))
  replica.server.kill('SIGSTOP')
  const receipt = await a.purge({ all: true, waitMs: 400 })
  replica.server.kill('SIGCONT')
  test.equal(receipt.status, 202)
  test.match(JSON.parse(receipt.body.toString()), { replicas: { live: 2, acknowledged: 2 } })
  await eventually(async () => (await a.purge({ all: true })).status === 200)
})

t.test('an acknowledged purge that only the dead master knew stays in force', async (test) => {
  await eventually(well)
  const owner = await cluster.ownerOf(logKey)
  const replica = await cluster.replicaOf(owner)
  for (const path of paths) await a.get(path)
  const before = [a, b].map(lost)
  // The server is disconnected from its master and frozen, so that it neither receives nor requests new writes.
  replica.server.kill('SIGSTOP')
  await owner.raw.call('CLIENT', 'KILL', 'TYPE', 'replica')
  const version = origin.advance()
  const receipt = await b.purge({ tags: ['x'] })
  test.equal(receipt.status, 200)
  test.match(JSON.parse(receipt.body.toString()), { replicas: { live: 2, acknowledged: 2 } })
  owner.server.kill('SIGKILL')
  replica.server.kill('SIGCONT')
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
  await owner.server.restart()
  await eventually(well)
})

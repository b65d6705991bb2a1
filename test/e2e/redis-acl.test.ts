// Everything under exactly the Redis user of docs/redis.md, and the reports when that user may not run a command.
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { commands, costOf } from '../../src/store/redis/connect/commands.ts'
import { inlineBytes } from '../../src/store/redis/entries/chunked-body.ts'
import type { Answer } from '../support/client.ts'
import { detail, startProxy, type TestProxy, type LogLine } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startWatchedRedis } from '../support/redis-sentinel.ts'
import { refusals, sentinelUser, serverUser } from '../support/redis-user.ts'
import { startRedis } from '../support/redis.ts'
import { startOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'

t.setTimeout(600_000)

type Replica = TestProxy<Clock>

const { username, password } = serverUser
const patient = { commandTimeoutMs: 20_000 }

interface Setting {
  /** Settings under `redis`. */
  readonly redis: Readonly<Record<string, unknown>>
  /** A connection with all rights to each server. */
  readonly raws: readonly Redis[]
}

function rawTo(test: Test, port: number): Redis {
  const raw = new Redis(port, '127.0.0.1', { retryStrategy: () => 50 })
  raw.on('error', () => {})
  test.teardown(() => raw.disconnect())
  return raw
}

async function single(test: Test, args: readonly string[] = []): Promise<Setting> {
  const server = await startRedis({ args })
  test.teardown(() => server.stop())
  return { redis: { url: server.url, username, password }, raws: [rawTo(test, server.port)] }
}

async function cluster(test: Test): Promise<Setting> {
  const nodes = await startCluster()
  test.teardown(() => nodes.stop())
  return { redis: { cluster: [...nodes.addresses], username, password }, raws: nodes.nodes.map(({ raw }) => raw) }
}

async function sentinel(test: Test): Promise<Setting> {
  const watched = await startWatchedRedis()
  test.teardown(() => watched.stop())
  const watchers = watched.sentinels.map(address => rawTo(test, Number(address.split(':')[1])))
  for (const raw of watchers) await sentinelUser.make(raw)
  const own = { username: sentinelUser.username, password: sentinelUser.password }
  return {
    redis: { sentinel: { master: watched.name, nodes: [...watched.sentinels], ...own }, username, password },
    raws: [...watched.servers.map(({ port }) => rawTo(test, port)), ...watchers],
  }
}

// More chunks than are in flight at once.
const large = randomBytes(1_400_000)
/** A single chunk: enough for each command that a large body takes. */
const chunked = large.subarray(0, inlineBytes + 1)

/** An origin with everything that makes a cache use its store. */
async function startFullOrigin(test: Test): Promise<ScriptedOrigin & { hold?: Promise<void> }> {
  const origin: ScriptedOrigin & { hold?: Promise<void> } = await startOrigin(async (request, response) => {
    const url = request.url ?? ''
    await origin.hold
    if (request.method === 'POST') return response.writeHead(204).end()
    const body = url.startsWith('/chunked') ? chunked : large
    if (url.endsWith('/stale')) {
      const fields = { 'Cache-Control': 'max-age=0', ETag: '"1"' }
      return request.headers['if-none-match'] === undefined ? response.writeHead(200, fields).end(body) : response.writeHead(304, fields).end()
    }
    const fields = { 'Cache-Control': 'max-age=600', Vary: 'Accept-Language', 'Cache-Tag': 'every', ETag: `"${url}"` }
    return response.writeHead(200, fields).end(/^\/(?:large|chunked)/.test(url) ? body : `small ${request.headers['accept-language'] ?? ''}`)
  })
  test.teardown(() => origin.close())
  return origin
}

function json<T>(answer: Answer): T {
  return JSON.parse(answer.body.toString()) as T
}

async function degraded(replica: Replica): Promise<readonly string[]> {
  return json<{ degraded: string[] }>(await replica.admin('/readyz')).degraded
}

async function startReplica(test: Test, origin: ScriptedOrigin, redis: Readonly<Record<string, unknown>>, cache: object = {}): Promise<Replica> {
  const house = await startProxy(test, { origin, host: 'api.example', clock: systemClock, config: { redis: { ...patient, ...redis }, cache } })
  await eventually(async () => json<{ purgeLog: { current: boolean } }>(await house.admin('/v1/stats')).purgeLog.current)
  return house
}

for (const [how, setUp] of [['one server', single], ['a cluster', cluster], ['Sentinels', sentinel]] as const) {
  t.test(`over ${how}, the user of docs/redis.md may do all that is done, and no more is tried`, async (test) => {
    const { redis, raws } = await setUp(test)
    for (const raw of raws.slice(0, how === 'Sentinels' ? 2 : raws.length)) await serverUser.make(raw)
    const origin = await startFullOrigin(test)
    // Replica `a` has a memory tier; every hit of `b` comes from Redis.
    const [a, b] = [await startReplica(test, origin, redis), await startReplica(test, origin, redis, { memory: { maxBytes: 0 } })]
    await eventually(async () => {
      await a.get('/warm')
      return detail(await b.get('/warm')) === 'fresh' && detail(await a.get('/warm')) === 'fresh'
    })
    for (const path of ['/small', '/large', '/stale']) {
      const body = (await a.get(path)).body
      await eventually(async () => detail(await b.get(path)) === (path === '/stale' ? 'stale' : 'fresh'))
      test.ok((await b.get(path)).body.equals(body), path)
      test.ok((await a.get(path)).body.equals(body), path)
    }
    for (let i = 0; i < 40; i++) await a.get('/small', { 'Accept-Language': `l${i}` })
    // Replaced, by one that the other has in memory.
    await b.get('/large', { 'Cache-Control': 'no-cache' })
    await b.get('/small', { 'Cache-Control': 'no-cache' })
    await a.get('/small')
    // Two requests share one fetch once the messages about leases reach both replicas. Before that, each replica fetches.
    const waits = async (): Promise<number> => json<{ waits: number }>(await a.admin('/v1/stats')).waits + json<{ waits: number }>(await b.admin('/v1/stats')).waits
    const shareOneFetch = async (path: string): Promise<boolean> => {
      let answer = (): void => {}
      origin.hold = new Promise((resolve) => {
        answer = resolve
      })
      const [count, before] = [origin.requests.length, await waits()]
      const both = [a.get(path), b.get(path)]
      await eventually(async () => await waits() > before || origin.requests.length === count + 2)
      answer()
      for (const each of both) test.equal((await each).body.toString(), 'small ')
      return origin.requests.length === count + 1
    }
    let tries = 0
    await eventually(() => shareOneFetch(`/coalesced/${tries++}`))
    test.equal((await a.get('/small', {}, { method: 'POST' })).status, 204)
    test.not(detail(await b.get('/small')), 'fresh')
    test.ok(json<{ entries: unknown[] }>(await a.admin('/v1/entries?limit=100')).entries.length > 0)
    test.equal(json<{ replicas: unknown[] }>(await a.admin('/v1/replicas')).replicas.length, 2)
    for (const body of [{ tags: ['every'] }, { all: true }]) test.equal((await b.purge({ ...body, waitMs: 20_000 })).status, 200)
    test.not(detail(await a.get('/large')), 'fresh')
    for (const replica of [a, b]) {
      test.same(await degraded(replica), [])
      test.same(replica.log.filter(({ level }) => level > 30).map(({ msg }) => msg), [])
    }
    // Since Redis 7.2, the client library sends its name to Sentinels, whether or not it may. ACLs of 7.0 do not know that
    // command.
    for (const raw of raws) test.same((await refusals(raw)).filter((refusal) => !refusal.includes('client|setinfo')), [])
  })
}

/** A refused command is tried again each second: more rounds than a few in that time find nothing new. */
const roundPauseMs = 150

/** Makes a replica send every command that it ever sends to Redis, whether or not the command succeeds. */
async function everything(replica: Replica, i: number): Promise<void> {
  for (const path of [`/small/${i}`, `/chunked/${i % 3}`, '/chunked/stale']) {
    await replica.get(path)
    await replica.get(path)
  }
  await replica.purge({ tags: [`nothing ${i}`], waitMs: 100 })
  await replica.admin('/v1/entries')
}

/** Returns its distinct warnings. */
function warnings(replica: Replica): string[] {
  const lines = replica.log.filter(({ level }) => level >= 40) as (LogLine & { err?: { message: string } })[]
  return [...new Set(lines.map(({ msg, err }) => (err === undefined ? msg : `${msg} (${err.message})`)))].toSorted()
}

function linesOf(replica: Replica, command: string): string[] {
  return replica.log.filter(({ level, msg }) => level === 40 && msg.includes(`the Redis user may not run ${command}: `)).map(({ msg }) => msg)
}

// Guards: Permissions reports each command once, and notes it as an impairment; Script passes on the refusal of `publish`.
t.test('each command that is forbidden is reported once, in one line, stands in `degraded`, and is reported again only after it worked', async (test) => {
  const { redis, raws: [raw] } = await single(test)
  if (raw === undefined) throw new Error('no server')
  await serverUser.make(raw)
  // Without a Redis replica there is no wait for one.
  const follower = await startRedis({ args: ['--replicaof', '127.0.0.1', new URL(String(redis['url'])).port, '--repl-diskless-sync-delay', '0'] })
  test.teardown(() => follower.stop())
  await eventually(async () => /^connected_slaves:1/m.test(await raw.info('replication')))
  const origin = await startFullOrigin(test)
  const replica = await startReplica(test, origin, redis, { memory: { maxBytes: 0 } })
  let round = 0
  // The last ones are forbidden while connections last, and again after they worked.
  for (const [i, command] of [...commands, 'PUBLISH', 'XREAD', 'HVALS', 'HGETALL', 'GET'].entries()) {
    const before = linesOf(replica, command).length
    await raw.call('ACL', 'SETUSER', username, `-${command.toLowerCase()}`)
    // Some are only needed when a connection is made, or a script is not known.
    if (i < commands.length) {
      await raw.call('SCRIPT', 'FLUSH')
      await raw.call('CLIENT', 'KILL', 'USER', username)
    }
    await eventually(async () => {
      await everything(replica, round++)
      return linesOf(replica, command).length > before
    }, roundPauseMs)
    test.same(await degraded(replica), ['redis'], command)
    for (let more = 0; more < 3; more++) await everything(replica, round++)
    test.equal(linesOf(replica, command).length, before + 1, `${command} is told once`)
    test.match(linesOf(replica, command)[before], /: .{20,}/)
    await raw.call('ACL', 'SETUSER', username, `+${command.toLowerCase()}`)
    await eventually(async () => {
      await everything(replica, round++)
      return (await degraded(replica)).length === 0
    }, roundPauseMs)
  }
  // Each purge that could not be recorded is logged, and each connection that the test has closed.
  const others = warnings(replica).filter((msg) => !/^the Redis user may not run |^admin request not completed|^Redis is out of reach/.test(msg))
  test.same(others, [])
})

t.test('for every command that is sent its absence has a known cost, and the commands of scripts are tried', (test) => {
  const folder = fileURLToPath(new URL('../../../src/store/redis/', import.meta.url))
  const source = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts')).map(name => readFileSync(join(folder, name), 'utf8')).join('\n')
  const found = (pattern: RegExp): string[] => [...new Set([...source.matchAll(pattern)].map(([, name = '']) => name))].toSorted()
  const inScripts = found(/redis\.p?call\('([A-Z]+)'/g)
  const tried = found(/^try\('([A-Z]+)'/gm)
  const direct = found(/(?:\.call(?:Buffer)?\(|new Command\()'([A-Z]+)'/g)
  test.same(inScripts.filter(name => !tried.includes(name)), [])
  // XINFO is refused by the name of its subcommand.
  const isKnown = (name: string): boolean => commands.includes(name) || costOf(`${name}|STREAM`) !== costOf('none')
  test.same([...inScripts, ...direct].filter(name => !isKnown(name)), [])
  // These are never sent by that name.
  test.same(commands.filter(name => ![...tried, ...direct].includes(name)).toSorted(), ['PING', 'ROLE', 'SUBSCRIBE', 'WAIT'].filter(name => !direct.includes(name)))
  test.end()
})

for (const command of ['PUBLISH', 'SUBSCRIBE', 'XREAD', 'WAIT', 'INFO', 'PING', 'SCAN']) {
  t.test(`without ${command} responses are stored and found, and purges are confirmed`, async (test) => {
    const { redis, raws: [raw] } = await single(test)
    if (raw === undefined) throw new Error('no server')
    await serverUser.make(raw)
    await raw.call('ACL', 'SETUSER', username, `-${command.toLowerCase()}`)
    const origin = await startFullOrigin(test)
    const [a, b] = [await startReplica(test, origin, redis), await startReplica(test, origin, redis)]
    await eventually(async () => {
      await a.get('/small')
      return detail(await b.get('/small')) === 'fresh'
    })
    test.equal((await a.purge({ tags: ['every'], waitMs: 20_000 })).status, 200)
    test.not(detail(await b.get('/small')), 'fresh')
  })
}

t.test('commands that the server does not know are reported in the same way', async (test) => {
  const { redis, raws: [raw] } = await single(test, ['--rename-command', 'XREAD', '', '--rename-command', 'PUBLISH', 'SAY'])
  if (raw === undefined) throw new Error('no server')
  const origin = await startFullOrigin(test)
  const replica = await startReplica(test, origin, { url: redis['url'] })
  const told = (): string[] => replica.log.filter(({ level }) => level === 40).map(({ msg }) => msg.split(':')[0] as string).toSorted()
  await eventually(() => told().length >= 2)
  for (let i = 0; i < 3; i++) await everything(replica, i)
  test.same(told(), ['Redis does not know the command PUBLISH', 'Redis does not know the command XREAD'])
  test.same(await degraded(replica), ['redis'])
})

t.test('keys and channels out of reach are reported as such, and not command by command', async (test) => {
  const { redis, raws: [raw] } = await single(test)
  if (raw === undefined) throw new Error('no server')
  await raw.call('ACL', 'SETUSER', username, 'on', `>${password}`, '~other:*', 'resetchannels', '+@all')
  const origin = await startFullOrigin(test)
  const replica = await startProxy(test, { origin, host: 'api.example', clock: systemClock, config: { redis: { ...patient, ...redis } } })
  const told = (): string[] =>
    replica.log.filter(({ level, msg }) => level === 40 && msg !== 'admin request not completed').map(({ msg }) => msg.split(': ')[0] as string).toSorted()
  await eventually(() => told().length >= 2)
  for (let i = 0; i < 3; i++) await everything(replica, i)
  test.same(told(), ['the Redis user may not access keys that begin with sh:', 'the Redis user may not use channels that begin with sh:'])
  test.same(await degraded(replica), ['redis'])
})

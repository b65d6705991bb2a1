// The Redis store: the contract over a real server and over a cluster, and its behaviour when Redis fails.
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { RedisServers } from '../../src/store/redis/connect/client.ts'
import { connectRedis, type RedisConnections } from '../../src/store/redis/connect/connections.ts'
import { createRedisStore } from '../../src/store/redis/entries/store.ts'
import { chunkName, entryName, newChunk, sealChunk } from '../../src/store/redis/entries/value.ts'
import { BodyGone, type Store } from '../../src/store/store.ts'
import { eventually, memoryLog, type LogLine } from '../support/log.ts'
import { manualClock, type ManualClock } from '../support/manual-clock.ts'
import { metadata, t0 } from '../support/metadata.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { bodies, contractEntryBytes, contractVariants, put, readBody, storeContract, type Test } from './contract.ts'

const key = 'GET http://api.example.com/v1/things?page=1'
const name = entryName('test', key)

const checksumBytes = 4

/** Bytes followed by their checksum. */
function sealed(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(checksumBytes)
  sum.writeUInt32LE(crc32(bytes))
  return Buffer.concat([bytes, sum])
}

interface Setting {
  readonly server: RedisServer
  readonly redis: RedisConnections
  readonly store: Store
  readonly clock: ManualClock
  readonly lines: LogLine[]
  /** A separate connection, to inspect and damage the data in Redis. */
  readonly raw: Redis
}

function connections(servers: RedisServers, lines = memoryLog()): RedisConnections {
  return connectRedis({ ...servers, commandTimeoutMs: 200, clock: systemClock, logger: lines })
}

function storeOver(redis: RedisConnections, clock = manualClock(t0), prefix = 'test', log = memoryLog()): Store {
  return createRedisStore({ redis, prefix, clock, logger: log, maxEntryBytes: contractEntryBytes, maxVariants: contractVariants })
}

async function ready(redis: RedisConnections): Promise<void> {
  await eventually(() => redis.small.healthy === true && redis.bodies.healthy === true)
}

async function setting(test: Test): Promise<Setting> {
  const server = await startRedis()
  const log = memoryLog()
  const redis = connections({ url: server.url }, log)
  const raw = new Redis(server.url, { retryStrategy: () => 50 })
  raw.on('error', () => {})
  test.teardown(async () => {
    redis.close()
    raw.disconnect()
    await server.stop()
  })
  await ready(redis)
  const clock = manualClock(t0)
  return { server, redis, store: storeOver(redis, clock, 'test', log), clock, lines: log.lines, raw }
}

// A single server for the whole contract; each of its tests has a separate prefix.
let shared: Promise<RedisServer> | undefined
let cluster: Promise<RedisServer> | undefined
let prefixes = 0

storeContract('redis', async () => {
  const server = await (shared ??= startRedis())
  const redis = connections({ url: server.url })
  await ready(redis)
  const clock = manualClock(t0)
  return { store: storeOver(redis, clock, `contract [${prefixes++}]*`), clock, cleanup: () => redis.close() }
})

async function startCluster(): Promise<RedisServer> {
  const server = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] })
  const raw = new Redis(server.url)
  await raw.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await eventually(async () => String(await raw.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  raw.disconnect()
  return server
}

storeContract('redis cluster', async () => {
  const server = await (cluster ??= startCluster())
  const redis = connections({ cluster: [`${server.host}:${server.port}`] })
  await ready(redis)
  const clock = manualClock(t0)
  return { store: storeOver(redis, clock, `contract ${prefixes++}`), clock, cleanup: () => redis.close() }
})

t.teardown(async () => {
  await (await shared)?.stop()
  await (await cluster)?.stop()
})

void t.test('every key has a time to live, as long as the longest of its variants, and none holds a byte of a client', async (test) => {
  const { store, raw } = await setting(test as Test)
  await put(store, key, metadata({ keepUntilMs: t0 + 60_000, variant: 'long' }), randomBytes(600_000))
  await put(store, key, metadata({ keepUntilMs: t0 + 10_000, variant: 'short' }), randomBytes(100_000))
  const keys = (await raw.keys('*')).sort()
  test.equal(keys.length, 1 + 3 + 1)
  for (const each of keys) test.match(each, /^test:\{[\w-]{43}\}(?::b:[\w-]{22}:\d+)?$/)
  for (const each of keys) {
    const ttl = await raw.pttl(each)
    test.ok(ttl > 0 && ttl <= 60_001, `${ttl}`)
  }
  test.ok(await raw.pttl(name) > 50_000)
  test.equal(new Set(keys.map((each) => /\{(.*)\}/.exec(each)?.[1])).size, 1, 'one slot')
})

void t.test('a refresh that keeps an entry longer keeps its chunks longer too', async (test) => {
  const { store, raw } = await setting(test as Test)
  await put(store, key, metadata({ keepUntilMs: t0 + 10_000 }), randomBytes(600_000))
  const [found] = await store.lookup(key)
  test.equal(await store.refresh(key, found?.meta ?? metadata(), metadata({ keepUntilMs: t0 + 90_000 })), true)
  for (const each of await raw.keys('*')) test.ok(await raw.pttl(each) > 80_000, each)
})

void t.test('chunks of a body that is still on its way have a time to live, and go when the writer is aborted', async (test) => {
  const { store, raw } = await setting(test as Test)
  const writer = store.write(key, metadata({ keepUntilMs: t0 + 1e9 }))
  await writer.write(randomBytes(600_000))
  await eventually(async () => (await raw.keys('*')).length === 2)
  for (const each of await raw.keys('*')) test.ok(await raw.pttl(each) > 0 && await raw.pttl(each) <= 600_000)
  writer.abort()
  await eventually(async () => (await raw.keys('*')).length === 0)
  test.equal(await writer.commit(), false)
})

void t.test('a removed or replaced body stays for its readers for a moment only', async (test) => {
  const { store, raw } = await setting(test as Test)
  await put(store, key, metadata({ keepUntilMs: t0 + 1e9 }), randomBytes(600_000))
  await put(store, key, metadata({ keepUntilMs: t0 + 1e9, requestTimeMs: t0 }), Buffer.from('small'))
  const chunks = (await raw.keys('*')).filter((each) => each !== name)
  test.equal(chunks.length, 3)
  for (const each of chunks) test.ok(await raw.pttl(each) <= 60_000)
  await put(store, key, metadata({ requestTimeMs: t0 + 1 }), randomBytes(300_000))
  await store.remove(key)
  for (const each of await raw.keys('*')) test.ok(await raw.pttl(each) <= 60_000)
  test.equal(await raw.exists(name), 0)
})

void t.test('a commit whose chunks are not all there any more is not made', async (test) => {
  const { store, raw } = await setting(test as Test)
  const writer = store.write(key, metadata())
  await writer.write(randomBytes(600_000))
  await eventually(async () => (await raw.keys('*')).length === 2)
  await raw.del((await raw.keys('*'))[0] as string)
  test.equal(await writer.commit(), false)
  test.same(await store.lookup(key), [])
})

void t.test('a body that is lost between metadata and read is BodyGone, before the first chunk or later', async (test) => {
  const { store, raw } = await setting(test as Test)
  await put(store, key, metadata(), randomBytes(1_200_000))
  const [found] = await store.lookup(key)
  if (found === undefined) return test.fail('stored')
  const id = (await raw.keys('*')).find((each) => each !== name)?.split(':b:')[1]?.split(':')[0] ?? ''
  await raw.setrange(chunkName(name, id, 2), 1_000, 'xxxx')
  await test.rejects(readBody(found.body, 0, 1_200_000), { name: 'BodyGone' })
  const reader = found.body.read(0, 1_200_000)[Symbol.asyncIterator]()
  test.equal(((await reader.next()).value as Buffer).length, 262_144, 'existing entries come first')
  await reader.return?.()
  const second = chunkName(name, id, 1)
  const sound = await raw.getBuffer(second) as Buffer
  const spoiled: Record<string, Buffer> = {
    'a bit that has turned over': Buffer.from(sound.map((byte, i) => i === 200_000 ? byte ^ 1 : byte)),
    'other bytes, as many': Buffer.alloc(sound.length, 'x'),
    'another chunk of the same body': await raw.getBuffer(chunkName(name, id, 0)) as Buffer,
    'whole, and shorter': sealChunk(second, newChunk(262_144), 1_000),
    'nothing': Buffer.alloc(0),
  }
  for (const [how, value] of Object.entries(spoiled)) {
    await raw.set(second, value)
    await test.rejects(readBody(found.body, 262_144, 524_288), BodyGone, how)
    await test.rejects(readBody(found.body, 300_000, 300_010), BodyGone, `${how}, of which a part is wanted`)
  }
  await raw.set(second, sound)
  await raw.del(chunkName(name, id, 0))
  await test.rejects(readBody(found.body, 0, 10), BodyGone)
  const part = await readBody(found.body, 300_000, 300_010)
  test.equal(part.length, 10, 'a part that is there can be read')
})

void t.test('damage to a chunk is known before the first byte, and an entry that cannot be read whole is absent from then on', async (test) => {
  const { store, raw } = await setting(test as Test)
  const amiss: readonly (readonly [how: string, spoil: (chunk: string) => Promise<unknown>])[] = [
    ['damaged', (chunk) => raw.setrange(chunk, 1_000, 'xxxx')],
    ['gone', (chunk) => raw.del(chunk)],
    ['shorter', (chunk) => raw.set(chunk, 'short')],
    ['longer', (chunk) => raw.append(chunk, 'x')],
    ['of another kind', async (chunk) => [await raw.del(chunk), await raw.rpush(chunk, 'a')]],
  ]
  for (const [how, spoil] of amiss) {
    // Chunks of a body over 1 MiB are not read before the first byte is sent.
    for (const bytes of how === 'damaged' ? [900_000] : [900_000, 1_200_000]) {
      await put(store, key, metadata(), randomBytes(bytes))
      const [found] = await store.lookup(key)
      if (found === undefined) return test.fail('stored')
      for (const chunk of (await raw.keys('*')).filter((each) => each.endsWith(':2'))) await spoil(chunk)
      await test.rejects(found.body.read(0, bytes)[Symbol.asyncIterator]().next(), BodyGone, `${how}, of ${bytes} bytes`)
      test.same(await store.lookup(key), [], how)
    }
  }
})

void t.test('a value that is not a hash, foreign, damaged or of another version reads as absent, and a commit replaces it', async (test) => {
  const { store, raw } = await setting(test as Test)
  await put(store, key, metadata(), Buffer.from('body'))
  const whole = (await raw.hvalsBuffer(name))[0] as Buffer
  const rest = whole.length - checksumBytes - 4 - key.length - 6
  const turned = (at: number): Buffer => Buffer.from(whole.map((byte, i) => i === at ? byte ^ 1 : byte))
  const spoiled: Record<string, Buffer> = {
    'another version': Buffer.concat([Buffer.from([99]), whole.subarray(1)]),
    'another version of the metadata': Buffer.concat([whole.subarray(0, 1), Buffer.from([99]), whole.subarray(2)]),
    'cut short': whole.subarray(0, -1),
    'cut shorter': whole.subarray(0, 20),
    'longer': Buffer.concat([whole, Buffer.from('!')]),
    'empty': Buffer.alloc(0),
    'foreign': Buffer.from('{"json":true}'),
    'damaged': turned(60),
    'a damaged body': turned(whole.length - checksumBytes - 1),
    'a damaged key': turned(whole.length - checksumBytes - 4 - 1),
    'a damaged checksum': turned(whole.length - 1),
    'chunks without a body': Buffer.concat([whole.subarray(0, rest), sealed(Buffer.concat([Buffer.from([1]), whole.subarray(rest + 1, -checksumBytes)]))]),
  }
  for (const [how, value] of Object.entries(spoiled)) {
    await raw.del(name)
    await raw.hset(name, '-', value)
    test.same(await store.lookup(key), [], how)
    test.same((await store.list(undefined, 10)).entries, [], how)
    await store.refresh(key, metadata({ bodyBytes: 4 }), metadata())
    test.same(await store.lookup(key), [], `${how}, after a refresh`)
    test.equal(await put(store, key, metadata(), Buffer.from('body')), true, how)
    test.same(await bodies(store, key), ['body'], how)
  }
  await raw.del(name)
  for (const spoil of [() => raw.set(name, 'a string'), () => raw.rpush(name, 'a list'), () => raw.xadd(name, '*', 'a', 'stream')]) {
    await spoil()
    test.same(await store.lookup(key), [])
    await store.remove('other')
    test.same((await store.list(undefined, 10)).entries, [])
    test.equal(await put(store, key, metadata(), Buffer.from('body')), true)
    test.same(await bodies(store, key), ['body'])
    await raw.del(name)
  }
  await raw.hset(entryName('test', 'another key'), '-', whole)
  test.same(await store.lookup('another key'), [], 'a value that is of another key')
})

void t.test('a writer makes its source wait while chunks are in flight', async (test) => {
  const { store } = await setting(test as Test)
  const writer = store.write(key, metadata())
  let waits = 0
  for (let i = 0; i < 15; i++) {
    const room = writer.write(Buffer.alloc(262_144, i))
    if (room !== undefined) waits++
    await room
  }
  test.ok(waits > 0, `${waits} waits`)
  test.equal(await writer.commit(), true)
  const [found] = await store.lookup(key)
  test.equal(found?.meta.bodyBytes, 15 * 262_144)
})

void t.test('Redis does not listen: lookups return nothing, commits false; it is used as soon as it starts', async (test) => {
  const server = await startRedis()
  await server.stop()
  const log = memoryLog()
  const redis = connections({ url: server.url }, log)
  const store = storeOver(redis)
  test.teardown(async () => {
    redis.close()
    await server.stop()
  })
  test.same(await store.lookup(key), [])
  test.equal(await put(store, key, metadata(), Buffer.from('body')), false)
  test.equal(await put(store, key, metadata(), randomBytes(900_000)), false)
  test.equal(await store.refresh(key, metadata(), metadata()), false)
  await store.remove(key)
  test.same(await store.list(undefined, 10), { entries: [], cursor: undefined })
  await eventually(() => redis.degraded)
  test.same(store.stats().degraded, ['redis'])
  await server.restart()
  await eventually(async () => await put(store, key, metadata(), Buffer.from('body')))
  test.same(await bodies(store, key), ['body'])
  await eventually(() => !redis.degraded)
  test.same(store.stats().degraded, [])
  test.same(log.lines.map(({ level, message }) => `${level}: ${message}`), ['warn: Redis is out of reach: going on without it', 'info: Redis is back'])
})

void t.test('Redis is frozen: lookups return nothing within their deadline, and recover by themselves', async (test) => {
  const { server, store, redis, lines } = await setting(test as Test)
  await put(store, key, metadata(), randomBytes(600_000))
  const [found] = await store.lookup(key)
  server.kill('SIGSTOP')
  for (let i = 0; i < 8; i++) test.same(await store.lookup(key), [])
  test.equal(await put(store, key, metadata(), Buffer.from('other')), false)
  if (found !== undefined) await test.rejects(readBody(found.body, 0, 600_000), BodyGone)
  test.ok(redis.degraded)
  server.kill('SIGCONT')
  await eventually(async () => (await store.lookup(key)).length === 1)
  await eventually(() => !redis.degraded)
  test.same(lines.map(({ level }) => level), ['warn', 'info'])
})

void t.test('an idle connection notices by itself that Redis has recovered', async (test) => {
  const { server, redis, lines } = await setting(test as Test)
  await redis.bodies.call('PING', [])
  server.kill('SIGSTOP')
  await Promise.allSettled(Array.from({ length: 5 }, () => redis.bodies.call('PING', [], 20)))
  test.ok(redis.degraded)
  server.kill('SIGCONT')
  await eventually(() => !redis.degraded)
  test.same(lines.map(({ level }) => level), ['warn', 'info'])
})

void t.test('Redis that is killed in the middle of a body, and started again', async (test) => {
  const { server, store, redis } = await setting(test as Test)
  const writer = store.write(key, metadata())
  await writer.write(randomBytes(600_000))
  server.kill('SIGKILL')
  await eventually(() => redis.degraded)
  for (let i = 0; i < 5; i++) await writer.write(randomBytes(300_000))
  test.equal(await writer.commit(), false)
  test.same(await store.lookup(key), [])
  await server.restart()
  await eventually(async () => await put(store, key, metadata(), Buffer.from('again')))
  test.same(await bodies(store, key), ['again'])
})

void t.test('Redis is full: a commit is false, and this is logged once', async (test) => {
  const { store, raw, lines } = await setting(test as Test)
  await raw.config('SET', 'maxmemory', '1')
  test.equal(await put(store, key, metadata(), Buffer.from('body')), false)
  test.equal(await put(store, key, metadata(), Buffer.from('body')), false)
  test.equal(await put(store, key, metadata(), randomBytes(900_000)), false)
  test.same(await store.lookup(key), [])
  test.same(lines.map(({ message }) => message), ['Redis takes nothing new: going on with what it has', 'Redis refused an operation of the store'])
  test.match(lines[1]?.details, { operation: 'commit' })
  test.same(store.stats().degraded, ['redis'])
  await raw.config('SET', 'maxmemory', '0')
  await eventually(() => store.stats().degraded.length === 0)
  test.equal(await put(store, key, metadata(), Buffer.from('body')), true)
})

void t.test('scripts are sent again to a server that has forgotten them', async (test) => {
  const { store, raw } = await setting(test as Test)
  await put(store, key, metadata(), Buffer.from('one'))
  await raw.script('FLUSH')
  test.equal(await put(store, key, metadata({ requestTimeMs: t0 }), Buffer.from('two')), true)
  test.same(await bodies(store, key), ['two'])
})

void t.test('reports of uses are bounded, live no longer than their entry, and damage to them costs nothing', async (test) => {
  const { store, raw, clock } = await setting(test as Test)
  const variants = (from: number): Promise<unknown> =>
    Promise.all(Array.from({ length: 3 }, (_, i) => put(store, key, metadata({ variant: `v${from + i}`, responseTimeMs: clock.now(), keepUntilMs: t0 + 60_000 }))))
  const useAll = async (): Promise<void> => {
    for (const stored of await store.lookup(key)) stored.used?.(clock.now())
    await store.lookup(key)
    await store.lookup(key)
  }
  for (let i = 0; i < 30; i += 3) {
    await variants(i)
    await useAll()
    clock.advance(1)
  }
  test.ok(await raw.hlen(`${name}:used`) <= 2 * contractVariants)
  const [left, entryLeft] = [await raw.pttl(`${name}:used`), await raw.pttl(name)]
  test.ok(left > 0 && left <= entryLeft + 100, `${left}, ${entryLeft}`)
  for (const damage of [() => raw.set(`${name}:used`, 'text'), () => raw.del(`${name}:used`).then(() => raw.hset(`${name}:used`, 'a', 'nan', 'b', '1e308', 'c', 'x'))]) {
    await damage()
    await variants(100)
    await useAll()
    test.equal((await store.lookup(key)).length, contractVariants)
    clock.advance(20_000)
  }
})

void t.test('a use is reported at most once in a period', async (test) => {
  const { store, raw, clock } = await setting(test as Test)
  await put(store, key, metadata({ variant: 'v', keepUntilMs: t0 + 60_000 }))
  const report = async (): Promise<string | null> => {
    for (const stored of await store.lookup(key)) stored.used?.(clock.now())
    await store.lookup(key)
    await store.lookup(key)
    const [value = null] = await raw.hvals(`${name}:used`)
    return value
  }
  const first = await report()
  test.equal(first, String(t0))
  clock.advance(1)
  test.equal(await report(), first)
  clock.advance(10_000)
  test.equal(await report(), String(t0 + 10_001))
})

void t.test('a process reports at most 1,000 uses in a period', async (test) => {
  const { store, raw, clock } = await setting(test as Test)
  const keys = Array.from({ length: 1100 }, (_, i) => `key ${i}`)
  for (const each of keys) await put(store, each, metadata({ variant: 'v', keepUntilMs: t0 + 60_000 }))
  for (const each of keys) for (const stored of await store.lookup(each)) stored.used?.(clock.now())
  await store.lookup(key)
  test.equal((await raw.keys('test:*:used')).length, 1000)
})

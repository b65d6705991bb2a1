// How a client finds its server, and its messages about a server that is set up badly.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { connectRedis, type RedisConnections } from '../../src/store/redis/connect/connections.ts'
import type { RedisServers } from '../../src/store/redis/connect/client.ts'
import { unfitMemory } from '../../src/store/redis/connect/eviction-policy-check.ts'
import { eventually, memoryLog, type LogLine } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import type { Test } from './contract.ts'

function connections(test: Test, servers: RedisServers): { redis: RedisConnections; lines: readonly LogLine[] } {
  const log = memoryLog()
  const redis = connectRedis({ ...servers, commandTimeoutMs: 300, clock: systemClock, logger: log })
  test.teardown(() => redis.close())
  return { redis, lines: log.lines }
}

/** A name that leads first to one server and later to another, as a name in DNS or of a load balancer does. */
async function nameOf(test: Test, first: number): Promise<{ port: number; leadTo(port: number): void }> {
  let target = first
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      from.pipe(to)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, leadTo: (port) => {
    target = port
  } }
}

void t.test('a master that has become a replica is left for the server that its name leads to now', async (test) => {
  const [one, two] = [await startRedis(), await startRedis()]
  test.teardown(async () => {
    await one.stop()
    await two.stop()
  })
  const name = await nameOf(test as Test, one.port)
  const { redis } = connections(test as Test, { url: `redis://127.0.0.1:${name.port}` })
  await eventually(() => redis.small.healthy === true && redis.bodies.healthy === true)
  await redis.small.call('SET', ['k', 'old'])
  // The connection stays open, and can read: only writes show that something is wrong.
  const raw = new Redis(one.url)
  test.teardown(() => raw.disconnect())
  await raw.replicaof(two.host, two.port)
  name.leadTo(two.port)
  await eventually(async () => await redis.small.call('SET', ['k', 'new']).then(() => true, () => false))
  const second = new Redis(two.url)
  test.teardown(() => second.disconnect())
  test.equal(await second.get('k'), 'new')
  await eventually(() => !redis.degraded)
})

void t.test('user and password are taken from the URL, or from beside it', async (test) => {
  const server = await startRedis()
  test.teardown(() => server.stop())
  const raw = new Redis(server.url)
  await raw.call('ACL', 'SETUSER', 'house', 'on', '>a@b:c', '~*', '&*', '+@all')
  await raw.call('ACL', 'SETUSER', 'default', 'off')
  raw.disconnect()
  const { host, port } = server
  for (const servers of [
    { url: `redis://house:a%40b%3Ac@${host}:${port}` },
    { url: `redis://${host}:${port}`, username: 'house', password: 'a@b:c' },
    { url: `valkey://house@${host}:${port}`, password: 'a@b:c' },
  ]) {
    const { redis } = connections(test as Test, servers)
    await eventually(() => redis.small.healthy === true)
    test.equal(String(await redis.small.call('SET', ['k', 'v'])), 'OK')
  }
  const { redis } = connections(test as Test, { url: `redis://${host}:${port}`, username: 'house', password: 'another' })
  await eventually(() => redis.degraded)
  await test.rejects(redis.small.call('SET', ['k', 'v']))
})

void t.test('maxmemory-policies that are unfit when Redis is full', (test) => {
  const info = (limit: number, policy: string): string => `# Memory\r\nused_memory:1000\r\nmaxmemory:${limit}\r\nmaxmemory_human:1M\r\nmaxmemory_policy:${policy}\r\n`
  for (const policy of ['noeviction', 'allkeys-lru', 'allkeys-lfu', 'allkeys-random', 'volatile-ttl', 'volatile-random']) {
    test.match(unfitMemory(info(1_000_000, policy)), new RegExp(`^maxmemory-policy is ${policy}: .*choose volatile-lfu`))
    test.equal(unfitMemory(info(0, policy)), undefined, 'without a limit nothing is evicted or refused')
  }
  for (const policy of ['volatile-lfu', 'volatile-lru']) test.equal(unfitMemory(info(1_000_000, policy)), undefined)
  test.equal(unfitMemory(''), undefined, 'an unknown value is not guessed')
  test.end()
})

void t.test('an unfit maxmemory-policy is logged once at the start, and again when it changes', async (test) => {
  const server = await startRedis({ args: ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'] })
  const raw = new Redis(server.url, { retryStrategy: () => 20 })
  raw.on('error', () => {})
  test.teardown(async () => {
    raw.disconnect()
    await server.stop()
  })
  const { redis, lines } = connections(test as Test, { url: server.url })
  const told = (): string[] => lines.filter(({ level, message }) => level === 'warn' && message.startsWith('maxmemory')).map(({ message }) => message.split(':')[0] as string)
  await eventually(() => told().length > 0)
  const again = async (): Promise<void> => {
    const before = Number(/^total_connections_received:(\d+)/m.exec(await raw.info('stats'))?.[1])
    await raw.call('CLIENT', 'KILL', 'SKIPME', 'yes')
    await eventually(async () => Number(/^total_connections_received:(\d+)/m.exec(await raw.info('stats'))?.[1]) > before && redis.small.healthy === true)
    await redis.small.call('PING', [])
  }
  await again()
  test.same(told(), ['maxmemory-policy is allkeys-lru'])
  await raw.config('SET', 'maxmemory-policy', 'noeviction')
  await again()
  await eventually(() => told().length > 1)
  test.same(told(), ['maxmemory-policy is allkeys-lru', 'maxmemory-policy is noeviction'])
})

// The guard: `leaveWhenWrong` in contained.ts.
void t.test('a database is the one of the URL, after each reconnection, or there is no connection', async (test) => {
  const server = await startRedis()
  test.teardown(() => server.stop())
  const raw = new Redis(server.url)
  test.teardown(() => raw.disconnect())
  await raw.call('ACL', 'SETUSER', 'house', 'on', '>pw', '~*', '&*', '+@all')
  const { redis, lines } = connections(test as Test, { url: `redis://house:pw@${server.host}:${server.port}/3` })
  await eventually(() => redis.small.healthy === true && redis.bodies.healthy === true)
  await redis.small.call('SET', ['k', '1'])
  await raw.call('CLIENT', 'KILL', 'USER', 'house')
  await eventually(async () => await redis.small.call('SET', ['after', '1']).then(() => true, () => false))
  test.same(await raw.dbsize(), 0)
  await raw.call('ACL', 'SETUSER', 'house', '-select')
  await raw.call('CLIENT', 'KILL', 'USER', 'house')
  const told = (): string[] => lines.map(({ message }) => message).filter((message) => message.startsWith('Redis is not used:'))
  await eventually(() => told().length > 0)
  // Many connections are tried, and none carries a command.
  const before = Number(/^total_connections_received:(\d+)/m.exec(await raw.info('stats'))?.[1])
  await eventually(async () => {
    if (await redis.small.call('SET', ['wrong', '1']).then(() => true, () => false)) throw new Error('written to another database')
    return Number(/^total_connections_received:(\d+)/m.exec(await raw.info('stats'))?.[1]) > before + 10
  })
  test.ok(redis.degraded)
  test.same(told(), [
    'Redis is not used: it does not let the database in redis.url be selected (NOPERM: the ACL of this user lacks SELECT); no other database is used in its place',
  ])
  test.same(await raw.dbsize(), 0)
  await raw.call('ACL', 'SETUSER', 'house', '+select')
  await eventually(async () => await redis.small.call('SET', ['k', '2']).then(() => true, () => false))
  await raw.select(3)
  test.same((await raw.keys('*')).sort(), ['after', 'k'])
})

void t.test('a database that the server does not have is never replaced by number 0', async (test) => {
  const server = await startRedis()
  test.teardown(() => server.stop())
  const raw = new Redis(server.url)
  test.teardown(() => raw.disconnect())
  const { redis, lines } = connections(test as Test, { url: `${server.url}/99` })
  const dedicated = redis.dedicated()
  await eventually(() => redis.degraded)
  for (let i = 0; i < 20; i++) {
    await test.rejects(redis.small.call('SET', ['k', 'v']))
    await test.rejects(redis.bodies.call('SET', ['k', 'v']))
    await test.rejects(dedicated.set('k', 'v'))
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  test.equal(await raw.dbsize(), 0)
  test.match(lines.map(({ message }) => message), [/^Redis is not used: .*DB index is out of range/])
})

void t.test('a Unix socket is a server like any other, with its database', async (test) => {
  // Not test.testdir: the path of a socket has 107 bytes at the most.
  const directory = mkdtempSync(join(tmpdir(), 'sh-'))
  test.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const path = `${directory}/redis.sock`
  const server = await startRedis({ args: ['--unixsocket', path] })
  test.teardown(() => server.stop())
  const { redis } = connections(test as Test, { url: `unix://${path}?db=2` })
  await eventually(() => redis.small.healthy === true)
  await redis.small.call('SET', ['k', 'v'])
  const raw = new Redis(server.url, { db: 2 })
  test.teardown(() => raw.disconnect())
  test.equal(await raw.get('k'), 'v')
  const { redis: none, lines } = connections(test as Test, { url: `unix://${directory}/nowhere.sock` })
  await eventually(() => none.degraded)
  test.match(lines.map(({ message }) => message), ['Redis is not used: the socket cannot be opened (ENOENT); check the path in redis.url'])
})

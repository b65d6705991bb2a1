// Leases that no replica wrote: whatever value has the name of a lease, requests end, and Redis is left alone.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { open } from '../support/client.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'

interface Site {
  readonly house: TestProxy<Clock>
  readonly raw: Redis
  /** The position of the purge log: requests wait for a lease with this stamp. */
  readonly stamp: string
  /** The name of the lease of a URL. */
  leaseOf(path: string): Promise<string>
}

// Long: a replica that lags behind the purge log takes no lease.
const maxLagMs = 20_000

async function startReplicas(test: Test, leaseMs: number): Promise<Site> {
  const redis = await startRedis()
  const raw = new Redis(redis.url, { retryStrategy: () => 20 })
  raw.on('error', () => {})
  test.teardown(async () => {
    raw.disconnect()
    await redis.stop()
  })
  const house = await startProxy(test, {
    origin: (_request, response) => response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('body'),
    host: 'api.example',
    clock: systemClock,
    config: {
      redis: { url: redis.url, commandTimeoutMs: 20_000 },
      coherence: { leaseMs, maxLagMs },
      cache: { memory: { maxBytes: 0 } },
    },
  })
  const stats = async (): Promise<{ purgeLog: { current: boolean } }> => JSON.parse((await house.admin('/v1/stats')).body.toString()) as never
  await eventually(async () => (await stats()).purgeLog.current && Number(await raw.call('PUBSUB', 'NUMPAT')) === 0 && (await raw.pubsub('CHANNELS', '*lease*')).length > 0)
  const { replicas: [replica] } = JSON.parse((await house.admin('/v1/replicas')).body.toString()) as { replicas: [{ applied: string }] }
  return {
    house,
    raw,
    stamp: replica.applied,
    leaseOf: async (path) => {
      const entries = async (): Promise<string[]> => (await raw.keys('sh:{*}')).filter(name => name.length === 48)
      await raw.unlink('none', ...await entries())
      await house.get(path)
      await eventually(async () => (await entries()).length === 1)
      const [entry = ''] = await entries()
      await raw.unlink(entry, `${entry}:lease`)
      return `${entry}:lease`
    },
  }
}

/** Counts the attempts to take a lease: only the script that takes one runs HMGET. */
async function takes(raw: Redis): Promise<number> {
  return calls(raw, 'hmget')
}

async function calls(raw: Redis, command: string): Promise<number> {
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(await raw.info('commandstats'))?.[1] ?? 0)
}

const monthMs = 30 * 24 * 3600 * 1000

// Guard: takeScript sets a lease's time to live where there is no sensible one, and ignores a value that is no lease.
t.test('a request ends within a lease or two, whatever value has the name of the lease', async (test) => {
  const { house, raw, stamp, leaseOf } = await startReplicas(test, 300)
  const name = await leaseOf('/a')
  const put = (fields: Record<string, string>, ttlMs?: number) => async (): Promise<void> => {
    await raw.hset(name, fields)
    if (ttlMs !== undefined) await raw.pexpire(name, ttlMs)
  }
  const waiting = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`w:process ${i}`, '']))
  const damages: [string, () => Promise<unknown>][] = [
    ['no time to live', put({ token: 'foreign', stamp })],
    ['a stamp of no log, and no time to live', put({ token: 'foreign', stamp: 'zzzz' })],
    ['a stamp before all others, and no time to live', put({ token: 'foreign', stamp: '!' })],
    ['a time to live of 30 days', put({ token: 'foreign', stamp }, monthMs)],
    ['a time to live just over what a timer takes', put({ token: 'foreign', stamp }, 2 ** 31)],
    ['a time to live of centuries', put({ token: 'foreign', stamp }, 9e14)],
    ['a holder without a stamp', put({ token: 'foreign' })],
    ['a stamp without a holder', put({ stamp })],
    ['empty words', put({ token: '', stamp: '' })],
    ['a token of a megabyte', put({ token: 'x'.repeat(1_000_000), stamp })],
    ['a stamp of a megabyte', put({ token: 'foreign', stamp: 'x'.repeat(1_000_000) })],
    ['fields of no lease', put({ a: 'b' })],
    ['thousands that wait for nobody', put(waiting)],
    ['thousands that wait for a holder that does not exist', put({ ...waiting, token: 'foreign', stamp })],
    ['an outcome that was left behind for ever', put({ told: 'uncacheable' })],
    ['an outcome that was left behind for a month', put({ told: 'uncacheable' }, monthMs)],
    ['an unknown outcome', put({ told: 'nonsense' })],
    ['a string', () => raw.set(name, 'x')],
    ['a list', () => raw.rpush(name, 'x')],
    ['a stream', () => raw.xadd(name, '*', 'token', 'x')],
  ]
  for (const [what, damage] of damages) {
    await raw.unlink(name, name.slice(0, -':lease'.length))
    await damage()
    const before = await takes(raw)
    const answer = await house.get('/a')
    test.equal(answer.body.toString(), 'body', what)
    test.ok(await takes(raw) - before <= 4, `${what}: ${await takes(raw) - before} looks at the lease`)
    // Given back, or about to end by itself.
    await eventually(async () => await raw.exists(name) === 0)
  }
})

// Guard: acquireLease() stops when its client has left. Without it the attempts go on while another process holds the lease.
t.test('no command is sent to Redis for a client that has left', async (test) => {
  const { house, raw, stamp, leaseOf } = await startReplicas(test, 50)
  const name = await leaseOf('/a')
  await raw.hset(name, { token: 'foreign', stamp })
  // Never released: its time to live stays at a minute.
  const kept = new AbortController()
  const keep = (async () => {
    while (!kept.signal.aborted) await raw.pexpire(name, 60_000)
  })()
  const client = open(house.port, { path: '/a', headers: ['Host', 'api.example'] }, () => test.fail('no response is expected'))
  client.on('error', () => {})
  const before = await takes(raw)
  await eventually(async () => await takes(raw) > before + 3)
  client.destroy()
  const stats = async (): Promise<number> => {
    // Once a second: many times as long as a wait.
    const read = await calls(raw, 'xread')
    const taken = await takes(raw)
    await eventually(async () => await calls(raw, 'xread') > read + 2)
    return await takes(raw) - taken
  }
  // A command in flight when the client left may still arrive. After it there are none.
  await eventually(async () => await stats() === 0)
  kept.abort()
  await keep
})

// Guard: acquireLease() settles its lead when the client leaves; without it the others would wait for a fetch that never comes.
t.test('requests that waited in the same process for a client that has left go on without it', async (test) => {
  const { house, raw, stamp, leaseOf } = await startReplicas(test, 60_000)
  const name = await leaseOf('/a')
  await raw.hset(name, { token: 'foreign', stamp })
  const client = open(house.port, { path: '/a', headers: ['Host', 'api.example'] }, () => test.fail('no response is expected'))
  client.on('error', () => {})
  await eventually(async () => await raw.exists(name) === 1 && await raw.hlen(name) === 3)
  const waits = async (): Promise<number> => (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { waits: number }).waits
  const before = await waits()
  const other = house.get('/a')
  await eventually(async () => await waits() === before + 1)
  await raw.unlink(name)
  client.destroy()
  test.equal((await other).body.toString(), 'body')
})

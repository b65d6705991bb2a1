// Probes of the store and of the state that replicas share.
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { systemClock } from '../../../src/clock.ts'
import { detail } from '../../support/proxy.ts'
import { eventually } from '../../support/log.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'
import type { OriginHandler } from '../../support/scripted-origin.ts'
import { each, pair, raced, type Probe, type Settings, type Under } from './probe.ts'

const stored = (bytes: number): OriginHandler => (_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('x'.repeat(bytes))

const reasonOf = async (house: Under, path = '/'): Promise<string | undefined> => detail(await house.get(path))

/** Observes a second request for a body of so many bytes. */
const fits = (values: readonly [unknown, unknown], bytes: number, others: Settings = {}): Probe =>
  each({
    values,
    with: others,
    origin: stored(bytes),
    expected: ['fresh', 'uri-miss'],
    see: async (house) => {
      await house.get('/')
      return reasonOf(house)
    },
  })

async function redis(t: Test): Promise<{ server: RedisServer; client: Redis; settings: Settings }> {
  const server = await startRedis()
  const client = new Redis(server.url)
  t.teardown(async () => {
    client.disconnect()
    await server.stop()
  })
  return { server, client, settings: { 'redis.url': server.url, 'redis.commandTimeoutMs': '10s' } }
}

/** Observes an entry after so many purges of something else. */
const afterPurges = (values: readonly [unknown, unknown], tag: (i: number) => string): Probe =>
  each({
    values,
    origin: stored(10),
    expected: ['fresh', 'uri-miss'],
    see: async (house) => {
      await house.get('/')
      for (let i = 0; i < 110; i++) await house.purge({ tags: Array.from({ length: 2 }, (_, nth) => tag(2 * i + nth)) })
      return reasonOf(house)
    },
  })

/** The reason of a request after a purge of the tag `a`, for a response with `X-Tags: a`. */
const tagged = (values: readonly [unknown, unknown], others: Settings, expected: readonly [unknown, unknown] = ['uri-miss', 'fresh']): Probe =>
  each({
    values,
    with: others,
    expected,
    origin: (_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=60', 'X-Tags': 'a' }).end(),
    see: async (house) => {
      await house.get('/')
      await house.purge({ tags: ['a'] })
      return reasonOf(house)
    },
  })

export const storage: Readonly<Record<string, Probe>> = {
  'cache.memory.maxBytes': each({
    values: ['256MiB', '64KiB'],
    with: { 'cache.memory.maxEntryBytes': '32KiB' },
    origin: stored(8000),
    expected: ['fresh', 'uri-miss'],
    see: async (house) => {
      for (let i = 0; i < 30; i++) await house.get(`/${i}`)
      return reasonOf(house, '/0')
    },
  }),
  'cache.memory.maxEntryBytes': fits(['1MiB', '1KiB'], 4000),
  'cache.maxEntryBytes': fits(['1MiB', '1KiB'], 4000),
  'cache.maxVariants': each({
    values: [32, 1],
    origin: (_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=60', Vary: 'Accept-Language' }).end(),
    expected: ['fresh', 'vary-miss'],
    see: async (house) => {
      for (const language of ['de', 'fr']) await house.get('/', { 'Accept-Language': language })
      return detail(await house.get('/', { 'Accept-Language': 'de' }))
    },
  }),
  'cache.keepStale': each({
    values: ['1h', '1s'],
    origin: (_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=10', ETag: '"a"' }).end(),
    expected: ['"a"', undefined],
    see: async (house) => {
      await house.get('/')
      house.manual.advance(60_000)
      await house.get('/')
      return house.origin.requests[1]?.header('if-none-match')
    },
  }),
  'cache.tags.fields[].name': tagged(['x-tags', 'x-other'], { 'cache.tags.fields': [{ separator: 'comma' }] }),
  'cache.tags.fields[].separator': tagged(['both', 'structured'], { 'cache.tags.fields': [{ name: 'x-tags' }] }, ['uri-miss', 'bad-cache-groups']),
  'cache.tags.forward': each({
    values: [false, true],
    origin: (_request, response) => void response.writeHead(200, { 'Cache-Tag': 'a' }).end(),
    expected: [undefined, 'a'],
    see: async (house) => (await house.get('/')).header('cache-tag'),
  }),
  'cache.coalesce': pair({
    values: [true, false],
    origin: () => {},
    expected: [1, 2],
    see: async (first, second) => {
      for (const house of [first, second]) for (let i = 0; i < 2; i++) house.get('/').catch(() => {})
      await second.origin.nth(2)
      return [first.origin.requests.length, second.origin.requests.length]
    },
  }),
  'cache.coalesceWait': pair({
    values: ['1ms', '1m'],
    origin: () => {},
    expected: [2, 1],
    see: async (first, second) => {
      for (const house of [first, second]) for (let i = 0; i < 2; i++) house.get('/').catch(() => {})
      await first.origin.nth(2)
      return [first.origin.requests.length, second.origin.requests.length]
    },
  }),
  // Redis hangs: how long a replica still uses its last knowledge.
  'coherence.maxLagMs': async (t, path) => {
    const { server, settings } = await redis(t)
    let hangs: Promise<void> | undefined
    let ready = 0
    return raced({
      values: ['1m', '2s'],
      with: { ...settings, 'redis.commandTimeoutMs': '100ms' },
      ends: false,
      see: async (house) => {
        const current = async (): Promise<boolean> => (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean } }).purgeLog.current
        await eventually(current)
        ready++
        hangs ??= eventually(() => ready === 2).then(() => server.kill('SIGSTOP'))
        await hangs
        await eventually(async () => !await current())
        if (house.index === 1) server.kill('SIGCONT')
        return false
      },
    })(t, path)
  },
  'coherence.leaseMs': async (t, path) => {
    const { client, settings } = await redis(t)
    return each({
      values: ['2s', '1m'],
      with: settings,
      clock: systemClock,
      origin: () => {},
      expected: [true, false],
      see: async (house) => {
        const prefix = `leases-${house.index}`
        house.get(`/${prefix}`).catch(() => {})
        await house.origin.nth(1)
        const left = await Promise.all((await client.keys('*lease*')).map((key) => client.pttl(key)))
        await client.flushall()
        return Math.max(...left) <= 2000
      },
    })(t, path)
  },
  'coherence.maxLogRecords': afterPurges([1000, 100], (i) => `tag-${i}`),
  'coherence.maxLogBytes': afterPurges(['1MiB', '64KiB'], (i) => `tag-${i}-${'x'.repeat(800)}`),
  // A replica that never acknowledges: a frozen process stays registered for a while.
  'coherence.purgeWaitMs': async (t, path) => {
    const { client, settings } = await redis(t)
    return raced({
      values: ['1d', 0],
      with: { ...settings, 'coherence.maxLagMs': '1m' },
      ends: 202,
      see: async (house) => {
        let registered: string | undefined
        await eventually(async () => {
          registered = (await client.keys('*replicas*'))[0]
          return registered !== undefined
        })
        const now = Math.floor(Number((await client.time())[0]) * 1000)
        await client.hset(registered as string, 'a-frozen-replica', `0-0 ${now + 120_000} 120000 60000`)
        return (await house.purge({ all: true })).status
      },
    })(t, path)
  },
}

// Values in Redis that are whole by their checksums, and that no response could have left there: each is a miss, and goes.
import { Redis } from 'ioredis'
import { crc32 } from 'node:zlib'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { Metadata } from '../../src/policy/stored.ts'
import { encodeValue, entryName, fieldName } from '../../src/store/redis/entries/value.ts'
import { counting, overRedis, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { metadata } from '../support/metadata.ts'
import { startRedis } from '../support/redis.ts'
import { secureClients, type SecureClients } from '../support/secure-clients.ts'
import { tlsFiles } from '../support/tls-files.ts'

t.setTimeout(120_000)

const tls = tlsFiles(t)

interface Stage {
  readonly house: TestProxy<Clock>
  readonly clients: SecureClients
  readonly client: Redis
  /** Puts a value under the key of a target. */
  put(target: string, change: Partial<Metadata>, edit?: (value: Buffer) => Buffer): Promise<string>
}

async function stage(test: Test, memory: number): Promise<Stage> {
  const redis = await startRedis()
  test.teardown(() => redis.stop())
  const house = await startProxy<Clock>(test, {
    origin: counting({ 'Cache-Control': 'max-age=60' }),
    clock: systemClock,
    config: { ...overRedis(redis.url), cache: { memory: { maxBytes: memory } }, proxy: { host: '127.0.0.1', port: 0, tls } },
  })
  const explained = async (target: string): Promise<{ key: string }> =>
    JSON.parse((await house.admin(`/v1/explain?url=${encodeURIComponent(`https://127.0.0.1:${house.port}${target}`)}`)).body.toString()) as { key: string }
  const log = async (): Promise<{ current: boolean; applied: string }> =>
    (JSON.parse((await house.admin('/v1/stats')).body.toString()) as { purgeLog: { current: boolean; applied: string } }).purgeLog
  await eventually(async () => (await log()).current)
  const client = new Redis(redis.url)
  test.teardown(async () => client.disconnect())
  const clients = secureClients(house.port)
  test.teardown(async () => clients.close())
  // The names of the stored keys show the prefix.
  await clients.ask('h1', '/model')
  const names = await client.keys('*{*}')
  const prefix = names.map(name => /^(.*):\{[\w-]{43}\}$/.exec(name)?.[1]).find(found => found !== undefined) ?? ''
  const { applied: stamp } = await log()
  const body = Buffer.from('poison')
  return {
    house,
    clients,
    client,
    put: async (target, change, edit = value => value) => {
      const { key } = await explained(target)
      const now = Date.now()
      const meta = metadata({ requestTimeMs: now - 5, responseTimeMs: now, keepUntilMs: now + 60_000, authority: `127.0.0.1:${house.port}`, target, stamp, ...change })
      const name = entryName(prefix, key)
      await client.hset(name, fieldName(''), edit(encodeValue(key, meta, body.length, body)))
      return name
    },
  }
}

const poison: Readonly<Record<string, Partial<Metadata>>> = {
  'status 999': { status: 999 },
  'status 101': { status: 101 },
  'an age that is no number': { initialAgeMs: Number.NaN },
  'an endless lifetime': { lifetimeMs: Infinity },
  'two entity tags': { fields: ['etag', '"a"', 'etag', '"b"'], etag: undefined },
  'two content lengths': { fields: ['content-length', '5', 'content-length', '6'], etag: undefined },
  'a transfer coding': { fields: ['transfer-encoding', 'chunked'], etag: undefined },
  'another response in a value': { fields: ['x', 'a\r\n\r\nHTTP/1.1 200 OK'], etag: undefined },
  'a pseudo-field': { fields: [':status', '500'], etag: undefined },
  'a validator that is two lines': { fields: [], etag: '"a"\r\nx: y' },
  'a part of nothing': { status: 206 },
  'a time of the request that nothing overtakes': { requestTimeMs: 1e300 },
}

for (const [kind, memory] of [['redis', 0], ['tiered', 1_000_000]] as const) {
  // Without isPossible in decodeMetadata (store/codec.ts) the first of them is sent, and without dropScript the last stays.
  t.test(`${kind}: each is a miss for either protocol, and the response takes its place`, async test => {
    const { clients, house, put, client } = await stage(test, memory)
    await put('/sound', {})
    test.match(await clients.ask('h2', '/sound'), { status: 200, body: 'poison' }, 'an intact entry is a hit, so the others are read too')
    let number = 0
    for (const [said, change] of Object.entries(poison)) {
      for (const protocol of ['h1', 'h2'] as const) {
        const target = `/${number++}`
        const name = await put(target, change)
        test.match(await clients.ask(protocol, target), { status: 200, body: /^answer/, broken: undefined }, `${said} (${protocol})`)
        test.equal(await client.hlen(name), 1, said)
        test.match((await clients.ask(protocol, target)).lines.join('\n'), /springhouse; hit/, `${said} (${protocol}): stored anew`)
      }
    }
    test.equal(house.log.filter(({ level }) => level >= 50).length, 0)
  })

  t.test(`${kind}: a value that makes no sense is dropped when first read, and a value of another version stays`, async test => {
    const { clients, put, client } = await stage(test, memory)
    const resealed = (edit: (value: Buffer) => void) => (value: Buffer): Buffer => {
      edit(value)
      const end = 1 + value.readUInt32LE(5)
      value.writeUInt32LE(crc32(value.subarray(1, end - 4)), end - 4)
      value.writeUInt32LE(crc32(value.subarray(end, -4)), value.length - 4)
      return value
    }
    const look = { 'cache-control': 'only-if-cached' }
    for (const [target, left, edit] of [
      ['/flags', 0, (value: Buffer) => {
        value[2] = 0xff
      }],
      ['/status', 0, (value: Buffer) => {
        value.writeUInt16LE(999, 3)
      }],
      ['/kind', 0, (value: Buffer) => {
        value[1 + value.readUInt32LE(5)] = 7
      }],
      ['/encoding', 0, (value: Buffer) => {
        value[2 + value.readUInt32LE(5)] = 9
      }],
      ['/version', 1, (value: Buffer) => {
        value[0] = 9
      }],
      ['/metadata-version', 1, (value: Buffer) => {
        value[1] = 9
      }],
    ] as const) {
      const name = await put(target, {}, resealed(edit))
      test.match(await clients.ask('h2', target, 'GET', look), { status: 504 }, target)
      test.equal(await client.hlen(name), left, target)
    }
    const name = await put('/damaged', {}, value => Buffer.concat([value.subarray(0, 60), Buffer.from('x'), value.subarray(61)]))
    test.match(await clients.ask('h1', '/damaged', 'GET', look), { status: 504 })
    test.equal(await client.hlen(name), 0)
  })
}

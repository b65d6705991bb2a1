// Probes of what the process knows of its traffic.
import { Redis } from 'ioredis'
import { systemClock } from '../../../src/clock.ts'
import { eventually } from '../../support/log.ts'
import { startRedis } from '../../support/redis.ts'
import { token } from '../../support/proxy.ts'
import { each, type Probe, type Under } from './probe.ts'

async function read<T>(house: Under, path: string): Promise<T> {
  return JSON.parse((await house.admin(path)).body.toString()) as T
}

async function getMany(house: Under, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await house.get(`/${i}`)
}

export const observe: Readonly<Record<string, Probe>> = {
  'observe.enabled': each({
    values: [true, false],
    expected: ['object', null],
    see: async (house) => {
      const { bytes } = await read<{ bytes: unknown }>(house, '/v1/stats')
      return bytes === null ? null : typeof bytes
    },
  }),
  'observe.history': each({
    values: ['5m', '10m'],
    expected: [30, 40],
    see: async (house) => {
      for (let step = 0; step < 39; step++) {
        await read(house, '/v1/history')
        house.manual.advance(10_000)
      }
      const { series } = await read<{ series: { hit: (number | null)[] } }>(house, '/v1/history?window=1h')
      return series.hit.filter((value) => value !== null).length
    },
  }),
  'observe.sampleOneIn': each({
    values: [2, 3],
    expected: [2, 3],
    see: async (house) => {
      for (let round = 0; round < 10; round++) {
        await getMany(house, 60)
        const { sampledOneIn } = await read<{ sampledOneIn: number }>(house, '/v1/top')
        if (sampledOneIn > 1) return sampledOneIn
      }
      return 'all'
    },
  }),
  'observe.topKeys': each({
    values: [16, 20],
    expected: [16, 20],
    see: async (house) => {
      await getMany(house, 30)
      return (await read<{ items: unknown[] }>(house, '/v1/top?limit=256')).items.length
    },
  }),
  'observe.tailPerSecond': each({
    values: [1, 2],
    expected: [1, 2],
    see: async (house) => {
      const stream = await fetch(`${house.app.adminUrl}/v1/tail`, { headers: { authorization: `Bearer ${token}` } })
      await getMany(house, 4)
      house.manual.advance(1_000)
      await house.get('/last')
      let text = ''
      const decoder = new TextDecoder()
      for await (const chunk of stream.body as ReadableStream<Uint8Array>) {
        text += decoder.decode(chunk)
        if (text.includes('"target":"/last"')) break
      }
      return text.split('event: request').length - 2
    },
  }),
  'observe.reportMs': async (t, path) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const client = new Redis(redis.url)
    t.teardown(() => client.disconnect())
    const probe = each({
      values: ['2s', '20s'],
      expected: [true, false],
      clock: systemClock,
      // They must not know each other.
      with: (index) => ({ redis: { url: redis.url, keyPrefix: `p${index}` } }),
      see: async (house) => {
        let keys: string[] = []
        await eventually(async () => (keys = await client.keys(`p${house.index}:{fleet}:report:*`)).length > 0)
        return await client.pttl(keys[0] as string) <= 6_000
      },
    })
    return probe(t, path)
  },
}

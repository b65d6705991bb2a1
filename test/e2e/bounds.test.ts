// Bounds hold over Redis too: the size of an entry while it arrives, and the number of variants of a key.
import { Redis } from 'ioredis'
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { open } from '../support/client.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'
import { eventually } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'
import type { OriginHandler } from '../support/scripted-origin.ts'
import { well } from '../support/site.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const mib = 1_048_576

async function overRedis(t: Test, origin: OriginHandler, config: Record<string, unknown>): Promise<{ house: TestProxy<Clock>; raw: Redis }> {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const raw = new Redis(server.url)
  t.teardown(() => raw.disconnect())
  const house = await startProxy(t, { origin, redis: server.url, clock: systemClock, config })
  await eventually(() => well(house, '/well'))
  return { house, raw }
}

t.test('a body that turns out to be beyond maxEntryBytes: its client gets every byte, and nothing of it stays anywhere', async t => {
  const [pieces, piece] = [64, Buffer.alloc(mib)]
  const live: number[] = []
  const { house, raw } = await overRedis(t, async (request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=600' }) // no Content-Length: the length is unknown before the end
    if (request.url === '/well') return response.end('well')
    for (let i = 0; i < pieces; i++) {
      const body = Buffer.from(piece.fill(i))
      if (!response.write(body))
        await new Promise(resolve => {
          response.once('drain', resolve)
        })
      if (i < pieces / 2 || i % 4 !== 3) continue
      collect()
      live.push(process.memoryUsage().arrayBuffers)
    }
    return response.end()
  }, { cache: { maxEntryBytes: 2 * mib } })
  await raw.config('RESETSTAT')
  const before = Number(/used_memory:(\d+)/.exec(await raw.info('memory'))?.[1])
  collect()
  const liveBefore = process.memoryUsage().arrayBuffers
  const sums = Array.from({ length: pieces }, () => 0)
  await new Promise<void>((resolve, reject) => {
    let at = 0
    open(house.port, { path: '/large' }, response => {
      response.on('data', (chunk: Buffer) => {
        for (let i = 0; i < chunk.length; i += 4096) if (chunk[i] !== Math.floor((at + i) / mib)) reject(new Error(`a wrong byte at ${at + i}`))
        for (let from = at; from < at + chunk.length;) {
          const number = Math.floor(from / mib)
          const to = Math.min(at + chunk.length, (number + 1) * mib)
          sums[number] = (sums[number] ?? 0) + to - from
          from = to
        }
        at += chunk.length
      })
      response.on('end', () => response.complete ? resolve() : reject(new Error('cut')))
      response.on('error', reject)
    }).on('error', reject)
  })
  t.same(sums, Array.from({ length: pieces }, () => mib), 'every byte, in order')
  const peak = Number(/used_memory_peak:(\d+)/.exec(await raw.info('memory'))?.[1])
  // The collector frees buffers in its own time. Memory that is retained from the first half on is in every sample.
  const held = Math.min(...live) - liveBefore
  t.comment(`Redis held at most ${((peak - before) / mib).toFixed(1)} MiB of it, this process ${(held / mib).toFixed(1)} MiB, origin and client in it`)
  // The bound, the bytes in flight beside it, and Redis's own memory for the connections.
  t.ok(peak - before < 8 * mib, `${peak - before}`)
  t.ok(held < 16 * mib, `${held}`)
  await eventually(async () => (await raw.keys('*:b:*')).length === 0)
  t.pass('its chunks are freed')
  t.equal((await house.get('/large', { 'Cache-Control': 'only-if-cached' })).status, 504, 'and nothing is stored')
})

t.test('a body that just fits is stored, whole', async t => {
  const { house } = await overRedis(t, (_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=600' })
    response.write(Buffer.alloc(mib, 'a'))
    response.end(Buffer.alloc(mib, 'b'))
  }, { cache: { maxEntryBytes: 2 * mib } })
  await house.get('/fits')
  const hit = await house.get('/fits')
  t.equal(detail(hit), 'fresh')
  t.ok(hit.body.equals(Buffer.concat([Buffer.alloc(mib, 'a'), Buffer.alloc(mib, 'b')])))
})

t.test('the variants of a key are bounded, and so are their chunks', async t => {
  const { house, raw } = await overRedis(t, (request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=600', Vary: 'X-Way' })
    response.end(request.url === '/well' ? 'well' : String(request.headers['x-way']).repeat(100_000))
  }, { cache: { maxVariants: 3 } })
  for (let i = 0; i < 20; i++) t.equal((await house.get('/a', { 'X-Way': `${i % 10}` })).body.toString(), `${i % 10}`.repeat(100_000))
  const lengths = await Promise.all((await raw.keys('sh:{???????????????????????????????????????????}')).map(key => raw.hlen(key)))
  t.equal(Math.max(...lengths), 3)
  for (const way of ['7', '8', '9']) t.equal(detail(await house.get('/a', { 'X-Way': way })), 'fresh', 'the last ones are there')
  // Bodies of dropped variants stay for clients that are reading them, for at most a minute.
  const ttls = await Promise.all((await raw.keys('*:b:*')).map(key => raw.pttl(key)))
  t.ok(ttls.filter(ttl => ttl > 60_000).length <= 3, `${ttls}`)
})

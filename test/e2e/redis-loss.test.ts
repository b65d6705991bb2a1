// Redis that works and has lost or spoilt its data. A value that is incomplete, or may not have survived every purge, is not
// served.
import t from 'tap'
import { bodyOf } from '../support/site.ts'
import { pass } from '../support/tcp-proxy.ts'
import { ends, paths, purges, recovered, settled, startUnderLoad, withoutMemory } from '../support/trouble.ts'

// Trouble takes its time, and a machine that others use as well takes more.
t.setTimeout(360_000)

t.test('Redis flushed again and again under load: no purge that was acknowledged is undone', async t => {
  const { raw, site } = await startUnderLoad(t)
  const load = site.load(paths)
  for (let round = 0; round < 6; round++) {
    await load.more(30)
    await raw.flushall()
    for (const status of await purges(t, site, 2)) t.ok([200, 202, 503].includes(status), `${status}`)
  }
  await recovered(t, site)
  settled(t, load, 'all the while')
  await ends(t, load, 60)
})

for (const policy of ['volatile-lru', 'allkeys-lru', 'volatile-ttl']) {
  t.test(`Redis that evicts by ${policy}`, async t => {
    const { raw, site } = await startUnderLoad(t)
    const load = site.load([...paths, ...Array.from({ length: 300 }, (_, i) => `/many/${i}`), ...Array.from({ length: 9 }, (_, i) => `/large/${i + 3}`)])
    await load.more(200)
    await raw.config('SET', 'maxmemory-policy', policy)
    const used = Number(/used_memory:(\d+)/.exec(await raw.info('memory'))?.[1])
    await raw.config('SET', 'maxmemory', String(Math.floor(used * 0.75)))
    for (let round = 0; round < 6; round++) {
      await load.more(60)
      for (const status of await purges(t, site, 1)) t.ok([200, 202, 503].includes(status), `${status}`)
    }
    const evicted = Number(/evicted_keys:(\d+)/.exec(await raw.info('stats'))?.[1])
    t.comment(`${evicted} keys were evicted`)
    t.ok(evicted > 0, 'it has evicted')
    settled(t, load, 'all the while')
    await raw.config('SET', 'maxmemory', '0')
    await recovered(t, site)
    await ends(t, load, 60)
  })
}

t.test('connections that are reset in the middle of a reply: the received beginning is not taken for the whole', async t => {
  const { line, site } = await startUnderLoad(t, { config: withoutMemory })
  const load = site.load(paths)
  await load.more(60)
  let cuts = 0
  line.replies = (bytes) => {
    // A part of a chunk, or of a look-up's reply.
    if (bytes.length < 60 || cuts >= 40 || Math.random() < 0.8) return undefined
    cuts++
    return Math.floor(bytes.length / 2)
  }
  for (const enough = (): boolean => cuts >= 40; !enough();) await load.more(20)
  for (const status of await purges(t, site, 2)) t.ok([200, 202, 503].includes(status), `${status}`)
  line.replies = pass
  await recovered(t, site)
  settled(t, load, 'all the while')
  await ends(t, load, 60)
})

t.test('values of other types, truncated or of garbage under every one of our names', async t => {
  const { raw, site } = await startUnderLoad(t, { config: withoutMemory })
  const load = site.load(paths)
  const spoils: readonly ((key: string, type: string) => Promise<unknown>)[] = [
    key => raw.set(key, 'a string where there was none'),
    async (key) => {
      await raw.del(key)
      await raw.rpush(key, 'a', 'list')
    },
    async (key) => {
      await raw.del(key)
      await raw.hset(key, '-', 'garbage', 'other', Buffer.from([1, 1, 0, 0, 255, 255, 255, 255]))
    },
    async (key, type) => {
      if (type === 'string') return raw.set(key, (await raw.getBuffer(key))?.subarray(1) ?? '')
      if (type === 'hash') { for (const [field, value] of Object.entries(await raw.hgetallBuffer(key))) await raw.hset(key, field, value.subarray(0, -1)) }
      return undefined
    },
    async (key) => {
      await raw.del(key)
      await raw.xadd(key, '*', 'log', 'x', 'purge', '{')
    },
  ]
  for (let round = 0; round < spoils.length; round++) {
    await load.more(30)
    const spoil = spoils[round % spoils.length] as (typeof spoils)[number]
    // A replica may write a value of another type in its place meanwhile. That, too, is part of the test.
    await Promise.all((await raw.keys('*')).map(async key => spoil(key, await raw.type(key)).catch(() => {})))
    for (const status of await purges(t, site, 1)) t.ok([200, 202, 503].includes(status), `${status}`)
  }
  await recovered(t, site)
  settled(t, load, 'all the while')
  await ends(t, load, 60)
  t.ok(bodyOf('/large/1', 1).length > 524_288, 'among them bodies in several chunks')
})

// The cost of 100,000 entries of 1 KB with ten response fields in the memory tier. Run with --expose-gc.
import { systemClock } from '../src/clock.ts'
import type { Metadata } from '../src/policy/stored.ts'
import { createMemoryStore } from '../src/store/memory/store.ts'

const entries = 100_000
const collect = (globalThis as { gc?: () => void }).gc ?? ((): void => {})

function meta(i: number): Metadata {
  const now = systemClock.now()
  return {
    status: 200,
    fields: [
      'date',
      'Tue, 14 Nov 2023 22:13:20 GMT',
      'content-type',
      'application/json; charset=utf-8',
      'content-length',
      '1024',
      'cache-control',
      'public, max-age=300',
      'etag',
      `W/"400-${(i * 2_654_435_761 % 2 ** 32).toString(36)}abcdefghijklmnop"`,
      'last-modified',
      'Tue, 14 Nov 2023 20:13:20 GMT',
      'vary',
      'Accept-Encoding',
      'x-request-id',
      `3f2504e0-4f89-11d3-9a0c-${String(i).padStart(12, '0')}`,
      'server',
      'nginx',
      'x-content-type-options',
      'nosniff',
    ],
    requestTimeMs: now - 12.5,
    responseTimeMs: now + 0.25,
    initialAgeMs: 12.75,
    lifetimeMs: 300_000,
    lifetimeSource: 'explicit',
    hadAuthorization: false,
    hadCookie: false,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    alwaysValidate: false,
    neverStale: false,
    cacheOnlyFields: [],
    etag: `W/"400-${(i * 2_654_435_761 % 2 ** 32).toString(36)}abcdefghijklmnop"`,
    lastModified: 'Tue, 14 Nov 2023 20:13:20 GMT',
    vary: [['accept-encoding', 'gzip']],
    variant: 'accept-encoding=gzip',
    authority: 'api.example.com',
    publicHosts: [],
    target: `/v1/things/${i}?fields=all`,
    tags: ['things', `thing-${i}`],
    stamp: '0000000000000000',
    keepUntilMs: now + 3_600_000,
    bodyBytes: 1024,
    part: undefined,
  }
}

function key(i: number): string {
  return `GET http://api.example.com/v1/things/${i}?fields=all`
}

async function rss(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, heapTotal, arrayBuffers } = process.memoryUsage()
  console.log(`  (heap ${(heapUsed / 1_048_576).toFixed(0)} of ${(heapTotal / 1_048_576).toFixed(0)} MiB, buffers ${(arrayBuffers / 1_048_576).toFixed(0)} MiB)`)
  return process.memoryUsage.rss() / 1_048_576
}

const before = await rss()
const store = createMemoryStore({ maxBytes: 1_073_741_824, maxEntryBytes: 1_048_576, maxVariants: 8, clock: systemClock })
const received = Buffer.alloc(65_536, 'x')
const began = performance.now()
for (let i = 0; i < entries; i++) {
  const writer = store.write(key(i), meta(i))
  void writer.write(received.subarray(0, 1024))
  void writer.commit()
}
const filled = performance.now() - began
const after = await rss()
const counted = (store.stats().bytes ?? 0) / 1_048_576
console.log(
  `${store.stats().entries} entries: ${before.toFixed(0)} -> ${after.toFixed(0)} MiB RSS, ${((after - before) * 1_048_576 / entries).toFixed(0)} bytes an entry; counted as ${
    counted.toFixed(0)
  } MiB; ${(filled * 1000 / entries).toFixed(1)} us a write`,
)

// The hot path: a look-up whose view is there; and one that has to decode.
const rounds = 2_000_000
let found = 0
for (const [name, spread] of [['among 1,000 hot keys', 1000], ['among all keys', entries]] as const) {
  const keys = Array.from({ length: spread }, (_, i) => key(i))
  for (const each of keys) found += store.lookup(each).length
  const start = performance.now()
  const count = spread === 1000 ? rounds : rounds / 10
  for (let i = 0; i < count; i++) found += store.lookup(keys[(i * 7919) % spread] as string).length
  console.log(`look-ups ${name}: ${((performance.now() - start) * 1e6 / count).toFixed(0)} ns each`)
}
console.log(`after all were looked up: ${(await rss()).toFixed(0)} MiB RSS (${found} found, ${store.stats().entries} there)`)

// Steady state: as many again, under a bound that makes each commit evict.
const churned = createMemoryStore({ maxBytes: 67_108_864, maxEntryBytes: 1_048_576, maxVariants: 8, clock: systemClock })
let worst = 0
const churnBegan = performance.now()
for (let i = 0; i < entries * 2; i++) {
  const start = performance.now()
  const writer = churned.write(key(i), meta(i))
  void writer.write(received.subarray(0, 400 + (i * 13) % 1200))
  void writer.commit()
  if (i % 3 === 0) churned.lookup(key(i - 1000))
  worst = Math.max(worst, performance.now() - start)
}
console.log(
  `with eviction: ${((performance.now() - churnBegan) * 1000 / entries / 2).toFixed(1)} us a write, the slowest ${worst.toFixed(1)} ms; ${churned.stats().entries} entries in ${
    ((churned.stats().bytes ?? 0) / 1_048_576).toFixed(1)
  } of 64 MiB`,
)

// A flood of URLs that are requested once, with some hot ones among them: the bound holds, and the hot ones stay.
const distinct = 10_000_000
const hot = 1_000
const bounded = createMemoryStore({ maxBytes: 67_108_864, maxEntryBytes: 1_048_576, maxVariants: 8, clock: systemClock })
const beforeFlood = await rss()
let mostCounted = 0
let mostResident = 0
const put = (i: number): void => {
  const writer = bounded.write(key(i), meta(i))
  void writer.write(received.subarray(0, 300))
  void writer.commit()
}
let kept = 0
let asked = 0
const floodBegan = performance.now()
for (let i = 0; i < distinct; i++) {
  put(hot + i)
  if (i % 4 === 0) {
    const each = (i * 7919) % hot
    asked++
    if (bounded.lookup(key(each)).length > 0) kept++
    else put(each)
  }
  if (i % 10_000 === 0) {
    mostCounted = Math.max(mostCounted, bounded.stats().bytes ?? 0)
    mostResident = Math.max(mostResident, process.memoryUsage.rss())
  }
}
console.log(
  `${distinct.toLocaleString('en')} distinct URLs: at most ${(mostCounted / 1_048_576).toFixed(1)} of 64 MiB counted, at most ${
    (mostResident / 1_048_576 - beforeFlood).toFixed(0)
  } MiB RSS more; ${((performance.now() - floodBegan) * 1000 / distinct).toFixed(1)} us each; ${(100 * kept / asked).toFixed(1)}% of lookups of ${hot} hot ones found`,
)

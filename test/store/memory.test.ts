// The memory store: the contract, and its bound.
import * as fc from 'fast-check'
import t from 'tap'
import { createMemoryStore, type MemoryStore } from '../../src/store/memory/store.ts'
import { manualClock } from '../support/manual-clock.ts'
import { metadata, t0 } from '../support/metadata.ts'
import { bodies, contractEntryBytes, contractVariants, put, readBody, storeContract } from './contract.ts'

storeContract('memory', async () => {
  const clock = manualClock(t0)
  const store = createMemoryStore({ maxBytes: 64 * 1_048_576, maxEntryBytes: contractEntryBytes, maxVariants: contractVariants, clock })
  return { store, clock, cleanup: () => store.close() }
})

function small(maxBytes: number): MemoryStore {
  return createMemoryStore({ maxBytes, maxEntryBytes: maxBytes, maxVariants: 3, clock: manualClock(t0) })
}

void t.test('returns a lookup synchronously, with the same array until something changes', async (test) => {
  const store = small(1_048_576)
  await put(store, 'k', metadata(), Buffer.from('body'))
  const found = store.lookup('k')
  test.equal(found, store.lookup('k'))
  test.ok(Object.isFrozen(found))
  test.equal(found[0]?.body.bytes?.toString(), 'body')
  await put(store, 'k', metadata({ variant: 'v' }))
  test.equal(store.lookup('k').length, 2)
})

void t.test('memory is bounded in bytes, bodies and metadata both counted', async (test) => {
  const store = small(4_194_304)
  for (let i = 0; i < 5000; i++) await put(store, `key ${i}`, metadata({ fields: ['x', 'y'.repeat(500)] }), Buffer.alloc(500))
  const { bytes = Infinity, entries = 0, evictions } = store.stats()
  test.ok(bytes <= 4_194_304, `${bytes}`)
  test.ok(entries > 1800 && entries < 4194, `${entries} entries of 1 KB`)
  test.equal(evictions + entries, 5000)
})

void t.test('entries that are used often survive a flood of entries that are used once', async (test) => {
  const store = small(1_048_576)
  for (let i = 0; i < 200; i++) await put(store, `hot ${i}`, metadata(), Buffer.alloc(500))
  for (let i = 0; i < 20_000; i++) {
    await put(store, `once ${i}`, metadata(), Buffer.alloc(500))
    store.lookup(`hot ${i % 200}`)
  }
  let left = 0
  for (let i = 0; i < 200; i++) left += store.lookup(`hot ${i}`).length
  test.equal(left, 200)
})

void t.test('a key that returns soon after its eviction is kept longer than a new one', async (test) => {
  const store = small(262_144)
  for (let i = 0; i < 2000; i++) await put(store, `once ${i}`, metadata(), Buffer.alloc(500))
  await put(store, 'evicted', metadata(), Buffer.alloc(500))
  for (let i = 0; store.lookup('evicted').length > 0 && i < 2000; i++) {
    store.remove('evicted')
    await put(store, 'evicted', metadata(), Buffer.alloc(500))
    for (let j = 0; j < 300; j++) await put(store, `flood ${i} ${j}`, metadata(), Buffer.alloc(500))
  }
  test.equal(store.lookup('evicted').length, 0)
  await put(store, 'evicted', metadata(), Buffer.alloc(500))
  for (let j = 0; j < 100; j++) await put(store, `again ${j}`, metadata(), Buffer.alloc(500))
  test.equal(store.lookup('evicted').length, 1)
})

void t.test('an entry that is larger than the whole store is not taken, and pushes nothing out', async (test) => {
  const store = small(1_048_576)
  await put(store, 'k', metadata(), Buffer.from('here'))
  test.equal(await put(store, 'large', metadata(), Buffer.alloc(1_000_000)), false)
  test.same(await bodies(store, 'k'), ['here'])
})

void t.test('bodies on their way in are counted, and given back when their writers are aborted', async (test) => {
  const store = small(1_048_576)
  const before = store.stats().bytes ?? 0
  const writers = Array.from({ length: 4 }, (_, i) => store.write(`k${i}`, metadata()))
  for (const writer of writers) await writer.write(Buffer.alloc(150_000))
  const during = store.stats().bytes ?? 0
  test.ok(during >= 300_000 && during <= 1_048_576, `${during}`)
  const taken = await Promise.all(writers.map((writer) => writer.commit()))
  test.ok(taken.includes(false), 'not all of them found room')
  for (const writer of writers) writer.abort()
  for (let i = 0; i < 4; i++) store.remove(`k${i}`)
  test.ok((store.stats().bytes ?? 0) - before < 4 * 8192)
})

void t.test('a small chunk of a large receive buffer does not keep that buffer alive', async (test) => {
  const store = small(1_048_576)
  const received = Buffer.alloc(65_536, 'x')
  const writer = store.write('k', metadata())
  for (let i = 0; i < 40; i++) await writer.write(received.subarray(i * 1000, i * 1000 + 1000))
  await writer.commit()
  const [found] = store.lookup('k')
  test.equal(found?.body.bytes?.length, 40_000)
  test.equal(found?.body.bytes?.buffer.byteLength, 40_000)
})

void t.test('expired entries free their room as others are stored, without a lookup', async (test) => {
  const clock = manualClock(t0)
  const store = createMemoryStore({ maxBytes: 16_777_216, maxEntryBytes: 1_000_000, maxVariants: 3, clock })
  for (let i = 0; i < 1000; i++) await put(store, `k${i}`, metadata({ keepUntilMs: t0 + 1000 }))
  clock.advance(2000)
  for (let i = 0; i < 400; i++) await put(store, `later ${i}`, metadata())
  test.ok((store.stats().entries ?? 0) < 800, `${store.stats().entries}`)
})

void t.test('views that were handed out stay what they were while the store packs its memory anew', async (test) => {
  const store = small(1_048_576)
  const held: { body: Buffer; fill: number }[] = []
  for (let i = 0; i < 6000; i++) {
    const fill = i % 251
    await put(store, `k${i % 700}`, metadata({ requestTimeMs: t0 + i }), Buffer.alloc(100 + (i * 37) % 900, fill))
    const body = store.lookup(`k${i % 700}`)[0]?.body.bytes
    if (body !== undefined && i % 50 === 0) held.push({ body, fill })
    if (i % 3 === 0) store.remove(`k${(i * 7) % 700}`)
  }
  test.ok(held.length > 50)
  test.ok(held.every(({ body, fill }) => body.every((byte) => byte === fill)))
})

interface Step {
  readonly what: 'put' | 'remove' | 'removeVariant' | 'lookup' | 'refresh' | 'wait' | 'abort'
  readonly key: number
  readonly variant: number
  readonly size: number
}

void t.test('for any operations the bound holds, and lookups return what was stored', async (test) => {
  const step: fc.Arbitrary<Step> = fc.record({
    what: fc.constantFrom('put', 'put', 'put', 'remove', 'removeVariant', 'lookup', 'refresh', 'wait', 'abort'),
    key: fc.nat(30),
    variant: fc.nat(4),
    size: fc.oneof(fc.nat(2000), fc.nat(60_000)),
  })
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 150 }), async (steps) => {
    const clock = manualClock(t0)
    const maxBytes = 262_144
    const store = createMemoryStore({ maxBytes, maxEntryBytes: 50_000, maxVariants: 3, clock })
    // key, variant -> the last stored body: eviction may lose it, nothing may change it.
    const model = new Map<string, { fill: number; size: number; etag: string; keepUntilMs: number }>()
    for (const [serial, { what, key, variant, size }] of steps.entries()) {
      const at = `key ${key}`
      const name = `${at} ${variant}`
      if (what === 'wait') clock.advance(size)
      else if (what === 'lookup') store.lookup(at)
      else if (what === 'abort') {
        const writer = store.write(at, metadata())
        await writer.write(Buffer.alloc(size))
        writer.abort()
      } else if (what === 'remove') {
        store.remove(at)
        for (let i = 0; i <= 4; i++) model.delete(`${at} ${i}`)
      } else if (what === 'removeVariant') {
        store.remove(at, `${variant}`)
        model.delete(name)
      } else if (what === 'refresh') {
        const was = store.lookup(at).find(({ meta }) => meta.variant === `${variant}`)?.meta
        const known = model.get(name)
        const keepUntilMs = clock.now() + 30_000
        if (was !== undefined && known !== undefined && store.refresh(at, was, { ...was, etag: `"r${serial}"`, keepUntilMs, responseTimeMs: clock.now() })) {
          model.set(name, { ...known, etag: `"r${serial}"`, keepUntilMs })
        }
      } else {
        const keepUntilMs = clock.now() + 1000 + size
        const meta = metadata({ variant: `${variant}`, etag: `"${serial}"`, keepUntilMs, requestTimeMs: clock.now(), responseTimeMs: clock.now() })
        if (await put(store, at, meta, Buffer.alloc(size, serial))) model.set(name, { fill: serial, size, etag: `"${serial}"`, keepUntilMs })
      }
      await check(store, model, clock.now(), maxBytes)
    }
  }), { numRuns: 30 })
  test.pass()
})

async function check(store: MemoryStore, model: ReadonlyMap<string, { fill: number; size: number; etag: string; keepUntilMs: number }>, now: number,
  maxBytes: number): Promise<void> {
  const { bytes = Infinity, entries } = store.stats()
  if (bytes > maxBytes || bytes < 0) throw new Error(`${bytes} bytes of ${maxBytes}`)
  const listed = (await store.list(undefined, 1000)).entries
  if (entries === undefined || listed.length > entries) throw new Error('counts')
  for (const { key, meta } of listed) {
    const known = model.get(`${key} ${meta.variant}`)
    if (known === undefined || known.etag !== meta.etag || known.size !== meta.bodyBytes || known.keepUntilMs < now) throw new Error(`wrong: ${key} ${meta.variant}`)
    const found = store.lookup(key).find((each) => each.meta.variant === meta.variant)
    if (found === undefined) throw new Error('listed, but not found')
    const body = await readBody(found.body, 0, meta.bodyBytes)
    if (body.length !== known.size || !body.every((byte) => byte === known.fill % 256)) throw new Error('another body')
    if (store.lookup(key).length > 3) throw new Error('too many variants')
  }
}

void t.test('it reports the entries that it cannot keep, and keeps all others', async (test) => {
  for (const maxBytes of [65_536, 1_048_576, 8_388_608]) {
    for (const maxEntryBytes of [maxBytes, maxBytes / 8]) {
      const store = createMemoryStore({ maxBytes, maxEntryBytes, maxVariants: 3, clock: manualClock(t0) })
      for (const length of [0, 1_000, 6_000, 30_000, 60_000, 120_000, 500_000, 1_000_000, 3_000_000, 5_000_000]) {
        for (const head of [10, 20_000, 64_000]) {
          const meta = metadata({ fields: ['x', 'y'.repeat(head)] })
          const refused = store.refuses('key', meta, length)
          const writer = store.write('key', meta)
          for (let left = length; left > 0; left -= 16_384) void writer.write(Buffer.alloc(Math.min(left, 16_384)))
          const { gaveUp } = writer
          const taken = await writer.commit()
          const what = `${length} bytes under a head of ${head} in ${maxBytes}, each up to ${maxEntryBytes}`
          test.equal(refused, taken ? undefined : 'too-large', what)
          if (gaveUp !== undefined) test.equal(refused, gaveUp, what)
          if (refused === undefined) test.equal(store.refuses('key', meta, -1), undefined, what)
        }
      }
    }
  }
})

void t.test('a body that has no room beside others is refused for now, and not for its length', async (test) => {
  const store = small(8_388_608)
  const others = Array.from({ length: 3 }, (_, i) => store.write(`other ${i}`, metadata()))
  for (const other of others) void other.write(Buffer.alloc(1_200_000))
  const writer = store.write('key', metadata())
  void writer.write(Buffer.alloc(1_200_000))
  test.equal(writer.gaveUp, 'store-refused')
  test.equal(store.refuses('key', metadata(), 1_200_000), undefined)
  for (const other of others) other.abort()
})

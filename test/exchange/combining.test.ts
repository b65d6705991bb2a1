// Parts put together byte by byte: in any order, the stored bytes are the origin's.
import fc from 'fast-check'
import t from 'tap'
import { CombiningWriter } from '../../src/exchange/fill/combining-writer.ts'
import { combinedPart, isAll } from '../../src/policy/combine.ts'
import { lengthMatchesRanges, partBytes, selectRanges } from '../../src/policy/part.ts'
import type { Metadata } from '../../src/policy/stored.ts'
import { createMemoryStore, type MemoryStore } from '../../src/store/memory/store.ts'
import { BodyGone, type Body, type Stored } from '../../src/store/store.ts'
import { request } from '../policy/scene.ts'
import { put, readBody } from '../store/contract.ts'
import { manualClock } from '../support/manual-clock.ts'
import { metadata, t0 } from '../support/metadata.ts'

const key = 'a'

function emptyStore(): MemoryStore {
  return createMemoryStore({ maxBytes: 16_000_000, maxEntryBytes: 1_000_000, maxVariants: 4, clock: manualClock() })
}

function partMeta(start: number, end: number, complete: number | undefined): Metadata {
  return metadata({ status: 206, variant: ' part', part: { ranges: [{ start, end }], complete, requestedRange: `bytes=${start}-${end - 1}` }, bodyBytes: end - start })
}

/** Does the work of a fill with a range that arrives: it joins the range with the stored ones, or puts it in their place. */
async function arrive(store: MemoryStore, fresh: Metadata, bytes: Buffer, cutAt: readonly number[]): Promise<boolean> {
  const old = store.lookup(key).find(({ meta }) => meta.part !== undefined)
  const together = old === undefined ? undefined : combinedPart(old.meta, fresh, 1_000_000)
  const [arriving] = fresh.part?.ranges ?? []
  if (old?.meta.part === undefined || together === undefined || arriving === undefined) return put(store, key, fresh, bytes)
  const inner = store.write(key, together === 'whole' ? metadata() : { ...fresh, part: together })
  const writer = new CombiningWriter(inner, { part: old.meta.part, body: old.body, bodyBytes: old.meta.bodyBytes }, arriving)
  const cuts = [0, ...cutAt.filter(at => at < bytes.length).toSorted((a, b) => a - b), bytes.length]
  // Not each awaited: an origin may send on before it gets the signal to wait.
  for (let i = 1; i < cuts.length; i++) void writer.write(bytes.subarray(cuts[i - 1], cuts[i]))
  const committed = await writer.commit()
  if (together === 'whole') store.remove(key, ' part')
  return committed
}

t.test('random ranges of a random body in random order give slices of the true body, and never a byte besides', async t => {
  const body = fc.uint8Array({ minLength: 40, maxLength: 300 }).map(bytes => Buffer.from(bytes))
  const marks = fc.array(fc.tuple(fc.nat(299), fc.integer({ min: 1, max: 50 }), fc.boolean(), fc.array(fc.nat(120), { maxLength: 3 })), { minLength: 1, maxLength: 16 })
  let wholes = 0
  let joined = 0
  await fc.assert(fc.asyncProperty(body, marks, async (truth, arrivals) => {
    const store = emptyStore()
    for (const [at, length, known, cutAt] of arrivals) {
      const start = at % truth.length
      const end = Math.min(truth.length, start + length)
      t.ok(await arrive(store, partMeta(start, end, known ? truth.length : undefined), truth.subarray(start, end), cutAt), 'stored')
      for (const { meta, body: held } of store.lookup(key)) {
        const bytes = await readBody(held, 0, meta.bodyBytes)
        if (meta.part === undefined) {
          wholes++
          t.ok(bytes.equals(truth), 'the whole is the whole')
          continue
        }
        if (meta.part.ranges.length > 1) joined++
        const expected = Buffer.concat(meta.part.ranges.map(range => truth.subarray(range.start, range.end)))
        t.ok(lengthMatchesRanges(meta) && bytes.equals(expected), 'a part is what its ranges say')
        const asked = selectRanges(request({ Range: `bytes=${start}-${end - 1}` }), meta, t0)
        if (typeof asked !== 'object') return t.fail('the newest chunk is held')
        t.ok((await readBody(held, asked[0]?.start ?? 0, asked[0]?.end ?? 0)).equals(truth.subarray(start, end)), 'and is sent as it is')
      }
    }
  }), { numRuns: 200 })
  t.ok(wholes > 20 && joined > 20, `the runs came to wholes (${wholes}) and to parts in pieces (${joined})`)
})

t.test('a stored body that turns out to be lost, or short, costs the entry and nothing else', async t => {
  const truth = Buffer.from('0123456789')
  const failing = (first: Buffer[], failure: Error | undefined): Body => ({
    bytes: undefined,
    async *read() {
      yield* first
      if (failure !== undefined) throw failure
    },
  })
  const some = [truth.subarray(0, 1)]
  for (const [name, body] of Object.entries({ gone: failing([], new BodyGone('gone')), late: failing(some, new BodyGone('gone')), short: failing(some, undefined) })) {
    for (const [start, end] of [[5, 10], [0, 5]] as const) {
      const store = emptyStore()
      const old = partMeta(start === 0 ? 5 : 0, start === 0 ? 10 : 5, 10)
      const writer = new CombiningWriter(store.write(key, metadata()), { part: old.part as NonNullable<Metadata['part']>, body, bodyBytes: 5 }, { start, end })
      await writer.write(truth.subarray(start, end))
      t.equal(await writer.commit(), false, `${name}, ${start === 0 ? 'after' : 'before'} what arrives`)
      t.same(store.lookup(key), [])
    }
  }
})

t.test('a writer that is aborted stores nothing, and stops reading the stored part', async t => {
  const store = emptyStore()
  let read = 0
  let ended = false
  const body: Body = {
    bytes: undefined,
    async *read() {
      try {
        for (;;) {
          read++
          yield Buffer.alloc(1)
          await new Promise(resolve => {
            setImmediate(resolve)
          })
        }
      } finally {
        ended = true
      }
    },
  }
  const old = partMeta(0, 1_000_000, undefined)
  const writer = new CombiningWriter(store.write(key, metadata()), { part: old.part as NonNullable<Metadata['part']>, body, bodyBytes: 1_000_000 }, { start: 1_000_000,
    end: 1_000_001 })
  const written = writer.write(Buffer.from('x'))
  writer.abort()
  await written
  t.equal(await writer.commit(), false)
  t.equal(ended, true)
  t.ok(read < 10, `${read} chunks`)
  t.same(store.lookup(key), [])
})

t.test('parts that are all of a response are recognised by its complete length', async t => {
  const whole: Stored['meta'] = partMeta(0, 10, 10)
  t.equal(whole.part !== undefined && isAll(whole.part) && partBytes(whole.part), 10)
  t.equal(isAll({ ranges: [{ start: 0, end: 10 }], complete: undefined, requestedRange: '' }), false)
  t.equal(isAll({ ranges: [{ start: 0, end: 10 }], complete: 11, requestedRange: '' }), false)
})

// The contract of src/store/store.ts, in the same terms, proved for the store that the factory makes.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { Metadata } from '../../src/policy/stored.ts'
import { UnknownCursor, type Body, type Store } from '../../src/store/store.ts'
import type { ManualClock } from '../support/manual-clock.ts'
import { metadata, t0 } from '../support/metadata.ts'

export type Test = typeof t

/** Makes an empty store that keeps `contractVariants` variants of a key, and bodies of `contractEntryBytes`. */
export interface Subject {
  readonly store: Store
  readonly clock: ManualClock
  readonly cleanup: () => Promise<void> | void
}

export const contractVariants = 4
export const contractEntryBytes = 4 * 1_048_576

const key = 'GET http://api.example.com/v1/things?page=1'

/** Reads a body, or a part of it, as the code that sends it does. */
export async function readBody(body: Body, start: number, end: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body.read(start, end)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Stores one response in chunks of at most 64 KiB. Returns whether the store took it. */
export async function put(store: Store, at: string, meta: Metadata, body: Buffer = Buffer.from('{}')): Promise<boolean> {
  const writer = store.write(at, meta)
  for (let from = 0; from < body.length; from += 65_536) await writer.write(body.subarray(from, from + 65_536))
  return await writer.commit()
}

/** Returns the bodies under a key, as text, in the order of the lookup. */
export async function bodies(store: Store, at = key): Promise<string[]> {
  const found = await store.lookup(at)
  return Promise.all(found.map(async ({ meta, body }) => (await readBody(body, 0, meta.bodyBytes)).toString()))
}

// Small enough to be stored with its metadata, too large for that, and larger than any chunk.
const sizes = { 'an empty': 0, 'a small': 1000, 'a middling': 100_000, 'a large': 3_000_001 }

export function storeContract(name: string, make: (test: Test) => Promise<Subject>): void {
  const promise = (sentence: string, prove: (test: Test, subject: Subject) => Promise<unknown>): void => {
    void t.test(`${name}: ${sentence}`, async (test) => {
      const subject = await make(test as Test)
      test.teardown(() => subject.cleanup())
      await prove(test as Test, subject)
    })
  }

  promise('a lookup of an absent key returns []', async (test, { store }) => {
    test.same(await store.lookup(key), [])
  })

  for (const [size, bytes] of Object.entries(sizes)) {
    promise(`${size} body comes back whole, in any part, with the metadata it was stored with`, async (test, { store }) => {
      const body = randomBytes(bytes)
      const meta = metadata({ tags: ['a', 'b'], vary: [['accept', 'x'], ['origin', null]], variant: 'x', fields: ['x-bytes', '\u0080\u00ff\t é'] })
      test.equal(await put(store, key, meta, body), true)
      const [found] = await store.lookup(key)
      test.same(found?.meta, { ...meta, bodyBytes: bytes })
      if (found === undefined) return
      test.ok(body.equals(await readBody(found.body, 0, bytes)), 'whole')
      for (const [start, end] of [[0, 1], [bytes - 1, bytes], [bytes >> 1, (bytes >> 1) + 70_000], [1, bytes - 1], [5, 5]] as const) {
        const part = body.subarray(Math.max(0, start), Math.min(bytes, end))
        test.ok(part.equals(await readBody(found.body, Math.max(0, start), Math.min(bytes, end))), `${start} to ${end}`)
      }
      if (found.body.bytes !== undefined) test.ok(body.equals(found.body.bytes), 'at hand')
    })
  }

  promise('a key may hold any character', async (test, { store }) => {
    const keys = ['', '*', 'a b\r\n{x}', '}{', '\u0000', 'ключ', '\ud800', `long ${'k'.repeat(5000)}`]
    for (const each of keys) test.equal(await put(store, each, metadata(), Buffer.from(`of ${each.length} ${each.slice(0, 4)}`)), true)
    for (const each of keys) test.same(await bodies(store, each), [Buffer.from(`of ${each.length} ${each.slice(0, 4)}`).toString()])
    const listed = await store.list(undefined, 1000)
    test.same(listed.entries.map((entry) => entry.key).sort(), keys.toSorted())
  })

  for (const bytes of [10, 1_000_000]) {
    promise(`nothing of ${bytes} bytes is visible before commit`, async (test, { store }) => {
      const writer = store.write(key, metadata())
      await writer.write(randomBytes(bytes))
      test.same(await store.lookup(key), [])
      test.same((await store.list(undefined, 10)).entries, [])
      test.equal(await writer.commit(), true)
      test.equal((await store.lookup(key)).length, 1)
    })

    promise(`a writer of ${bytes} bytes that is aborted or dropped, or whose input ends early, leaves no partial body`, async (test, { store }) => {
      await put(store, key, metadata(), Buffer.from('before'))
      const aborted = store.write(key, metadata({ requestTimeMs: t0 }))
      await aborted.write(randomBytes(bytes))
      aborted.abort()
      test.equal(await aborted.commit(), false, 'a commit after the abort is not taken')
      const forgotten = store.write(key, metadata({ requestTimeMs: t0, variant: 'other' }))
      await forgotten.write(randomBytes(bytes))
      test.same(await bodies(store), ['before'])
    })
  }

  promise('abort after commit does nothing', async (test, { store }) => {
    const writer = store.write(key, metadata())
    await writer.write(Buffer.from('kept'))
    test.equal(await writer.commit(), true)
    writer.abort()
    test.same(await bodies(store), ['kept'])
    test.equal(await writer.commit(), false)
  })

  promise('a body that grows beyond the longest allowed is refused', async (test, { store }) => {
    test.equal(await put(store, key, metadata(), Buffer.alloc(contractEntryBytes + 1)), false)
    test.same(await store.lookup(key), [])
    test.equal(await put(store, key, metadata(), Buffer.alloc(contractEntryBytes)), true)
  })

  for (const bytes of [1000, 1_000_000]) {
    promise(`a commit replaces the same variant at once; a reader of the old body of ${bytes} bytes finishes it`, async (test, { store }) => {
      const old = Buffer.alloc(bytes, 'old ')
      await put(store, key, metadata(), old)
      const [before] = await store.lookup(key)
      if (before === undefined) return test.fail('stored')
      const reader = before.body.read(0, bytes)[Symbol.asyncIterator]()
      const first = await reader.next()
      test.equal(await put(store, key, metadata({ requestTimeMs: t0 }), Buffer.alloc(bytes, 'new ')), true)
      test.same(await bodies(store), [Buffer.alloc(bytes, 'new ').toString()])
      const chunks = [first.value as Buffer]
      for (let next = await reader.next(); next.done !== true; next = await reader.next()) chunks.push(next.value)
      test.ok(Buffer.concat(chunks).equals(old), 'the write that had begun')
      test.ok((await readBody(before.body, 0, bytes)).equals(old), 'the write that had not begun yet')
    })

    promise(`a body of ${bytes} bytes stays readable for its readers, although it is removed meanwhile`, async (test, { store }) => {
      const body = randomBytes(bytes)
      await put(store, key, metadata(), body)
      const [found] = await store.lookup(key)
      await store.remove(key)
      test.same(await store.lookup(key), [])
      if (found !== undefined) test.ok((await readBody(found.body, 0, bytes)).equals(body))
    })
  }

  promise('a commit that lost a race with a newer one is not taken', async (test, { store }) => {
    const late = store.write(key, metadata({ requestTimeMs: t0 - 500 }))
    await late.write(Buffer.from('requested first'))
    await put(store, key, metadata({ requestTimeMs: t0 - 100 }), Buffer.from('requested later'))
    test.equal(await late.commit(), false)
    test.same(await bodies(store), ['requested later'])
  })

  // The guards of these four: outlasts and isAhead, in src/store/ and in the scripts for Redis.
  promise('a response stored before a purge gives way to one requested after it, however far ahead its clock was', async (test, { store }) => {
    await put(store, key, metadata({ stamp: 'log.1', requestTimeMs: t0 + 10_000, responseTimeMs: t0 + 10_000 }), Buffer.from('purged'))
    test.equal(await put(store, key, metadata({ stamp: 'log.2', requestTimeMs: t0 }), Buffer.from('after the purge')), true)
    test.same(await bodies(store), ['after the purge'])
    test.equal(await put(store, key, metadata({ stamp: 'log.1', requestTimeMs: t0 + 20_000, responseTimeMs: t0 + 20_000 }), Buffer.from('purged')), false)
    test.same(await bodies(store), ['after the purge'])
  })

  promise('a response of a purge log that was lost gives way to any other', async (test, { store }) => {
    await put(store, key, metadata({ stamp: 'ahead.9', requestTimeMs: t0 + 500 }), Buffer.from('of the lost log'))
    test.equal(await put(store, key, metadata({ stamp: 'a.1', requestTimeMs: t0 }), Buffer.from('of the log')), true)
    test.same(await bodies(store), ['of the log'])
  })

  promise('a response from an hour ahead gives way to one of now', async (test, { store }) => {
    const hourMs = 3_600_000
    await put(store, key, metadata({ requestTimeMs: t0 + hourMs, responseTimeMs: t0 + hourMs, keepUntilMs: t0 + 2 * hourMs }), Buffer.from('of another hour'))
    test.equal(await put(store, key, metadata({ requestTimeMs: t0, responseTimeMs: t0 }), Buffer.from('of now')), true)
    test.same(await bodies(store), ['of now'])
  })

  promise('a variant from an hour ahead goes when another variant of its key is stored', async (test, { store }) => {
    const hourMs = 3_600_000
    await put(store, key, metadata({ variant: 'ahead', requestTimeMs: t0 + hourMs, responseTimeMs: t0 + hourMs, keepUntilMs: t0 + 2 * hourMs }), Buffer.from('ahead'))
    await put(store, key, metadata({ variant: 'now' }), Buffer.from('now'))
    test.same(await bodies(store), ['now'])
  })

  promise('an expired response does not block one that was requested earlier', async (test, { store, clock }) => {
    await put(store, key, metadata({ keepUntilMs: t0 + 10, requestTimeMs: t0 }), Buffer.from('later, and gone'))
    clock.advance(20)
    test.equal(await put(store, key, metadata({ requestTimeMs: t0 - 1 }), Buffer.from('earlier')), true)
    test.same(await bodies(store), ['earlier'])
  })

  promise('past keepUntilMs an entry reads as absent', async (test, { store, clock }) => {
    await put(store, key, metadata({ keepUntilMs: t0 + 1000, variant: 'short' }), Buffer.from('short'))
    await put(store, key, metadata({ keepUntilMs: t0 + 5000, variant: 'long' }), Buffer.from('long'))
    clock.advance(1000)
    test.equal((await store.lookup(key)).length, 2, 'at the moment itself it is there')
    clock.advance(1)
    test.same(await bodies(store), ['long'])
    test.equal((await store.list(undefined, 10)).entries.length, 1)
    clock.advance(4000)
    test.same(await store.lookup(key), [])
    test.same((await store.list(undefined, 10)).entries, [])
    test.equal(await put(store, key, metadata({ keepUntilMs: t0 })), false, 'an entry that would be absent at once is not taken')
  })

  promise('variants lie side by side, the youngest responseTimeMs first', async (test, { store }) => {
    await put(store, key, metadata({ variant: 'b', responseTimeMs: t0 + 2 }), Buffer.from('b'))
    await put(store, key, metadata({ variant: 'c', responseTimeMs: t0 + 3 }), Buffer.from('c'))
    await put(store, key, metadata({ variant: 'a', responseTimeMs: t0 + 1 }), Buffer.from('a'))
    test.same(await bodies(store), ['c', 'b', 'a'])
  })

  promise('at most maxVariants variants of a key; beyond it the one that was stored first goes, if none is used', async (test, { store }) => {
    for (let i = 0; i < contractVariants + 2; i++) {
      test.equal(await put(store, key, metadata({ variant: `v${i}`, responseTimeMs: t0 + i }), Buffer.from(`${i}`)), true)
    }
    test.same(await bodies(store), ['5', '4', '3', '2'])
  })

  for (const period of ['one period', 'many periods']) {
    promise(`a variant in constant use stays, however many others are stored and used once, in ${period}`, async (test, { store, clock }) => {
      const use = async (body: string): Promise<void> => {
        for (const stored of await store.lookup(key)) if (stored.meta.variant === body) stored.used?.(clock.now())
      }
      for (let i = 0; i < 3 * contractVariants; i++) {
        await put(store, key, metadata({ variant: `v${i}`, responseTimeMs: clock.now(), keepUntilMs: t0 + 3_600_000 }), Buffer.from(`v${i}`))
        await use(`v${i}`)
        await use('v0')
        // A use is reported without waiting. Later commands on the same connection follow in order.
        await store.lookup(key)
        await store.lookup(key)
        clock.advance(period === 'one period' ? 1 : 60_000)
      }
      test.same((await bodies(store)).toSorted(), ['v0', 'v10', 'v11', 'v9'])
    })
  }

  for (const bytes of [1000, 1_000_000]) {
    promise(`a refresh puts new metadata on a variant whose body of ${bytes} bytes stays`, async (test, { store, clock }) => {
      const body = randomBytes(bytes)
      await put(store, key, metadata({ keepUntilMs: t0 + 1000, variant: 'v' }), body)
      const [found] = await store.lookup(key)
      if (found === undefined) return test.fail('stored')
      const renewed = metadata({ keepUntilMs: t0 + 9000, variant: 'v', fields: ['x-new', 'y'.repeat(300)], responseTimeMs: t0 + 50, requestTimeMs: t0 + 40, stamp: '9' })
      test.equal(await store.refresh(key, found.meta, renewed), true)
      clock.advance(5000)
      const [after] = await store.lookup(key)
      test.same(after?.meta, { ...renewed, bodyBytes: bytes })
      if (after !== undefined) test.ok((await readBody(after.body, 0, bytes)).equals(body))
      test.equal(found.meta.keepUntilMs, t0 + 1000, 'a returned entry is not changed')
    })
  }

  promise('a refresh of a variant that was replaced changes nothing', async (test, { store }) => {
    await put(store, key, metadata(), Buffer.from('first'))
    const [first] = await store.lookup(key)
    if (first === undefined) return test.fail('stored')
    await put(store, key, metadata({ requestTimeMs: t0, etag: '"v2"', fields: ['etag', '"v2"'] }), Buffer.from('second'))
    test.equal(await store.refresh(key, first.meta, metadata({ lifetimeMs: 1 })), false)
    test.equal((await store.lookup(key))[0]?.meta.etag, '"v2"')
    test.equal(await store.refresh('nowhere', first.meta, first.meta), false)
    await store.remove(key)
    test.equal(await store.refresh(key, first.meta, first.meta), false)
    test.same(await store.lookup(key), [])
  })

  promise('a refresh may change which variant it is', async (test, { store }) => {
    await put(store, key, metadata({ variant: 'one' }), Buffer.from('body'))
    await put(store, key, metadata({ variant: 'two' }), Buffer.from('overtaken'))
    const was = (await store.lookup(key)).find(({ meta }) => meta.variant === 'one')
    test.equal(await store.refresh(key, was?.meta ?? metadata(), metadata({ variant: 'two', requestTimeMs: t0 })), true)
    test.same(await bodies(store), ['body'])
  })

  promise('remove forgets one variant, or all of a key, and nothing else', async (test, { store }) => {
    await put(store, key, metadata({ variant: 'a', responseTimeMs: t0 + 1 }), Buffer.from('a'))
    await put(store, key, metadata({ variant: 'b' }), randomBytes(100_000))
    await put(store, 'other', metadata(), Buffer.from('other'))
    await store.remove(key, 'b')
    await store.remove(key, 'never there')
    test.same(await bodies(store), ['a'])
    await store.remove(key)
    await store.remove('never there')
    test.same(await store.lookup(key), [])
    test.same(await bodies(store, 'other'), ['other'])
  })

  for (const bytes of [6, 100_000]) {
    promise(`a part of ${bytes} bytes is stored beside the whole of the same selecting fields, and is removed alone`, async (test, { store }) => {
      const part = { ranges: [{ start: 0, end: bytes - 2 }, { start: 2 ** 40, end: 2 ** 40 + 2 }], complete: undefined, requestedRange: 'bytes=0-' }
      const body = randomBytes(bytes)
      await put(store, key, metadata({ responseTimeMs: t0 - 1 }), Buffer.from('whole'))
      await put(store, key, metadata({ status: 206, variant: ' part', part }), body)
      const [found, whole] = await store.lookup(key)
      test.same(found?.meta, metadata({ status: 206, variant: ' part', part, bodyBytes: bytes }))
      if (found !== undefined) test.ok((await readBody(found.body, 1, bytes)).equals(body.subarray(1)))
      test.equal(whole?.meta.part, undefined)
      const longer = { ...part, complete: 2 ** 41 }
      if (found !== undefined) test.equal(await store.refresh(key, found.meta, { ...found.meta, part: longer }), true)
      test.same((await store.lookup(key))[0]?.meta.part, longer)
      await store.remove(key, ' part')
      test.same(await bodies(store), ['whole'])
    })
  }

  promise('the store does not change values that it received or returned', async (test, { store }) => {
    const meta = metadata({ tags: ['a'] })
    const copy = structuredClone(meta)
    const chunk = Buffer.from('chunk')
    const writer = store.write(key, meta)
    await writer.write(chunk)
    await writer.commit()
    const out = await store.lookup(key)
    const [first] = out
    const kept = structuredClone(first?.meta)
    await put(store, key, metadata({ variant: 'another' }))
    await store.remove(key)
    test.same(meta, copy)
    test.equal(chunk.toString(), 'chunk')
    test.equal(out.length, 1)
    test.same(first?.meta, kept)
    if (first !== undefined) test.equal((await readBody(first.body, 0, 5)).toString(), 'chunk')
  })

  promise('list returns each entry once, at most the limit in a page', async (test, { store }) => {
    const expected: string[] = []
    for (let i = 0; i < 30; i++) {
      for (const variant of i % 3 === 0 ? ['x', 'y', 'z'] : ['x']) {
        await put(store, `key ${i}`, metadata({ variant }))
        expected.push(`key ${i} ${variant}`)
      }
    }
    const seen: string[] = []
    let cursor: string | undefined
    let pages = 0
    do {
      const page = await store.list(cursor, 7)
      test.ok(page.entries.length <= 7)
      for (const entry of page.entries) seen.push(`${entry.key} ${entry.meta.variant}`)
      cursor = page.cursor
    } while (cursor !== undefined && ++pages < 1000)
    test.same(seen.sort(), expected.sort())
  })

  promise('entries that are stored all the time are listed once, whatever changes between two pages', async (test, { store }) => {
    const stays: string[] = []
    for (let i = 0; i < 90; i++) {
      for (const variant of i % 9 === 0 ? ['x', 'y', 'z'] : ['x']) {
        await put(store, `key ${i}`, metadata({ variant, responseTimeMs: t0 }))
        if (i % 3 === 0) stays.push(`key ${i} ${variant}`)
      }
    }
    const seen: string[] = []
    let cursor: string | undefined
    let pages = 0
    do {
      const page = await store.list(cursor, 2)
      for (const entry of page.entries) seen.push(`${entry.key} ${entry.meta.variant}`)
      cursor = page.cursor
      // Other entries come and go, and a key that is being listed gets a younger variant.
      await store.remove(`key ${pages * 3 + 1}`)
      await put(store, `later ${pages}`, metadata())
      for (const { key: told, meta } of page.entries) if (meta.variant === 'z') await put(store, told, metadata({ variant: 'younger', responseTimeMs: t0 + 1 }))
    } while (cursor !== undefined && ++pages < 1000)
    const told = seen.filter((each) => stays.includes(each)).sort()
    test.same([...new Set(told)], stays.toSorted())
    // Redis may list an entry twice: SCAN does, when its table is resized.
    if (name === 'memory') test.equal(told.length, stays.length, 'and none of it twice')
  })

  promise('a page lists only wanted entries, reads a bounded number of them, and may be empty with a cursor', async (test, { store }) => {
    for (let i = 0; i < 300; i++) await put(store, `key ${i}`, metadata({ status: i === 250 ? 203 : 200 }))
    const found: string[] = []
    let cursor: string | undefined
    let looked = 0
    let empty = 0
    do {
      const before = looked
      const page = await store.list(cursor, 1000, ({ status }) => {
        looked++
        return status === 203
      })
      test.ok(looked - before <= 64, `${looked - before} looked at`)
      found.push(...page.entries.map((entry) => entry.key))
      cursor = page.cursor
      if (page.entries.length === 0) empty++
    } while (cursor !== undefined)
    test.same(found, ['key 250'])
    test.equal(looked, 300)
    test.ok(empty > 0)
  })

  promise('a cursor that no page has given is refused', async (test, { store }) => {
    for (const cursor of ['', 'x', '-1', '1.x', '0.0.0', '1e3', 'm', 'mx', '1.2.3.4.5', `0.0.${'a'.repeat(44)}.0`, '9'.repeat(30), '0.*..0', '__proto__']) {
      await test.rejects(store.list(cursor, 10), UnknownCursor, JSON.stringify(cursor))
    }
  })

  promise('a closed store returns nothing, and does not throw', async (test, { store }) => {
    await put(store, key, metadata())
    await store.close()
    test.same(await store.lookup(key), [])
  })
}

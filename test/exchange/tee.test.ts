// The tee of a fill by itself: its window, its pace, and where readers go on.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { EarlyBytes } from '../../src/exchange/fill/early-bytes.ts'
import { Tee } from '../../src/exchange/fill/tee.ts'
import { windowBytes, WindowBudget } from '../../src/exchange/fill/window-budget.ts'
import { BodyGone, type Stored } from '../../src/store/store.ts'
import { metadata } from '../support/metadata.ts'

const piece = 65_536
const chunk = (): Buffer => Buffer.from(new ArrayBuffer(piece)).fill(randomBytes(16))

interface Scene {
  readonly tee: Tee
  readonly budget: WindowBudget
  readonly changes: () => number
  /** Pushes `count` pieces, and returns them. */
  push(count: number): Buffer
}

function scene(budget = new WindowBudget(1_000_000_000), early = new EarlyBytes(budget)): Scene {
  let changes = 0
  const tee = new Tee({ ...metadata(), bodyBytes: Infinity }, budget, early, { changed: () => void changes++ })
  return { tee, budget, changes: () => changes, push: count => {
    const pieces = Array.from({ length: count }, chunk)
    for (const each of pieces) tee.push(each)
    return Buffer.concat(pieces)
  } }
}

async function rest(reader: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const each of reader) chunks.push(each)
  return Buffer.concat(chunks)
}

const nowhere = (): Promise<undefined> => Promise.resolve(undefined)
/** A store that holds these bytes. */
const held = (bytes: Buffer) => (): Promise<Stored> =>
  Promise.resolve({ meta: { ...metadata(), bodyBytes: bytes.length }, body: { bytes: undefined, read: async function* read(start, end) {
    yield bytes.subarray(start, end)
  } } })

// The guard: `#held > windowBytes` in Tee.
t.test('a reader that takes nothing holds no more than a window, and goes on in the store', async t => {
  const { tee, budget, push } = scene()
  const before = push(1)
  const reader = tee.read(0, Infinity)
  t.same((await reader.next()).value, before)
  const all = Buffer.concat([before, push(100)])
  t.ok(budget.bytes <= windowBytes, String(budget.bytes))
  tee.complete(held(all))
  await nowhere()
  await new Promise(setImmediate)
  t.equal(budget.bytes, 0, 'nor a window any more, once the store has it')
  t.ok((await rest(reader)).equals(all.subarray(piece)))
  t.equal(tee.isRead, false)
})

t.test('a reader within the window does not need the store', async t => {
  const { tee, budget, push } = scene()
  const reader = tee.read(0, Infinity)
  const first = reader.next()
  const all = push(20)
  tee.complete(nowhere)
  t.ok(Buffer.concat([(await first).value as Buffer, await rest(reader)]).equals(all))
  t.equal(budget.bytes, 0)
})

for (const [what, end] of Object.entries({ 'is not stored': (tee: Tee) => tee.notStored(), 'breaks off': (tee: Tee) => tee.break(),
  'is complete, and lost': (tee: Tee) => tee.complete(nowhere) })) {
  t.test(`if the response ${what}, a reader behind the window has lost its body`, async t => {
    const { tee, budget, push } = scene()
    push(1)
    const reader = tee.read(0, Infinity)
    await reader.next()
    push(100)
    end(tee)
    await t.rejects(reader.next(), BodyGone)
    tee.break()
    t.equal(budget.bytes <= windowBytes, true)
  })
}

t.test('a response that breaks off never seems complete', async t => {
  const { tee, push } = scene()
  const reader = tee.read(0, Infinity)
  const first = reader.next()
  push(2)
  tee.break()
  await first
  await reader.next()
  await t.rejects(reader.next(), BodyGone)
})

// The guard: `isSpent` in Tee and EarlyBytes.
t.test('all windows together have a bound: beyond it each keeps its latest bytes, and a beginning nothing', async t => {
  const budget = new WindowBudget(20 * piece)
  const scenes = Array.from({ length: 10 }, () => scene(budget))
  // They read the first piece, and then miss bytes.
  for (const { tee } of scenes) tee.read(0, Infinity).next().catch(() => undefined)
  for (let i = 0; i < 20; i++) for (const { push } of scenes) push(1)
  t.ok(budget.bytes <= 31 * piece, String(budget.bytes / piece))
  const early = new EarlyBytes(budget)
  early.push(chunk())
  early.push(chunk())
  t.same(early.chunks, [])
  for (const { tee } of scenes) tee.break()
})

t.test('the beginning of a body is kept up to a window, and no part of it without the rest', async t => {
  const budget = new WindowBudget(1_000_000_000)
  const early = new EarlyBytes(budget)
  const bytes = Array.from({ length: 32 }, chunk)
  for (const each of bytes) early.push(each)
  t.equal(budget.bytes, windowBytes)
  const { tee } = scene(budget, early)
  early.release()
  tee.complete(nowhere)
  t.ok((await rest(tee.read(0, Infinity))).equals(Buffer.concat(bytes)))

  const large = new EarlyBytes(budget)
  for (let i = 0; i < 40; i++) large.push(chunk())
  t.same(large.chunks, [])
  t.equal(budget.bytes, 0)
  t.equal(scene(budget, large).tee.availableFrom, 40 * piece)
})

t.test('slices of one buffer count once, and a small slice of a large buffer does not keep it', async t => {
  const budget = new WindowBudget(1_000_000_000)
  const early = new EarlyBytes(budget)
  const large = chunk()
  for (let i = 0; i < 16; i++) early.push(large.subarray(i * 4096, (i + 1) * 4096))
  t.equal(budget.bytes, piece)
  const { tee } = scene(budget, early)
  early.release()
  t.equal(budget.bytes, piece)
  tee.push(chunk().subarray(0, 100))
  t.equal(budget.bytes, piece + 100)
})

// The guard: isAhead in Tee.
t.test('a fill runs ahead of its fastest reader only, by a bounded amount, and of nobody if others wait for its end', async t => {
  const { tee, push } = scene()
  push(10)
  t.equal(tee.isAhead, false, 'nobody reads')
  const slow = tee.read(0, Infinity)
  await slow.next()
  t.equal(tee.isAhead, true)
  const fast = tee.read(0, Infinity)
  for (let i = 0; i < 10; i++) await fast.next()
  t.equal(tee.isAhead, false)
  push(4)
  t.equal(tee.isAhead, true)
  await fast.next()
  t.equal(tee.isAhead, false)
  push(1)
  t.equal(tee.isAhead, true)
  tee.await()
  t.equal(tee.isAhead, false)
  await slow.return()
  await fast.return()
  t.equal(tee.isRead, false)
})

t.test('a part that is further on is waited for, and read as it comes', async t => {
  const { tee, push } = scene()
  const reader = tee.read(2 * piece + 10, 3 * piece - 10)
  const first = reader.next()
  const all = push(4)
  t.ok(((await first).value as Buffer).equals(all.subarray(2 * piece + 10, 3 * piece - 10)))
  t.equal((await reader.next()).done, true)
})

// The admin listener works in pieces: its work between two turns of the event loop is bounded, whatever its clients request.
import { setImmediate } from 'node:timers/promises'
import tap, { type Test } from 'tap'
import { tooMuchJson } from '../../src/admin/json-bounds.ts'
import { Turns } from '../../src/admin/turns.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { keyedPurge } from '../../src/exchange/routing/purge-keys.ts'
import { compileRoutes } from '../../src/exchange/routing/routes.ts'
import { createMemoryStore, type MemoryStore } from '../../src/store/memory/store.ts'
import { clock, errorsOf, listen, purger, storedAt, type Answer, type Listener } from './support.ts'

const entries = 7_000

function filled(tags: readonly string[]): MemoryStore {
  const store = createMemoryStore({ maxBytes: 64 << 20, maxEntryBytes: 1 << 16, maxVariants: 8, clock })
  for (let i = 0; i < entries; i++) {
    const writer = store.write(`a/${i}`, storedAt('a', `/${i}`, { tags }))
    void writer.write(Buffer.from('hello'))
    void writer.commit()
  }
  return store
}

interface Counted extends Listener {
  /** How many entries were read in each turn so far. */
  readonly turns: number[]
}

/** A listener over a store that counts the entries read between two turns. */
async function counting(t: Test, store: MemoryStore): Promise<Counted> {
  const turns: number[] = [0]
  const listener = await listen(t, () => ({
    nextTurn: async () => {
      await setImmediate()
      turns.push(0)
    },
    store: {
      lookup: (key) => store.lookup(key),
      write: (key, meta) => store.write(key, meta),
      refresh: async (...args) => store.refresh(...args),
      remove: async (...args) => store.remove(...args),
      stats: () => store.stats(),
      close: () => store.close(),
      list: (cursor, limit, wanted) =>
        store.list(cursor, limit, (meta) => {
          turns.push((turns.pop() ?? 0) + 1)
          return wanted?.(meta) ?? true
        }),
    },
  }))
  return { ...listener, turns }
}

const total = (turns: readonly number[]): number => turns.reduce((sum, each) => sum + each, 0)
const found = (answer: Answer): unknown[] => answer.json()['entries'] as unknown[]

// Guards: mostListed in store/memory/store.ts, mostPages in admin/entries.ts.
tap.test('a listing reads at most 64 entries in a turn, and 6,400 in a call, however many there are', async (t) => {
  const { ask, turns } = await counting(t, filled(Array.from({ length: 20 }, (_, i) => `tag ${i}`)))
  const answer = await ask('/v1/entries?limit=1000&tag=none')
  t.equal(answer.status, 200)
  t.same(found(answer), [])
  t.equal(total(turns), 6_400)
  t.ok(Math.max(...turns) <= 64, `${Math.max(...turns)} in one turn`)
  const rest = await ask(`/v1/entries?limit=1000&tag=none&cursor=${String(answer.json()['cursor'])}`)
  t.equal(total(turns), entries, 'the next page goes on where this one ended')
  t.notOk('cursor' in rest.json())
})

// Guard: Turns.take, which begins a piece when the one before has ended.
tap.test('each turn holds one piece of one call, and calls at the same time share them', async (t) => {
  const order: string[] = []
  const turns = new Turns(async () => {
    await setImmediate()
    order.push('turn')
  })
  const piece = (name: string) => async (): Promise<void> => {
    order.push(name)
    await setImmediate()
    order.push(`${name} ends`)
  }
  await Promise.all(['a', 'b', 'c'].map((name) => turns.take(piece(name))))
  t.same(order, ['turn', 'a', 'a ends', 'turn', 'b', 'b ends', 'turn', 'c', 'c ends'])
})

// Guard: mostListedBytes in store/memory/store.ts.
tap.test('large entries end a turn sooner', async (t) => {
  const { ask, turns } = await counting(t, filled(Array.from({ length: 40 }, (_, i) => `${i}`.repeat(100))))
  await ask('/v1/entries?limit=1000&tag=none')
  t.ok(Math.max(...turns) < 40, `${Math.max(...turns)} in one turn`)
})

// Guard: mostMs in admin/entries.ts.
tap.test('a call ends when its time is over, and the next goes on', async (t) => {
  let nowMs = 0
  const store = filled([])
  const { ask } = await listen(t, () => ({ store, clock: { now: clock.now, monotonic: () => nowMs += 200 } }))
  const { entries: told, cursor } = (await ask('/v1/entries?limit=1000')).json() as { entries: unknown[]; cursor?: string }
  t.equal(told.length, 192, 'three pages of 64')
  t.type(cursor, 'string')
})

// Guard: JsonPage.full.
tap.test('a page is a mebibyte of text at most, and says where the next begins', async (t) => {
  const { ask } = await listen(t, () => ({ store: filled(Array.from({ length: 40 }, (_, i) => `${i}`.repeat(100))) }))
  const answer = await ask('/v1/entries?limit=1000')
  t.ok(answer.text.length < 1_300_000, `${answer.text.length} characters`)
  t.ok(found(answer).length > 0)
  t.type(answer.json()['cursor'], 'string')
})

// Guard: the slots of store/memory/store.ts. The store before had a walk over all of a Map to where the page began.
tap.test('a page does not walk over those before it', async (t) => {
  const store = filled([])
  const iterator = Object.getPrototypeOf(new Map().values()) as { next: () => unknown }
  const { next } = iterator
  let steps = 0
  iterator.next = function step(this: unknown): unknown {
    steps++
    return next.call(this) as unknown
  }
  t.teardown(() => {
    iterator.next = next
  })
  const page = await store.list(`${entries - 10}`, 1000)
  iterator.next = next
  t.equal(page.entries.length, 10)
  t.ok(steps < 100, `${steps} steps of iterators`)
})

tap.test('a cursor that no page has given is one clear 400', async (t) => {
  const { ask } = await listen(t)
  for (const cursor of ['x', '-1', '1.x', '..%2f', '%00', '1e9', '1.2.3']) {
    t.same(errorsOf(await ask(`/v1/entries?cursor=${cursor}`)), ['cursor: is not a cursor of an earlier page: leave it out to begin with the first page'], cursor)
  }
  t.same(errorsOf(await ask(`/v1/entries?cursor=${'1'.repeat(10_000)}`)), ['cursor: must NOT have more than 8192 characters'])
  t.same(errorsOf(await ask('/v1/purges?cursor=%20')), ['cursor: is not a cursor of an earlier page: leave it out to begin with the first page'])
})

tap.test('the length of a request is bounded', async (t) => {
  const { ask, purge } = await listen(t)
  t.same(errorsOf(await ask(`/v1/entries?tag=${'t'.repeat(1_025)}`)), ['tag: must NOT have more than 1024 characters'])
  t.same(errorsOf(await purge({ urls: [`/${'x'.repeat(70_000)}`], tags: ['t'.repeat(1_025)], prefixes: [`/${'x'.repeat(70_000)}`] })).sort(), [
    'prefixes[0]: must NOT have more than 66048 characters',
    'tags[0]: must NOT have more than 1024 characters',
    'urls[0]: must NOT have more than 66048 characters',
  ])
})

// Guards: the bounds of admin/explain.ts, and tooMuchJson.
tap.test('explain takes a bounded number of fields, and says how many', async (t) => {
  let explained = 0
  const { ask } = await listen(t, () => ({
    explain: async () => {
      explained++
      return undefined
    },
  }))
  const fields = (count: number): Record<string, string> => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, 'v']))
  const refused = async (body: unknown): Promise<string[]> => errorsOf(await ask('/v1/explain', { body }))
  const url = 'http://a/'
  t.same(await refused({ url, headers: fields(60_000) }), [': holds more than 4000 values: send them in several requests'])
  t.same(await refused({ url, headers: { x: Array(60_000).fill('v') } }), [': holds more than 4000 values: send them in several requests'])
  t.same(await refused({ url, headers: fields(257) }), ['headers: must NOT have more than 256 properties'])
  t.same(await refused({ url, headers: { x: Array(257).fill('v') } }), ['headers.x: must be a string or an array of at most 256 strings, without line breaks'])
  t.same(await refused({ url, headers: { x: 'v'.repeat(300_000) } }), ['headers: must not have more than 262144 characters in all, and has 300001'])
  t.same(await refused({ url: `http://a/${'x'.repeat(70_000)}` }), ['url: must NOT have more than 66048 characters'])
  t.same(await refused({ url, method: 'M'.repeat(65) }), ['method: must NOT have more than 64 characters'])
  t.equal(explained, 0)
  t.equal((await ask('/v1/explain', { body: { url, headers: fields(256) } })).json()['code'], 'NO_ROUTE')
  t.equal(explained, 1)
})

tap.test('a body that holds too much, or is nested too deep, is refused before it is parsed', async (t) => {
  t.equal(tooMuchJson(`[${'1,'.repeat(3_997)}1]`), undefined)
  t.match(tooMuchJson(`[${'1,'.repeat(4_000)}1]`), /more than 4000 values/)
  t.match(tooMuchJson('[]'.repeat(1).concat('[{},'.repeat(3_000))), /more than 4000 values|nested/)
  t.match(tooMuchJson(`${'['.repeat(17)}${']'.repeat(17)}`), /more than 16 levels/)
  t.match(tooMuchJson('{"a":'.repeat(500_000)), /more than 16 levels/)
  t.equal(tooMuchJson(JSON.stringify({ a: ',[{"'.repeat(10_000), b: '\\",\\\\' })), undefined, 'what stands in strings does not count')
  t.equal(tooMuchJson('"\\'), undefined)
  const { ask } = await listen(t)
  t.same(errorsOf(await ask('/v1/purge', { token: purger, body: { urls: Array(100_000).fill('/a') } })), [': holds more than 4000 values: send them in several requests'])
  const long = await ask('/v1/purge', { token: purger, body: { ['u'.repeat(100_000)]: 1 } })
  t.ok(long.text.length < 1_000, 'a long name is not sent back whole')
  const large = await ask('/v1/purge', { token: purger, body: { urls: ['x'.repeat(2_000_000)] } })
  t.equal(large.status, 413)
  t.equal(large.json()['detail'], 'The limit is 1048576 bytes.')
})

tap.test('/v1/purges is sent in pages, none longer than a mebibyte and a record', async (t) => {
  const { ask, purge } = await listen(t)
  for (let i = 0; i < 5; i++) await purge({ urls: Array.from({ length: 50 }, (_, j) => `/${i}/${j}/${'x'.repeat(9_000)}`) })
  const told: string[] = []
  let cursor: unknown
  let pages = 0
  do {
    const answer = await ask(`/v1/purges?limit=4${typeof cursor === 'string' ? `&cursor=${cursor}` : ''}`)
    t.ok(answer.text.length < 1_600_000, `${answer.text.length} characters`)
    const { purges } = answer.json() as { purges: { urls: string[] }[] }
    told.push(...purges.map(({ urls: [first = ''] }) => first.slice(0, 4)))
    cursor = answer.json()['cursor']
  } while (cursor !== undefined && ++pages < 10)
  t.same(told, ['/4/0', '/3/0', '/2/0', '/1/0', '/0/0'])
  t.equal(pages, 1)
})

// Guard: charsPerTurn in exchange/routing/purge-keys.ts.
tap.test('the URLs of a purge are keyed in pieces, by each different way that routes have', async (t) => {
  const route = (ignore: string[]): object => ({ match: {}, origin: 'api', key: { query: { ignore } } })
  const routes = compileRoutes(resolveConfig({
    origins: { api: { servers: ['http://127.0.0.1:1'] } },
    routes: [route(['a']), route(['b']), ...Array.from({ length: 50 }, () => route(['c']))],
  }))
  let turns = 0
  const urls = Array.from({ length: 100 }, (_, i) => ({ authority: undefined, target: `/${i}?a=1&b=2&c=3&d=${'x'.repeat(6_500)}` }))
  const keyed = await keyedPurge(routes, { urls, prefixes: [], tags: [], tagsMatch: 'any', all: false, soft: false }, false, async () => {
    turns++
  })
  t.equal(keyed.urls.length, 400, 'as it is, and less each of the three')
  t.ok(turns >= 27 && turns <= 30, `${turns} turns for two mebibytes`)
})

tap.test('a piece that fails holds up none of those behind it', async (t) => {
  const turns = new Turns(() => setImmediate())
  const order: string[] = []
  const failing = turns.take(() => {
    order.push('fails')
    throw new Error('no')
  })
  const next = turns.take(() => order.push('goes on'))
  await t.rejects(failing, { message: 'no' })
  await next
  t.same(order, ['fails', 'goes on'])
})

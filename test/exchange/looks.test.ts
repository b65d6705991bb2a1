// How often, and how far, a request looks up: one lookup where all lies equally near, and no second one for a plain fresh
// response.
import t from 'tap'
import type { LocalTier, Store } from '../../src/store/store.ts'
import { counting, detail } from '../support/proxy.ts'
import { purge } from '../support/purge.ts'
import { faraway, startHandler } from './handler-under-test.ts'

interface Looks {
  near: number
  far: number
  kept: number
  forgotten: number
}

/** The store as it is, with its calls counted. */
function counted(store: Store, looks: Looks, local?: LocalTier): Store {
  return {
    ...(local !== undefined && { local }),
    lookup: key => {
      looks.far++
      return store.lookup(key)
    },
    write: (key, meta) => store.write(key, meta),
    refresh: (key, was, meta) => store.refresh(key, was, meta),
    remove: (key, variant) => store.remove(key, variant),
    list: (cursor, limit) => store.list(cursor, limit),
    stats: () => store.stats(),
    close: () => store.close(),
  }
}

const forAMinute = counting({ 'Cache-Control': 'max-age=60', ETag: '"v"' })

t.test('a store that lies in one place gets a single lookup, for a miss as for a hit', async t => {
  const looks: Looks = { near: 0, far: 0, kept: 0, forgotten: 0 }
  const { get } = await startHandler(t, { origin: forAMinute, store: store => counted(store, looks) })
  t.equal(detail(await get('/a')), 'uri-miss')
  t.equal(looks.far, 1)
  t.equal(detail(await get('/a')), 'fresh')
  t.equal(looks.far, 2)
})

t.test('a fresh response in the local tier is used alone; for all else the shared tier is read', async t => {
  const looks: Looks = { near: 0, far: 0, kept: 0, forgotten: 0 }
  let atHand = false
  const { get, clock, log } = await startHandler(t, {
    origin: forAMinute,
    store: memory =>
      counted(faraway(memory), looks, {
        lookup: key => {
          looks.near++
          const found = atHand ? memory.lookup(key) : []
          return found instanceof Promise ? [] : found
        },
        promote: (_key, stored) => {
          looks.kept++
          return stored
        },
        drop: () => {
          looks.forgotten++
        },
      }),
  })
  const look = async (headers: Record<string, string> = {}): Promise<[string | undefined, Looks]> => {
    Object.assign(looks, { near: 0, far: 0, kept: 0, forgotten: 0 })
    return [detail(await get('/a', headers)), { ...looks }]
  }
  t.same(await look(), ['uri-miss', { near: 1, far: 1, kept: 0, forgotten: 0 }])
  t.same(await look(), ['fresh', { near: 1, far: 1, kept: 1, forgotten: 0 }], 'a used entry is promoted')
  atHand = true
  t.same(await look(), ['fresh', { near: 1, far: 0, kept: 0, forgotten: 0 }])
  t.same(await look({ 'Cache-Control': 'no-cache' }), ['request-no-cache', { near: 1, far: 1, kept: 0, forgotten: 0 }])
  t.same(await look({ 'If-None-Match': '"v"' }), ['fresh', { near: 1, far: 0, kept: 0, forgotten: 0 }])
  clock.advance(60_000)
  t.same(await look({ 'Cache-Control': 'max-stale' }), ['max-stale', { near: 1, far: 1, kept: 1, forgotten: 0 }], 'stale: there may be a later one')
  t.same(await look(), ['stale', { near: 1, far: 1, kept: 0, forgotten: 0 }])
  await log.append(purge({ all: true, soft: true }), 0)
  t.same(await look(), ['soft-purged', { near: 1, far: 1, kept: 0, forgotten: 0 }])
  await log.append(purge({ all: true }), 0)
  t.same(await look(), ['uri-miss', { near: 1, far: 1, kept: 0, forgotten: 1 }], 'a dead entry frees its memory')
})

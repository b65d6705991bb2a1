// The memory of keys whose responses were lately found not to be storable: bounded in bytes, whatever clients request.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { resolveConfig } from '../../src/config/load.ts'
import { HitForMiss, hitForMissKey, uncacheableOutcome } from '../../src/exchange/coalesce/hit-for-miss.ts'
import { routeRequest, type RoutedRequest } from '../../src/exchange/routed-request.ts'
import { compileRoutes } from '../../src/exchange/routing/routes.ts'
import { manualClock } from '../support/manual-clock.ts'

const routes = compileRoutes(resolveConfig({ origins: { api: { servers: ['http://127.0.0.1:1'] } }, routes: [{ match: {}, origin: 'api' }] }))
const client = { address: '127.0.0.1', scheme: 'http', httpVersion: '1.1', trusted: false, requestId: 'test' } as const

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

t.test('a key is remembered for a minute, and no other', async t => {
  const clock = manualClock()
  const keys = new HitForMiss(clock)
  keys.remember('a')
  t.ok(keys.has('a'))
  t.notOk(keys.has('b'))
  clock.advance(59_999)
  t.ok(keys.has('a'))
  clock.advance(1)
  t.notOk(keys.has('a'))
  t.equal(keys.size, 0, 'and nothing is kept of it')
})

t.test('a key that is found again and again stays, and one that is forgotten does not', async t => {
  const clock = manualClock()
  const keys = new HitForMiss(clock)
  for (let i = 0; i < 20; i++) {
    keys.remember('a')
    t.ok(keys.has('a'))
    clock.advance(20_000)
    t.ok(keys.has('a'))
  }
  keys.remember('b')
  keys.forget('a')
  t.notOk(keys.has('a'))
  t.ok(keys.has('b'))
})

// The guard: keyFor() in exchange/coalesce/hit-for-miss.ts.
t.test('the outcome of one range, or of a request with credentials, says nothing of the others', async t => {
  const kinds = [[], ['Range', 'bytes=0-1'], ['Range', 'bytes=0-2'], ['Cookie', 'a=b'], ['Cookie', 'a=b', 'Range', 'bytes=0-1']].map(asked)
  for (const one of kinds) {
    const keys = new HitForMiss(manualClock())
    keys.record(one, 'stored')
    t.equal(keys.size, 0)
    keys.record(one, uncacheableOutcome(one))
    t.same(kinds.map(other => keys.has(hitForMissKey(other))), kinds.map(other => other === one))
  }
})

function asked(fields: readonly string[]): RoutedRequest {
  const found = routeRequest(routes, { method: 'GET', url: '/a', rawHeaders: ['Host', 'api.example', ...fields] }, client, 'springhouse')
  if (typeof found === 'string') throw new Error(found)
  return found
}

t.test('each is remembered for its minute, however they follow one another', async t => {
  const clock = manualClock()
  const keys = new HitForMiss(clock)
  for (let i = 0; i < 300; i++) {
    keys.remember(`key ${i}`)
    for (const [back, known] of [[0, true], [59, true], [60, false], [100, false]] as const) {
      if (i >= back) t.equal(keys.has(`key ${i - back}`), known, `${back} s ago`)
    }
    clock.advance(1_000)
    t.ok(keys.size <= 122, `${keys.size} are kept`)
  }
})

// The guard: digests in place of keys (exchange/coalesce/hit-for-miss.ts, digest). Without it these take 430 MB.
t.test('60,000 keys of 8,000 bytes: a few megabytes, and the latest are remembered', async t => {
  const keys = new HitForMiss(manualClock())
  const key = (i: number): string => `${'x'.repeat(8_000)}${i}`
  collect()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 60_000; i++) keys.remember(Buffer.from(key(i)).toString('latin1'))
  collect()
  const megabytes = (process.memoryUsage().heapUsed - before) / 1e6
  t.ok(megabytes < 12, `${megabytes.toFixed(1)} MB`)
  t.ok(keys.size <= 50_000)
  t.ok(keys.has(key(59_999)))
  t.ok(keys.has(key(40_000)))
  t.notOk(keys.has(key(1)))
})

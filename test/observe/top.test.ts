// The heaviest names of a stream: exact while traffic is low, an unbiased sample above, and a bounded error.
import tap from 'tap'
import { exchangeFor } from '../support/exchange.ts'
import { manualClock } from '../support/manual-clock.ts'
import { Random } from '../coherence/random.ts'
import { Heaviest, mergedHeaviest } from '../../src/observe/heaviest.ts'
import { Top, topOf } from '../../src/observe/top.ts'
import { targetMask } from '../../src/log/masking.ts'
import type { ClientExchange } from '../../src/exchange/client/exchange.ts'
import type { RequestOutcome } from '../../src/exchange/client/outcome.ts'

function ended(target: string, outcome: RequestOutcome, more: Partial<ClientExchange> = {}): ClientExchange {
  const exchange = exchangeFor({ method: 'GET', url: target, rawHeaders: [] })
  return Object.assign(exchange, { outcome, reason: outcome === 'hit' ? 'fresh' : 'uri-miss', routed: { request: { authority: 'api' }, route: { id: 'api@*/' } }, ...more })
}

tap.test('the heaviest names are found among many, and no estimate is off by more than it says', async (t) => {
  const chance = new Random(11)
  const heaviest = new Heaviest(32)
  const real = new Map<string, number>()
  for (let i = 0; i < 50_000; i++) {
    // Zipf, roughly: few names have most of the weight.
    const name = `n${Math.floor(2_000 ** chance.next())}`
    real.set(name, (real.get(name) ?? 0) + 1)
    heaviest.add(name, 1, 0, 0, 1)
  }
  const listed = heaviest.list()
  t.equal(listed.length, 32)
  for (const { name, value, over } of listed) {
    const exact = real.get(name) ?? 0
    if (value < exact || value - over > exact) t.fail(`${name}: ${value} - ${over} is not ${exact}`)
  }
  const expected = [...real].toSorted((a, b) => b[1] - a[1]).slice(0, 4).map(([name]) => name)
  t.same(mergedHeaviest([{ items: listed, floor: heaviest.floor }]).slice(0, 4).map(({ name }) => name), expected)
  t.equal(heaviest.total, 50_000)
  for (const [name, count] of real) if (count > 50_000 / 32) t.ok(listed.some(each => each.name === name), `${name} has more than its part of all`)
})

tap.test('each request is taken while traffic is low: values are exact, targets are masked, and equal masked targets are one row', async (t) => {
  const top = new Top({ clock: manualClock(), sampleOneIn: 64, places: 256, mask: targetMask(['page']) })
  const end = (exchange: ClientExchange, times: number): void => {
    for (let i = 0; i < times; i++) top.ended(exchange)
  }
  end(ended('/v1/a?page=1', 'hit', { bodyBytes: 10, tags: ['red', 'blue'] }), 6)
  end(ended('/v1/a?page=2', 'miss', { bodyBytes: 1_000, tags: ['red'], origin: { server: 's', tries: 1, startedMs: 0, headMs: 50 } }), 2)
  end(ended('/v1/b?token=secret-1', 'pass', { bodyBytes: 5 }), 1)
  end(ended('/v1/b?token=secret-2', 'miss', { notStored: 'set-cookie' }), 1)
  const list = (of: Parameters<Top['data']>[0], by: Parameters<Top['data']>[1]): unknown[] =>
    topOf([top.data(of, by)], 10).items.map(({ name, value, error }) => [name, value, error])
  t.same(list('keys', 'requests'), [['api/v1/a?page=1', 6, 0], ['api/v1/a?page=2', 2, 0], ['api/v1/b?token=***', 2, 0]])
  t.same(list('keys', 'misses'), [['api/v1/a?page=2', 2, 0], ['api/v1/b?token=***', 1, 0]])
  t.same(list('keys', 'bytes'), [['api/v1/a?page=2', 2_000, 0], ['api/v1/a?page=1', 60, 0], ['api/v1/b?token=***', 5, 0]])
  t.same(list('keys', 'originMs'), [['api/v1/a?page=2', 100, 0]])
  t.same(list('tags', 'requests'), [['red', 8, 0], ['blue', 6, 0]])
  t.same(list('routes', 'requests'), [['api@*/', 10, 0]])
  t.same(list('reasons', 'requests'), [['fresh', 6, 0], ['uri-miss', 3, 0], ['set-cookie', 1, 0]])
  const { sampledOneIn, items } = topOf([top.data('routes', 'requests')], 10)
  t.equal(sampledOneIn, 1)
  t.same(items, [{ name: 'api@*/', value: 10, error: 0, share: 1, hitRatio: 6 / 9 }])
})

tap.test('above that, one in so many stands for the others, and the true number lies within the error', async (t) => {
  const chance = new Random(5)
  const top = new Top({ clock: manualClock(), sampleOneIn: 64, places: 256, mask: target => target, random: () => chance.next() })
  for (let i = 0; i < 100_000; i++) top.ended(ended(i % 4 === 0 ? '/b' : '/a', 'hit'))
  const { sampledOneIn, items: [first, second] } = topOf([top.data('keys', 'requests')], 10)
  t.equal(sampledOneIn, 64)
  t.equal(first?.name, 'api/a')
  for (const [item, exact] of [[first, 75_000], [second, 25_000]] as const) {
    if (item === undefined) throw new Error('a row is missing')
    t.ok(item.error > 0 && item.error < exact / 5, `an error of ${item.error}`)
    t.ok(Math.abs(item.value - exact) <= item.error * 1.5, `${item.value} for ${exact}, ±${item.error}`)
  }
})

tap.test('names of requests more than five minutes ago are forgotten', async (t) => {
  const clock = manualClock(1_700_000_000_000)
  const top = new Top({ clock, sampleOneIn: 64, places: 256, mask: target => target })
  top.ended(ended('/a', 'hit'))
  clock.advance(240_000)
  top.ended(ended('/b', 'hit'))
  t.same(topOf([top.data('keys', 'requests')], 10).items.map(({ name }) => name), ['api/a', 'api/b'])
  clock.advance(120_000)
  t.same(topOf([top.data('keys', 'requests')], 10).items.map(({ name }) => name), ['api/b'])
  clock.advance(300_000)
  t.same(topOf([top.data('keys', 'requests')], 10), { windowMs: 300_000, sampledOneIn: 1, items: [] })
})

tap.test('lists of several processes are one, and a name that a full list may have lost has that as its error', async (t) => {
  const [small, other] = [new Heaviest(2), new Heaviest(2)]
  for (const name of ['a', 'a', 'a', 'b', 'c']) small.add(name, 1, 0, 1, 1)
  for (const name of ['a', 'd']) other.add(name, 1, 0, 0, 1)
  const merged = mergedHeaviest([small, other].map(list => ({ items: list.list(), floor: list.floor })))
  t.match(merged.find(({ name }) => name === 'a'), { value: 4, over: 0, hits: 3, asked: 4 })
  t.match(merged.find(({ name }) => name === 'd'), { value: 1, over: small.floor })
})

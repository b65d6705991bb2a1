// The buckets of durations, and the text in which processes exchange their counts.
import tap from 'tap'
import { addEncoded, bucketBoundsMs, bucketCount, bucketOf, encodeCounts, quantileOf } from '../../src/observe/buckets.ts'
import { Latency, mergedLatency } from '../../src/observe/latency.ts'
import { Random } from '../coherence/random.ts'

tap.test('bounds ascend from 10 microseconds to 100 seconds, each at most a quarter above the one before', async (t) => {
  t.equal(bucketBoundsMs[0], 0.01)
  t.equal(bucketBoundsMs.at(-1), 100_000)
  for (const [i, bound] of bucketBoundsMs.entries()) {
    if (i === 0) continue
    const before = bucketBoundsMs[i - 1] as number
    if (!(bound > before && bound <= before * 1.2501)) t.fail(`${before} is followed by ${bound}`)
  }
  for (const bound of [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]) t.ok(bucketBoundsMs.includes(bound), `${bound} is a bound`)
})

tap.test('a duration belongs to the first bucket whose bound is not below it', async (t) => {
  for (const ms of [0, 0.001, 0.01, 0.0101, 0.9, 1, 1.0001, 99_999, 100_000, 100_001, 1e9]) {
    const expected = bucketBoundsMs.findIndex(bound => ms <= bound)
    t.equal(bucketOf(ms), expected < 0 ? bucketCount - 1 : expected, `${ms}`)
  }
})

tap.test('a quantile is the bound of its bucket, and never above the longest', async (t) => {
  const latency = new Latency()
  t.equal(latency.quantile(0.5), null)
  for (let i = 0; i < 90; i++) latency.record(1)
  for (let i = 0; i < 10; i++) latency.record(97)
  t.same(latency.summary(), { count: 100, p50: 1, p90: 1, p99: 97, max: 97 })
  latency.record(3_600_000)
  t.equal(latency.quantile(1), 3_600_000)
  t.equal(quantileOf([0, 0], 0.5), null)
})

tap.test('percentiles of several processes come from the sum of their counts: one at 1 ms and one at 100 ms, 90 to 10', async (t) => {
  const [fast, slow] = [new Latency(), new Latency()]
  for (let i = 0; i < 900; i++) fast.record(1)
  for (let i = 0; i < 100; i++) slow.record(100)
  const all = mergedLatency([fast.data(), slow.data()])
  // The average of both percentiles would be 50.5.
  t.same(all.summary(), { count: 1000, p50: 1, p90: 1, p99: 100, max: 100 })
  t.equal(all.sumMs, 900 + 10_000)
})

tap.test('counts survive the way to another process, and are added there', async (t) => {
  const chance = new Random(7)
  const next = (): number => chance.next()
  for (let round = 0; round < 200; round++) {
    const counts = Float64Array.from({ length: bucketCount }, () => (next() < 0.7 ? 0 : Math.floor(next() ** 4 * 1e9)))
    const into = new Float64Array(bucketCount)
    t.ok(addEncoded(encodeCounts(counts), into))
    t.ok(addEncoded(encodeCounts(counts), into))
    t.same([...into], [...counts].map(count => count * 2))
  }
})

tap.test('text that is no counts adds nothing', async (t) => {
  const into = new Float64Array(bucketCount)
  for (const text of ['x', ':', '0:', '0:1,', '0:-1', '0:1.5', `${bucketCount.toString(36)}:1`, `${(bucketCount - 1).toString(36)}:1,1`, '0:1;', '0:zzzzzzzzzzzz', '0:1:2', '-1:1'])
    t.notOk(addEncoded(text, into), `refuses ${text}`)
  t.ok(addEncoded('', into))
  t.ok(into.every(count => count === 0))
})

// The last hour in steps: what is added to which step, what is unknown, and several processes together.
import tap from 'tap'
import { History, mergedRows, rowLength, seriesOf, stepAt, sums, type SumName } from '../../src/observe/history.ts'
import { bucketOf } from '../../src/observe/buckets.ts'
import { manualClock } from '../support/manual-clock.ts'

const hour = 3_600_000
const at = (name: SumName): number => sums.indexOf(name)

/** Counters that only go up, as a process has them. */
class Counted {
  readonly row = new Float64Array(rowLength)

  add(name: SumName, count: number): void {
    this.row[at(name)] = (this.row[at(name)] as number) + count
  }

  took(ms: number, count = 1): void {
    const bucket = sums.length + bucketOf(ms)
    this.row[bucket] = (this.row[bucket] as number) + count
  }

  readonly read = (into: Float64Array): void => into.set(this.row)
}

tap.test('each step has its own counts, the last one includes the present, and steps before the start are unknown', async (t) => {
  const clock = manualClock(1_700_000_000_000)
  const counted = new Counted()
  const closed: number[] = []
  const history = new History(clock, hour, counted.read, (_step, row) => closed.push(row[at('hit')] as number))
  for (const hits of [3, 0, 5]) {
    counted.add('hit', hits)
    counted.took(2, hits)
    history.tick()
    clock.advance(10_000)
  }
  counted.add('hit', 7)
  counted.took(100, 7)
  const { fromMs, stepMs, series } = seriesOf(history.rows(), 300_000, clock.now())
  t.equal(stepMs, 10_000)
  t.equal(fromMs, 1_700_000_030_000 - 29 * 10_000)
  t.same(series.hit, [...Array.from({ length: 26 }, () => null), 3, 0, 5, 7])
  t.same(series.p99.slice(-4), [2, null, 2, 100])
  t.same(closed, [3, 0, 5], 'a step is reported once it is over')
  t.equal(new Set(Object.values(series).map(values => values.length)).size, 1)
})

tap.test('a process that was stopped for a while does not know these steps', async (t) => {
  const clock = manualClock(1_700_000_000_000)
  const counted = new Counted()
  const history = new History(clock, hour, counted.read)
  counted.add('miss', 1)
  history.tick()
  clock.advance(40_000)
  counted.add('miss', 2)
  t.same(seriesOf(history.rows(), 300_000, clock.now()).series.miss.slice(-5), [1, null, null, null, 2])
})

tap.test('the ring keeps its hour, and no older steps', async (t) => {
  const clock = manualClock(1_700_000_000_000)
  const counted = new Counted()
  const history = new History(clock, 300_000, counted.read)
  for (let step = 0; step < 70; step++) {
    counted.add('hit', step)
    history.tick()
    clock.advance(10_000)
  }
  const { hit } = seriesOf(history.rows(), hour, clock.now()).series
  t.equal(hit.length, 360)
  t.same(hit.slice(-30), [...Array.from({ length: 29 }, (_, i) => i + 41), 0])
  t.ok(hit.slice(0, -30).every(value => value === null))
})

tap.test('after a wall clock is set back the current step goes on, or after a long way back a new history begins', async (t) => {
  let now = 1_700_000_000_000
  const counted = new Counted()
  const history = new History({ now: () => now, monotonic: () => 0 }, hour, counted.read)
  counted.add('hit', 1)
  history.tick()
  now -= 3_000
  counted.add('hit', 1)
  t.same([...history.rows()].map(([step, row]) => [step, row[at('hit')]]), [[stepAt(1_700_000_000_000), 2]])
  now -= hour
  counted.add('hit', 1)
  t.same([...history.rows()].map(([step, row]) => [step, row[at('hit')]]), [[stepAt(now), 1]])
})

tap.test('steps of several processes are added, and a damaged one is skipped', async (t) => {
  const clock = manualClock(1_700_000_000_000)
  const data = (ms: number, count: number): ReturnType<History['data']> => {
    const counted = new Counted()
    const history = new History(clock, hour, counted.read)
    counted.add('hit', count)
    counted.took(ms, count)
    return history.data()
  }
  const step = stepAt(clock.now())
  const zeros = sums.map(() => 0)
  const damaged = [[step, [1], ''], [step, sums.map(() => -1), ''], [step, zeros, 'x'], [step + 1, sums.map(() => NaN), '']] as const
  const { series } = seriesOf(mergedRows([data(1, 900), data(100, 100), damaged]), 300_000, clock.now())
  t.equal(series.hit.at(-1), 1000)
  t.equal(series.p50.at(-1), 1)
  t.equal(series.p99.at(-1), 100)
})

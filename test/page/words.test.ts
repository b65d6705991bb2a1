// How the page writes numbers, durations, sizes and text that others chose.
import t from 'tap'
import { bytes, count, duration, percent, rate, visible } from '../../src/page/words.ts'

t.test('values that are not known are a dash', async t => {
  for (const write of [bytes, count, duration, percent, rate]) {
    for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) t.equal(write(value), '–')
  }
})

t.test('durations', async t => {
  const expected = { 0: '0 ms', 0.4: '0.4 ms', 9.994: '9.99 ms', 10: '10 ms', 999.4: '999 ms', 1_000: '1 s', 2_540: '2.5 s', 60_000: '1 min', 200_000: '3 min 20 s',
    3_600_000: '1 h', 29_520_000: '8 h 12 min', 187_200_000: '2 d 4 h' }
  for (const [ms, text] of Object.entries(expected)) t.equal(duration(Number(ms)), text)
  t.equal(duration(-1_500), '−1.5 s')
})

t.test('sizes', async t => {
  const expected = { 0: '0 B', 512: '512 B', 1_023: '1,023 B', 1_024: '1 KiB', 1_536: '1.5 KiB', 3_650_722_202: '3.4 GiB', 1e18: '888.2 PiB' }
  for (const [size, text] of Object.entries(expected)) t.equal(bytes(Number(size)), text)
})

t.test('rates, counts and shares', async t => {
  t.same([0, 0.256, 7.54, 1_240.4].map(rate), ['0', '0.26', '7.5', '1,240'])
  t.equal(count(98_204), '98,204')
  t.same([0, 0.941, 1].map(percent), ['0 %', '94.1 %', '100 %'])
})

// Without `visible` an URL with U+202E reads backwards, and one with a line break looks like two.
t.test('control characters and direction marks are shown', async t => {
  t.equal(visible('/a\u202e\r\n\u0000/b'), '/a\\u{202e}\\u{d}\\u{a}\\u{0}/b')
  t.equal(visible('größe 日本'), 'größe 日本')
})

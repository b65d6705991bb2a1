// Durations and sizes as operators write them.
import { assert, nat, property } from 'fast-check'
import { test } from 'tap'
import { configSchema } from '../../src/config/schema.ts'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/config/units.ts'

test('a duration needs its unit, and means milliseconds', (t) => {
  const cases: readonly [string, number | undefined][] = [
    ['0s', 0],
    ['0', 0],
    ['500ms', 500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['90 s', 90_000],
    ['5', undefined],
    ['5M', undefined],
    ['-5s', undefined],
    ['1.5h', undefined],
    ['s', undefined],
    ['', undefined],
    ['5 weeks', undefined],
    ['999999999999999d', undefined],
  ]
  for (const [text, ms] of cases) t.equal(parseDuration(text), ms, JSON.stringify(text))
  t.end()
})

test('KiB is 1024 bytes, and KB is 1000', (t) => {
  const cases: readonly [string, number | undefined][] = [
    ['256MiB', 268_435_456],
    ['64KB', 64_000],
    ['64KiB', 65_536],
    ['64kb', 64_000],
    ['1GiB', 1_073_741_824],
    ['10B', 10],
    ['1024', 1024],
    ['1 MiB', 1_048_576],
    ['64K', undefined],
    ['-1', undefined],
    ['1.5MiB', undefined],
    ['', undefined],
    ['MiB', undefined],
  ]
  for (const [text, bytes] of cases) t.equal(parseSize(text), bytes, JSON.stringify(text))
  t.end()
})

test('a formatted duration or size parses back to the same number', (t) => {
  assert(property(nat({ max: 1e12 }), (number) => parseDuration(formatDuration(number)) === number && parseSize(formatSize(number)) === number))
  t.equal(formatDuration(3_600_000), '1h')
  t.equal(formatDuration(90_000), '90s')
  t.equal(formatSize(268_435_456), '256MiB')
  t.equal(formatSize(1000), '1000')
  t.end()
})

test('no time that can be set is too long for a timer, ten times over', (t) => {
  let found = 0
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return
    if ('unit' in node && node.unit === 'ms') {
      found++
      // Some deadlines are a multiple of the setting. Beyond 2^31 - 1 a timer of Node's ends at once, and a wait becomes a
      // loop.
      t.ok('maximum' in node && Number(node.maximum) * 10 < 2 ** 31, path)
    }
    for (const [name, value] of Object.entries(node)) walk(value, `${path}.${name}`)
  }
  walk(configSchema, 'config')
  t.ok(found > 10)
  t.end()
})

import * as fc from 'fast-check'
import { test } from 'tap'
import { parseContentRange, parseRange } from '../../src/http/range.ts'
import { property, table, textOf } from './table.ts'

const ofThousand = (value: string | undefined): unknown => parseRange(value, 1000, 5)

test('the forms of RFC 9110 §14.1.2 are resolved against the length', async (t) => {
  table(t, [
    ['valid', 'bytes=0-499', [{ start: 0, end: 500 }]],
    ['valid', 'bytes=500-999', [{ start: 500, end: 1000 }]],
    ['valid', 'bytes=500-', [{ start: 500, end: 1000 }]],
    ['valid', 'bytes=-500', [{ start: 500, end: 1000 }]],
    ['valid', 'bytes=-5000', [{ start: 0, end: 1000 }]],
    ['valid', 'bytes=0-0', [{ start: 0, end: 1 }]],
    ['valid', 'bytes=999-', [{ start: 999, end: 1000 }]],
    ['valid', 'bytes=900-5000', [{ start: 900, end: 1000 }]],
    ['valid', 'BYTES=00-01', [{ start: 0, end: 2 }]],
    ['valid', 'bytes=0-0,-1', [{ start: 0, end: 1 }, { start: 999, end: 1000 }]],
    ['valid', 'bytes= 0-0 ,\t, 5-6, ', [{ start: 0, end: 1 }, { start: 5, end: 7 }]],
    ['valid', 'bytes=0-1,2000-3000', [{ start: 0, end: 2 }]],
    ['valid', 'bytes=20-29,0-9', [{ start: 20, end: 30 }, { start: 0, end: 10 }]],
    ['hostile', `bytes=0-${'9'.repeat(400)}`, [{ start: 0, end: 1000 }]],
    ['hostile', `bytes=-${'9'.repeat(400)}`, [{ start: 0, end: 1000 }]],
  ], ofThousand)
})

test('ranges that lie past the end are unsatisfiable', async (t) => {
  table(t, [
    ['valid', 'bytes=1000-', 'unsatisfiable'],
    ['valid', 'bytes=1000-2000', 'unsatisfiable'],
    ['valid', 'bytes=-0', 'unsatisfiable'],
    ['valid', 'bytes=2000-3000, -0', 'unsatisfiable'],
    ['hostile', `bytes=${'9'.repeat(400)}-`, 'unsatisfiable'],
    ['hostile', `bytes=${'9'.repeat(400)}-${'9'.repeat(401)}`, 'unsatisfiable'],
  ], ofThousand)
  t.equal(parseRange('bytes=0-', 0, 5), 'unsatisfiable', 'of nothing')
  t.equal(parseRange('bytes=-1', 0, 5), undefined, 'the last byte of nothing is the whole of it')
})

test('a field that cannot be obeyed is ignored', async (t) => {
  table(t, [
    ['valid', undefined, undefined],
    ['valid', 'lines=0-5', undefined],
    ['malformed', '', undefined],
    ['malformed', 'bytes', undefined],
    ['malformed', 'bytes=', undefined],
    ['malformed', 'bytes=,', undefined],
    ['malformed', 'bytes=-', undefined],
    ['malformed', 'bytes=5', undefined],
    ['malformed', 'bytes=5-4', undefined],
    ['malformed', 'bytes=2000-1999', undefined],
    ['malformed', 'bytes=a-b', undefined],
    ['malformed', 'bytes=0-5x', undefined],
    ['malformed', 'bytes=0 - 5', undefined],
    ['malformed', 'bytes=--5', undefined],
    ['malformed', 'bytes=0-5-9', undefined],
    ['malformed', 'bytes=+0-5', undefined],
    ['malformed', 'bytes=0-5;6-7', undefined],
    ['malformed', 'bytes =0-5', undefined],
    ['malformed', ' bytes=0-5', undefined],
    ['malformed', 'bytes=0-5, x', undefined],
    ['malformed', 'bytes:0-5', undefined],
    ['hostile', 'bytes=0-0,2-2,4-4,6-6,8-8,10-10', undefined],
    ['hostile', 'bytes=0-,0-,0-', undefined],
    ['hostile', 'bytes=0-9,5-14,10-19', undefined],
    ['hostile', `bytes=${'0-,'.repeat(100_000)}`, undefined],
    ['hostile', `bytes=${','.repeat(100_000)}`, undefined],
    ['hostile', 'bytes=\u0660-5', undefined],
  ], ofThousand)
  t.equal(parseRange('bytes=0-1', 1000, 0), undefined, 'none are allowed')
})

test('ranges that overlap or touch become one, at the place of the first', async (t) => {
  table(t, [
    ['valid', 'bytes=0-9,10-19', [{ start: 0, end: 20 }]],
    ['valid', 'bytes=10-19,0-9', [{ start: 0, end: 20 }]],
    ['valid', 'bytes=0-9,5-14', [{ start: 0, end: 15 }]],
    ['valid', 'bytes=0-99,10-19', [{ start: 0, end: 100 }]],
    ['valid', 'bytes=0-0,0-0', [{ start: 0, end: 1 }]],
    ['valid', 'bytes=50-59,0-9,60-69', [{ start: 50, end: 70 }, { start: 0, end: 10 }]],
    ['valid', 'bytes=0-9,10-19,20-29', [{ start: 0, end: 30 }]],
  ], ofThousand)
})

test('Content-Range is read as RFC 9110 §14.4 spells it', async (t) => {
  table(t, [
    ['valid', 'bytes 0-99/1234', { start: 0, end: 100, complete: 1234 }],
    ['valid', 'bytes 0-99/100', { start: 0, end: 100, complete: 100 }],
    ['valid', 'Bytes 5-5/*', { start: 5, end: 6, complete: undefined }],
    ['valid', 'bytes */1234', undefined],
    ['malformed', '', undefined],
    ['malformed', 'bytes 0-99', undefined],
    ['malformed', 'bytes=0-99/100', undefined],
    ['malformed', 'bytes 0-99/99', undefined],
    ['malformed', 'bytes 9-8/100', undefined],
    ['malformed', 'bytes -9/100', undefined],
    ['malformed', 'bytes 0-/100', undefined],
    ['malformed', 'bytes  0-9/100', undefined],
    ['malformed', 'bytes 0-9/100 ', undefined],
    ['malformed', 'bytes 0-9/100, bytes 0-9/100', undefined],
    ['malformed', 'items 0-9/100', undefined],
    ['hostile', 'bytes 0-9007199254740992/*', undefined],
    ['hostile', `bytes 0-9/${'9'.repeat(400)}`, undefined],
    ['hostile', 'bytes 0-9/100\n', undefined],
  ], parseContentRange)
})

test('properties of ranges', async (t) => {
  const text = textOf('bytes=', '0', '9', '50', '-', ',', ' ', '*', '/').map((value) => `bytes=${value}`)
  property(t, 'reading never throws; ranges lie within, are not empty, and are apart', fc.tuple(text, fc.nat({ max: 1000 })), ([value, length]) => {
    parseContentRange(value.replace('=', ' '))
    const ranges = parseRange(value, length, 10)
    if (ranges === undefined || ranges === 'unsatisfiable') return true
    const inOrder = ranges.toSorted((a, b) => a.start - b.start)
    return ranges.length > 0 && inOrder.every(({ start, end }, i) => {
      const before = inOrder[i - 1]
      return start >= 0 && start < end && end <= length && (before === undefined || before.end < start)
    })
  })
})

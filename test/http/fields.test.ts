import { test } from 'tap'
import { connectionNamed, fieldLines, fieldLineValues, fieldValue, hasField, isHopByHop, listMembers, withoutFields } from '../../src/http/fields.ts'
import { property, table, textOf } from './table.ts'

const lines = ['a', '1', 'b', '2', 'a', '3']

test('fields are found by name, and lines of one name are joined in order', async (t) => {
  t.strictSame(fieldLines(['X-A', 'V', 'b', 'W']), ['x-a', 'V', 'b', 'W'])
  t.equal(fieldValue(lines, 'a'), '1, 3')
  t.equal(fieldValue(lines, 'c'), undefined)
  t.equal(fieldValue(['a', ''], 'a'), '')
  t.equal(fieldValue(['b', 'a'], 'a'), undefined, 'a value is not a name')
  t.strictSame(fieldLineValues(lines, 'a'), ['1', '3'])
  t.ok(hasField(lines, 'b'))
  t.notOk(hasField(lines, '2'))
  t.strictSame(withoutFields(lines, new Set(['a'])), ['b', '2'])
})

test('a list is split at the commas outside its quotes', async (t) => {
  table(t, [
    ['valid', 'a, b', ['a', 'b']],
    ['valid', '', []],
    ['valid', ', a,,', ['a']],
    ['valid', '"a, b", c', ['"a, b"', 'c']],
    ['valid', '"a\\", b", c', ['"a\\", b"', 'c']],
    ['malformed', 'a, "b, c', ['a', '"b, c']],
    ['hostile', 'a, "b\\', ['a', '"b\\']],
  ], listMembers)
  property(t, 'no text is lost but commas and space', textOf('"', '\\', ',', ' ', 'a'), (value) => {
    return listMembers(value).join('').replaceAll(/[\s,]/g, '') === value.replaceAll(/[\s,]/g, '')
  })
})

test('fields of one connection are known, and so are those that Connection names', async (t) => {
  t.ok(isHopByHop('transfer-encoding', connectionNamed([])))
  t.ok(isHopByHop('x-a', connectionNamed(['connection', 'close, X-A'])))
  t.notOk(isHopByHop('x-b', connectionNamed(['connection', 'close, X-A'])))
  t.notOk(isHopByHop('x-a', connectionNamed(['connection', 'close'])))
})

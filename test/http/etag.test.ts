import * as fc from 'fast-check'
import { test } from 'tap'
import { matchesList, parseEntityTag, strongMatch, weakMatch } from '../../src/http/etag.ts'
import { property, table, textOf } from './table.ts'

test('an entity-tag is read as RFC 9110 §8.8.3 spells it', async (t) => {
  table(t, [
    ['valid', '"xyzzy"', { weak: false, opaque: '"xyzzy"' }],
    ['valid', 'W/"xyzzy"', { weak: true, opaque: '"xyzzy"' }],
    ['valid', '""', { weak: false, opaque: '""' }],
    ['valid', '"a,b\\"', { weak: false, opaque: '"a,b\\"' }],
    ['valid', '"\u00e9"', { weak: false, opaque: '"\u00e9"' }],
    ['malformed', '', undefined],
    ['malformed', 'xyzzy', undefined],
    ['malformed', '"xyzzy', undefined],
    ['malformed', 'xyzzy"', undefined],
    ['malformed', 'w/"xyzzy"', undefined],
    ['malformed', 'W/xyzzy', undefined],
    ['malformed', 'W/ "xyzzy"', undefined],
    ['malformed', '"a b"', undefined],
    ['malformed', '"a"b"', undefined],
    ['malformed', '"a", "b"', undefined],
    ['malformed', '*', undefined],
    ['hostile', '"a\u0000"', undefined],
    ['hostile', '"a\n"', undefined],
    ['hostile', '"a"\n', undefined],
  ], parseEntityTag)
})

test('the comparison table of RFC 9110 §8.8.3.2 holds', async (t) => {
  const rows = [
    ['W/"1"', 'W/"1"', false, true],
    ['W/"1"', 'W/"2"', false, false],
    ['W/"1"', '"1"', false, true],
    ['"1"', '"1"', true, true],
  ] as const
  for (const [a, b, strong, weak] of rows) {
    t.equal(strongMatch(a, b), strong, `strong ${a} ${b}`)
    t.equal(strongMatch(b, a), strong, `strong ${b} ${a}`)
    t.equal(weakMatch(a, b), weak, `weak ${a} ${b}`)
    t.equal(weakMatch(b, a), weak, `weak ${b} ${a}`)
  }
})

test('a malformed tag equals itself byte for byte, and nothing else', async (t) => {
  t.ok(weakMatch('abc', 'abc'))
  t.ok(strongMatch('abc', 'abc'))
  t.notOk(weakMatch('abc', '"abc"'))
  t.notOk(weakMatch('abc', 'ABC'))
  t.ok(weakMatch('w/"a"', 'w/"a"'))
  t.notOk(weakMatch('w/"a"', '"a"'))
  t.notOk(strongMatch('w/"a"', 'w/"a"'), 'a tag that begins like a weak one is not strong')
  t.notOk(strongMatch('W/a', 'W/a'))
  t.notOk(weakMatch('', ''))
  t.notOk(strongMatch('', ''))
})

test('a list matches when one of its members does', async (t) => {
  table(t, [
    ['valid', ['"a"', '"a"'], true],
    ['valid', ['  "a"\t', '"a"'], true],
    ['valid', ['"b", "a"', '"a"'], true],
    ['valid', ['"b" , W/"a" ,"c"', '"a"'], true],
    ['valid', ['"b","c"', '"a"'], false],
    ['valid', ['"b,a", "c,d"', '"c,d"'], true],
    ['valid', ['"x, "a", y"', '"a"'], false],
    ['valid', ['"\\", "a"', '"a"'], true],
    ['valid', [',, "a",,', '"a"'], true],
    ['valid', ['W/"a", "b"', 'W/"a"'], true],
    ['valid', ['*', '"a"'], true],
    ['valid', [' * ', undefined], true],
    ['valid', ['"a"', undefined], false],
    ['malformed', ['', '"a"'], false],
    ['malformed', ['', ''], false],
    ['malformed', ['"b", *', '"a"'], false],
    ['malformed', ['abc', 'abc'], true],
    ['malformed', ['"x", abc, "y"', 'abc'], true],
    ['malformed', ['abc', '"abc"'], false],
    ['malformed', ['a,b', 'a,b'], true],
    ['malformed', ['"a b", "c"', '"c"'], true],
    ['malformed', ['"a b", "c"', '"a b"'], true],
    ['malformed', ['"b"x, "a"', '"a"'], true],
    ['malformed', ['x"b", "a"', '"a"'], true],
    ['malformed', ['"a"x, "b"', '"a"'], false],
    ['malformed', ['"a', '"a"'], false],
    ['hostile', ['"'.repeat(100_001), '"a"'], false],
    ['hostile', [`${'",'.repeat(50_000)}"a"`, '"a"'], true],
    ['hostile', [`${'W/'.repeat(50_000)}"a"`, '"a"'], false],
  ], ([list, etag]: readonly [string, string | undefined]) => matchesList(list, etag, 'weak'))
  t.notOk(matchesList('W/"a", "b"', 'W/"a"', 'strong'))
  t.notOk(matchesList('W/"a"', '"a"', 'strong'))
  t.ok(matchesList('W/"a", "b"', '"b"', 'strong'))
  t.ok(matchesList('*', 'W/"a"', 'strong'))
})

test('properties of entity tags', async (t) => {
  const text = textOf('"', 'W/', ',', ' ', 'a', '\\', '*')
  property(t, 'reading and matching never throw, and a tag is found in itself', fc.tuple(text, text), ([list, etag]) => {
    parseEntityTag(etag)
    matchesList(list, etag, 'strong')
    matchesList(list, etag, 'weak')
    return etag.trim() === '' || /^[ \t]|[ \t]$/.test(etag) || matchesList(etag, etag, 'weak')
  })
  const opaque = fc.string({ unit: fc.constantFrom('a', 'b', ',', '\\', '*', '\u00e9', '/') }).map((chars) => `"${chars}"`)
  property(t, 'a list of well-formed tags matches exactly its members', fc.tuple(fc.array(opaque), opaque), ([list, etag]) => {
    return matchesList(list.join(', '), etag, 'strong') === list.includes(etag)
      && matchesList(list.map((tag) => `W/${tag}`).join(','), etag, 'weak') === list.includes(etag)
  })
})

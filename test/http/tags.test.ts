import { test } from 'tap'
import { groupInvalidations, responseTags } from '../../src/http/tags.ts'
import { property, table, textOf } from './table.ts'

const all = (...tags: string[]): unknown => ({ tags, complete: true })

test('tags come from three fields, trimmed, once each, in order', async (t) => {
  table(t, [
    ['valid', [], all()],
    ['valid', ['cache-tag', 'a, b ,c,,\t d e '], all('a', 'b', 'c', 'd e')],
    ['valid', ['cache-tag', 'a', 'cache-tag', 'b'], all('a', 'b')],
    ['valid', ['surrogate-key', ' a  b\tc '], all('a', 'b', 'c')],
    ['valid', ['surrogate-key', 'a,b'], all('a,b')],
    ['valid', ['cache-groups', '"a", "b, c";x=1, "d\\"e"'], all('a', 'b, c', 'd"e')],
    ['valid', ['cache-groups', '"a"', 'cache-groups', '"b"'], all('a', 'b')],
    ['valid', ['cache-groups', '""'], all()],
    ['valid', ['cache-tag', 'a, a, A', 'surrogate-key', 'a b', 'cache-groups', '"b", "c"'], all('a', 'A', 'b', 'c')],
    ['valid', ['cache-tag', 'gr\xc3\xb6\xc3\x9fe, gr\xf6\xdfe'], all('größe')],
    ['valid', ['surrogate-key', '\xc3\xa0 \xf0\x9f\x91\x9c'], all('à', '👜')],
    ['malformed', ['cache-tag', '\xc3, \xc0\xaf, \xed\xa0\x80'], all('\xc3', '\xc0\xaf', '\xed\xa0\x80')],
    ['malformed', ['cache-tag', '"a, b"'], all('"a', 'b"')],
    ['malformed', ['cache-tag', '', 'surrogate-key', '', 'cache-groups', ''], all()],
  ], responseTags)
})

test('a response whose tags cannot all be taken says so', async (t) => {
  table(t, [
    ['malformed', ['cache-tag', 'x', 'cache-groups', 'a b'], { tags: ['x'], complete: false }],
    ['malformed', ['cache-groups', '"a", b, 5'], { tags: ['a'], complete: false }],
    ['malformed', ['cache-groups', '"a", ("b")'], { tags: ['a'], complete: false }],
    ['malformed', ['cache-groups', '"a'], { tags: [], complete: false }],
    ['valid', ['cache-tag', 'x'.repeat(1024)], all('x'.repeat(1024))],
    ['hostile', ['cache-tag', `a,${'x'.repeat(1025)},b`], { tags: ['a', 'b'], complete: false }],
  ], responseTags)
  const names = Array.from({ length: 1001 }, (_, i) => `t${i}`)
  t.strictSame(responseTags(['cache-tag', names.slice(0, 1000).join(',')]), all(...names.slice(0, 1000)))
  t.strictSame(responseTags(['surrogate-key', names.join(' ')]), { tags: names.slice(0, 1000), complete: false })
  t.strictSame(responseTags(['cache-tag', 'a,'.repeat(5000)]), all('a'), 'doubles do not count')
})

test('Cache-Group-Invalidation names the groups that are no longer current', async (t) => {
  table(t, [
    ['valid', [], []],
    ['valid', ['cache-group-invalidation', '"eurovision-results", "australia"'], ['eurovision-results', 'australia']],
    ['valid', ['cache-group-invalidation', '"a";x, "a"', 'cache-group-invalidation', '"b"'], ['a', 'b']],
    ['valid', ['cache-groups', '"a"'], []],
    ['malformed', ['cache-group-invalidation', 'a b'], []],
    ['malformed', ['cache-group-invalidation', '"a", b'], ['a']],
    ['malformed', ['cache-group-invalidation', ''], []],
    ['hostile', ['cache-group-invalidation', `"a", "", "${'x'.repeat(1025)}"`], ['a']],
  ], groupInvalidations)
})

test('reading tags never throws', async (t) => {
  property(t, 'for any text', textOf('"', ',', ' ', 'a', '\\', '(', ')', ';', '?', '='), (value) => {
    const { tags } = responseTags(['cache-tag', value, 'surrogate-key', value, 'cache-groups', value])
    groupInvalidations(['cache-group-invalidation', value])
    return new Set(tags).size === tags.length && tags.every((tag) => tag !== '')
  })
})

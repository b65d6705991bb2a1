import { test } from 'tap'
import { groupInvalidations, responseTags as tagsOf, tagFault, type TagField } from '../../src/http/tags.ts'
import type { FieldLines } from '../../src/http/fields.ts'
import { defaultTags } from '../policy/scene.ts'
import { property, table, textOf } from './table.ts'

const all = (...tags: string[]): unknown => ({ tags, fault: undefined })
const responseTags = (lines: FieldLines, fields: readonly TagField[] = defaultTags.fields): ReturnType<typeof tagsOf> => tagsOf(lines, fields)

test('tags come from the fields of the configuration, trimmed, once each, in order', async (t) => {
  table(t, [
    ['valid', [], all()],
    ['valid', ['cache-tag', 'a, b ,c,,\t d e '], all('a', 'b', 'c', 'd e')],
    ['valid', ['cache-tag', 'a', 'cache-tag', 'b'], all('a', 'b')],
    ['valid', ['surrogate-key', ' a  b\tc '], all('a', 'b', 'c')],
    ['valid', ['surrogate-key', 'a,b'], all('a,b', 'a', 'b')],
    ['valid', ['surrogate-key', '/a, /b'], all('/a', '/b')],
    ['valid', ['surrogate-key', ',a ,, b,, ,c,d,'], all('a', 'b', 'c,d', 'c', 'd')],
    ['valid', ['xkey', 'a b', 'xkey', 'c'], all('a', 'b', 'c')],
    ['valid', ['cache-tags', 'a b,c', 'edge-cache-tag', 'd', 'x-magento-tags', 'e,f'], all('a b', 'c', 'd', 'e', 'f')],
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
    ['malformed', ['cache-tag', 'x', 'cache-groups', 'a b'], { tags: ['x'], fault: 'bad-cache-groups' }],
    ['malformed', ['cache-groups', '"a", b, 5'], { tags: ['a'], fault: 'bad-cache-groups' }],
    ['malformed', ['cache-groups', '"a", ("b")'], { tags: ['a'], fault: 'bad-cache-groups' }],
    ['malformed', ['cache-groups', '"a'], { tags: [], fault: 'bad-cache-groups' }],
    ['valid', ['cache-tag', 'x'.repeat(1024)], all('x'.repeat(1024))],
    ['hostile', ['cache-tag', `a,${'x'.repeat(1025)},b`], { tags: ['a', 'b'], fault: 'too-many-tags' }],
  ], responseTags)
  const names = Array.from({ length: 1001 }, (_, i) => `t${i}`)
  t.strictSame(responseTags(['cache-tag', names.slice(0, 1000).join(',')]), all(...names.slice(0, 1000)))
  t.strictSame(responseTags(['surrogate-key', names.join(' ')]), { tags: names.slice(0, 1000), fault: 'too-many-tags' })
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

test('a field may part its tags by commas, by spaces, by both, or be structured', async (t) => {
  const value = '"a b", "c"'
  const by = (separator: TagField['separator']): readonly string[] => tagsOf(['x', value, 'cache-tag', 'y'], [{ name: 'x', separator }]).tags
  t.strictSame(by('comma'), ['"a b"', '"c"'])
  t.strictSame(by('space'), ['"a', 'b"', '"c"'])
  t.strictSame(by('both'), ['"a', 'b"', '"c"'])
  t.strictSame(by('structured'), ['a b', 'c'])
})

test('a tag that no response can carry has a fault, which says where', async (t) => {
  for (const tag of ['a', 'a b', 'a,b', 'a\tb', 'größe', '鞄', '👜', '"a"']) t.equal(tagFault(tag), undefined, tag)
  for (const tag of [' a', 'a ', '\ta', 'a\t', ' ']) t.match(tagFault(tag), /^begins or ends with a space or tab/)
  t.match(tagFault('ab\0'), /control character \(U\+0000, character 3\)/)
  t.match(tagFault('a\n'), /control character \(U\+000A, character 2\)/)
  t.match(tagFault('\x7f'), /control character \(U\+007F, character 1\)/)
  t.match(tagFault('a\ud83d'), /half a surrogate pair/)
})

test('reading tags never throws', async (t) => {
  property(t, 'for any text', textOf('"', ',', ' ', 'a', '\\', '(', ')', ';', '?', '='), (value) => {
    const { tags } = responseTags(['cache-tag', value, 'surrogate-key', value, 'cache-groups', value])
    groupInvalidations(['cache-group-invalidation', value])
    return new Set(tags).size === tags.length && tags.every((tag) => tag !== '')
  })
})

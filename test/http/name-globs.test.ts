import * as fc from 'fast-check'
import { test } from 'tap'
import { compileNames } from '../../src/http/name-globs.ts'
import { property, table } from './table.ts'

// Fails if a star counts only at the ends of a name.
test('a star anywhere in a name stands for any characters, or none', async (t) => {
  table<readonly [pattern: string, name: string], boolean>(t, [
    ['valid', ['utm_*', 'utm_source'], true],
    ['valid', ['utm_*', 'utm_'], true],
    ['valid', ['utm_*', 'xutm_'], false],
    ['valid', ['*_ref', 'fb_ref'], true],
    ['valid', ['*_ref', 'fb_refs'], false],
    ['valid', ['utm*source', 'utm_source'], true],
    ['valid', ['utm*source', 'utmsource'], true],
    ['valid', ['utm*source', 'utm_source2'], false],
    ['valid', ['*click*', 'gclickid'], true],
    ['valid', ['*click*', 'click'], true],
    ['valid', ['*click*', 'clic'], false],
    ['valid', ['a*b*c', 'a1b2c'], true],
    ['valid', ['a*b*c', 'abc'], true],
    ['valid', ['a*b*c', 'ac'], false],
    ['valid', ['*', ''], true],
    ['valid', ['*', 'anything'], true],
    ['valid', ['**', ''], true],
    ['valid', ['a**b', 'ab'], true],
    ['valid', ['fbclid', 'fbclid'], true],
    ['valid', ['fbclid', 'FBCLID'], false],
    // The pieces may not overlap.
    ['hostile', ['aba*aba', 'aba'], false],
    ['hostile', ['aba*aba', 'ababa'], false],
    ['hostile', ['aba*aba', 'abaaba'], true],
    ['hostile', ['*ab*ab*', 'ab'], false],
    ['hostile', ['a*ab', 'ab'], false],
    ['hostile', ['*a*ab', 'xaab'], true],
    // Only the star is special.
    ['hostile', ['a.c*', 'abc'], false],
    ['hostile', ['[a]*', 'a'], false],
    ['hostile', ['a?*', 'ab'], false],
    ['hostile', ['utm_*', 'utm%5Fid'], false],
    ['hostile', ['a\\*', 'a\\b'], true],
  ], ([pattern, name]) => compileNames([pattern])(name))
  t.same(['a', 'xb', 'b1', 'c', ''].map(compileNames(['a', '*b', 'b*'])), [true, true, true, false, false], 'one of several is enough')
  t.equal(compileNames([])('a'), false)
})

test('globs match what the regular expression of the same meaning does', async (t) => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 })
  property(t, 'the same', fc.tuple(piece, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 })), ([pattern, name]) => {
    return compileNames([pattern])(name) === new RegExp(`^${pattern.replaceAll(/\*+/g, '.*')}$`).test(name)
  })
})

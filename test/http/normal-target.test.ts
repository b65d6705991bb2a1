import * as fc from 'fast-check'
import { test } from 'tap'
import { evenlyEncoded, normalPath, normalPrefix, normalTarget } from '../../src/http/normal-target.ts'
import { property, table, textOf } from './table.ts'

const text = textOf('/', '.', '..', '%', '%61', '%c3', '%2F', '%2e', '%25', ';', '?', 'a', '\u00e9')

test('targets that RFC 3986 treats as one URL have one normal form', async (t) => {
  table(t, [
    ['valid', '/account', '/account'],
    ['valid', '/%61ccount?b=%7e', '/account?b=~'],
    ['valid', '/caf%c3%a9?q=%c3%a9', '/caf%C3%A9?q=%C3%A9'],
    ['valid', '/a/./b/.', '/a/b/'],
    ['valid', '/a/%2e/b', '/a/b'],
    ['valid', '/a/../b', '/b'],
    ['valid', '/a/..', '/'],
    ['valid', '/..', '/'],
    ['valid', '/.well-known/a..b/...', '/.well-known/a..b/...'],
    ['valid', '/a?b=/../c/./d', '/a?b=/../c/./d'],
    ['valid', '/a?', '/a?'],
    ['malformed', '/caf\u00c3\u00a9', '/caf%C3%A9'],
    ['malformed', '/100%', '/100%'],
    ['malformed', '/%6/%zz', '/%6/%zz'],
    // Not equivalent by RFC 3986.
    ['hostile', '//a', '//a'],
    ['hostile', '/a%2fb', '/a%2Fb'],
    ['hostile', '/a;x=1/.;y/b', '/a;x=1/.;y/b'],
    ['hostile', '/%2561', '/%2561'],
    ['hostile', '/%%361', '/%61'],
    ['hostile', '/A', '/A'],
    ['hostile', '/a\\.\\b', '/a\\.\\b'],
  ], normalTarget)
})

test('the beginning of a target keeps a last segment that may be half a name', async (t) => {
  table(t, [
    ['valid', '/a/.', '/a/.'],
    ['valid', '/a/./.', '/a/.'],
    ['valid', '/a/./', '/a/'],
    ['valid', '/%61/%2e', '/a/.'],
    ['valid', '/a?b=%61', '/a?b=a'],
    ['valid', '/./?b=%61', '/?b=a'],
  ], normalPrefix)
})

test('a path is encoded evenly without any other change', async (t) => {
  table(t, [
    ['valid', '/%61/./%c3', '/%61/./%C3'],
    ['malformed', '/\u00e9', '/%E9'],
  ], evenlyEncoded)
})

test('properties of the normal form', async (t) => {
  // Decoding may complete an encoding (`%%36` + `1`), which is then plain text: RFC 3986 §2.4 decodes once.
  const wellFormed = text.map(value => `/${value.replaceAll(/%(?![0-9A-Fa-f]{2})/g, '')}`)
  property(t, 'it is its own normal form', wellFormed, value => normalTarget(normalTarget(value)) === normalTarget(value))
  property(t, 'paths begin with a slash', text, value => normalPath(`/${value}`).startsWith('/'))
  property(t, 'a target begins with its normal prefix', fc.tuple(wellFormed, fc.nat(20)), ([value, length]) => {
    const path = value.replaceAll('..', '').replaceAll('?', '').replaceAll(/%2e/gi, '')
    const prefix = path.slice(0, length + 1)
    // An encoding or a segment name that ends in the middle begins something else.
    if (/%.?$|%(?![0-9A-Fa-f]{2})/.test(prefix) || /\/\.[^/]*$/.test(prefix)) return true
    return normalTarget(path).startsWith(normalPrefix(prefix))
  })
})

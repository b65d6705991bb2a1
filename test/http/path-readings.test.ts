import * as fc from 'fast-check'
import { test } from 'tap'
import { pathKind, plainestForms } from '../../src/http/path-readings.ts'
import { property, table } from './table.ts'

const forms = (path: string): readonly string[] | undefined => plainestForms(path, true)

test('a path is odd if origins could read it in several ways', async (t) => {
  table(t, [
    ['valid', '/account/settings-1_2~3/app.js', 'plain'],
    ['valid', '/.well-known/a..b', 'plain'],
    ['valid', '/a?b=%61&c=//;d/./', 'plain'],
    ['valid', '/Account', 'cased'],
    ['valid', '/%61ccount', 'odd'],
    ['valid', '/a;x=1', 'odd'],
    ['malformed', '/a//b', 'odd'],
    ['malformed', '//a', 'odd'],
    ['malformed', '/a\\b', 'odd'],
    ['malformed', '/a\u00e9', 'odd'],
    ['hostile', '/a/./b', 'odd'],
    ['hostile', '/a/.', 'odd'],
    ['hostile', '/a.?b', 'odd'],
    ['hostile', '/a b', 'odd'],
    ['hostile', '/a\u0000b', 'odd'],
  ], pathKind)
})

test('the plainest forms of a path remain when an origin undoes everything that some origin undoes', async (t) => {
  table(t, [
    ['valid', '/account', ['/account']],
    ['valid', '/Account/', ['/account/']],
    ['valid', '/%61ccount', ['/account']],
    ['valid', '/account;x=1/y;z', ['/account/y']],
    ['malformed', '/a//b/', ['/a/b/']],
    ['malformed', '/a\\b', ['/a/b']],
    ['malformed', '//account', ['/account', '/']],
    ['malformed', '//host/account', ['/host/account', '/account']],
    ['hostile', '/%2561ccount', ['/account']],
    ['hostile', '/%25252561ccount', ['/account']],
    ['hostile', '/%%361ccount', ['/account']],
    ['hostile', '/x%2faccount', ['/x/account']],
    ['hostile', '/x%5Caccount', ['/x/account']],
    ['hostile', '/./account/.', ['/account/', '/']],
    ['hostile', '/.;x/account', ['/account', '/']],
    ['hostile', '/;/host/account', ['/host/account', '/account']],
    ['hostile', '//host//other/account', ['/host/other/account', '/other/account', '/account']],
    ['hostile', '/account.', ['/account']],
    ['hostile', '/account%20', ['/account']],
    ['hostile', '/account%3Fx', ['/account?x', '/account']],
    ['hostile', '/account%2523/x', ['/account#/x', '/account']],
    ['hostile', '/%09/account', ['/account', '/']],
    ['hostile', '/a;%3bx/account', ['/a/account']],
    ['hostile', '/%EF%BD%81ccount', ['/\uff41ccount', '/account']],
    ['hostile', '/x%EF%BC%8Faccount', ['/x\uff0faccount', '/x/account']],
  ], forms)
})

test('a path that climbs, is no text, or may end in two places has no plainest form', async (t) => {
  table(t, [
    ['malformed', '/100%', undefined],
    ['malformed', '/\\host/account', undefined],
    ['hostile', '//ho%2Fst/account', undefined],
    ['hostile', '/a/../b', undefined],
    ['hostile', '/acc%2500ount', undefined],
    ['hostile', '//host//other//third/account', undefined],
    ['hostile', '/a/..;x/b', undefined],
    ['hostile', '/a/.%2e./b', undefined],
    ['hostile', '/a/%252e%252e/b', undefined],
    ['hostile', '/a%255c..%255cb', undefined],
    ['hostile', '/a/..%00/b', undefined],
    ['hostile', '/a/%EF%BC%8E%EF%BC%8E/b', undefined],
    ['hostile', '/%u0061ccount', undefined],
    ['hostile', '/;%2fx/account', undefined],
    ['hostile', '/%3b%255cx/account', undefined],
    ['hostile', '/;\\x/account', undefined],
    ['hostile', '/%c0%afaccount', undefined],
    ['hostile', '/%EF%BC%8561ccount', undefined],
    ['hostile', '/\u0161', undefined],
    ['hostile', `/a${'%CC%81'.repeat(31)}`, undefined],
  ], forms)
})

/** The changes that origins make to paths, each alone. */
const undoings: readonly ((path: string) => string)[] = [
  path => path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  path => path.replaceAll('\\', '/'),
  path => path.replaceAll(/;[^/]*/g, ''),
  path => path.replaceAll(/\/+/g, '/'),
  path => path.replaceAll(/\/\.(?=\/|$)/g, '/'),
  path => path.replaceAll(/\.+(?=\/|$)/g, ''),
  path => path.replaceAll(/[\s\p{Cc}]/gu, ''),
  path => path.toLowerCase(),
]

test('whatever an origin undoes, and in whichever order, the path has the same plainest form', async (t) => {
  const pieces = ['/', '//', '/./', '\\', '%2f', '%5C', '%', '25', '61', '%61', '%2561', '%2e', '.', ';', '%3b', 'a', 'A', 'account', '%00', '%20']
  const path = fc.string({ unit: fc.constantFrom(...pieces), maxLength: 20 }).map(rest => `/a/${rest}`)
  property(t, 'one form, or none', fc.tuple(path, fc.array(fc.nat(undoings.length - 1), { maxLength: 8 })), ([spelt, steps]) => {
    const whole = forms(spelt)
    if (whole === undefined) return true
    const read = steps.reduce((before, step) => (undoings[step] as (path: string) => string)(before), spelt)
    // A path that climbs on the way has no form. After any step the path has the form of the whole.
    return forms(read)?.[0]?.replace(/\/$/, '') === whole[0]?.replace(/\/$/, '')
  })
})

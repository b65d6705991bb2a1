// A request target as people see it: no value that may be a secret.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { looksLikeToken, shownTargetChars, targetMask } from '../../src/log/masking.ts'

const shown = targetMask(['page', 'q[]'])

t.test('values of query and path parameters are masked unless the parameter is listed', (t) => {
  const cases: readonly [string, string][] = [
    ['/', '/'],
    ['*', '*'],
    ['/a?', '/a?'],
    ['/a?page=2', '/a?page=2'],
    ['/a?page=2&token=abc', '/a?page=2&token=***'],
    ['/a?token=abc&page=2&q[]=x', '/a?token=***&page=2&q[]=x'],
    ['/a?page=1;token=abc', '/a?page=1;token=***'],
    ['/a?abc', '/a?***'],
    ['/a?page', '/a?page'],
    ['/a?a=&&b=c=d', '/a?a=&&b=***'],
    ['/a?Page=2', '/a?Page=***'],
    ['/a?%70age=2', '/a?%70age=***'],
    ['/a?x=1?page=2', '/a?x=***'],
    ['/a;jsessionid=abc/b;page=3?c=d', '/a;jsessionid=***/b;page=3?c=***'],
    ['/a?0123456789abcdef0123456789abcdef=1', '/a?***=***'],
    ['http://user:secret@host/a?b=c', 'http://***@host/a?b=***'],
    ['http://user:se@cret@host', 'http://***@host'],
    ['/@scope/name', '/@scope/name'],
  ]
  for (const [target, line] of cases) t.equal(shown(target), line)
  t.end()
})

t.test('a path segment that is shaped like a token is masked', (t) => {
  const tokens = [
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
    'eyJhbGciOiJub25lIn0.e30.',
    'd41d8cd98f00b204e9800998ecf8427e',
    'DA39A3EE5E6B4B0D3255BFEF95601890AFD80709',
    'sk_live_4eC39HqLyjWDarjtT1zdp7dc',
    'ghp_16C7e42F292c6912E7710c838347Ae178B4a',
    'xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrbzqgy',
    'AKIAIOSFODNN7EXAMPLE',
    'V1StGXR8_Z5jdHi6B-myT',
    '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    'AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY',
    'reset-4eC39HqLyjWDarjtT1zdp7dc.html',
    '550e8400-e29b-41d4-a716-446655440000.4eC39HqLyjWDarjtT1zdp7dc',
  ]
  for (const token of tokens) {
    t.equal(looksLikeToken(token), true, token)
    t.equal(shown(`/a/${token}/b?page=1`), '/a/***/b?page=1')
  }
  t.end()
})

t.test('plain terms, numbers, slugs, names, short hashes and UUIDs are shown', (t) => {
  const plain = [
    'List_of_2020_Summer_Olympics_medal_winners',
    'how-to-make-10-great-pancakes-in-2024',
    'getUserProfileInformationV2',
    'internationalization',
    '550e8400-e29b-41d4-a716-446655440000',
    '550E8400-E29B-41D4-A716-446655440000.json',
    '507f1f77bcf86cd799439011',
    'main.3f2a9c1b.chunk.js',
    'node-v20.11.1-linux-x64.tar.gz',
    'IMG_20240115_103000_HDR.jpg',
    '2024011510300012345',
    'ps5-slim-1tb-hdr10-4k',
    '2024-01-15T10:30:00Z',
    'eyJustAName',
  ]
  for (const segment of plain) t.equal(shown(`/v1/${segment}`), `/v1/${segment}`)
  t.end()
})

// The shares that the docstring and docs/security.md name, over samples that are the same at each run.
t.test('one in twenty random base64url values of 128 bits is shown, and one in five hundred of 256 bits', (t) => {
  for (const [bytes, oneIn] of [[16, 20], [32, 500]] as const) {
    let missed = 0
    for (let i = 0; i < 10_000; i++) if (!looksLikeToken(createHash('sha256').update(`${i}`).digest().subarray(0, bytes).toString('base64url'))) missed++
    t.ok(missed < 10_000 / oneIn, `${missed} of ${bytes} bytes`)
  }
  t.end()
})

t.test('no value of a parameter, no mixed piece and no hexadecimal secret is ever shown, wherever it stands', (t) => {
  const characters = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789')
  const mixed = (text: string): boolean => /\d/.test(text) && /[a-z]/.test(text)
  const token = fc.oneof(
    fc.string({ unit: characters, minLength: 16, maxLength: 60 }).filter((text) => mixed(text) && !/^[0-9a-f]+$/.test(text)),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 128 }).filter(mixed),
  )
  const part = fc.string({ unit: fc.constantFrom(...'aB0-_.~%&;=/?@:é\u0000'), maxLength: 40 })
  fc.assert(fc.property(part, token, part, (before, secret, after) => {
    t.notOk(shown(`/${before}/${secret}/${after}`).includes(secret))
  }))
  const word = fc.string({ unit: fc.constantFrom(...'QWXZ'), minLength: 8, maxLength: 12 })
  fc.assert(fc.property(part, word, part, (before, secret, after) => {
    t.notOk(shown(`/${before}?x=${secret}${after.replaceAll(/[&;]/g, '')}`).includes(secret))
    t.notOk(shown(`/a?${before.replaceAll('=', '')}&${secret}&${after}`).includes(secret))
  }))
  // Wherever a long target is truncated.
  fc.assert(fc.property(fc.nat({ max: 100 }), token, (place, secret) => {
    const line = shown(`/${'a/'.repeat(shownTargetChars / 2 - 60 + place)}${secret}/b`)
    t.ok(line.length <= shownTargetChars + 10)
    for (let end = 8; end <= secret.length; end++) t.notOk(line.includes(secret.slice(0, end)))
  }), { numRuns: 50 })
  t.end()
})

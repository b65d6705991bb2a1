// How the admin API reads the URLs and prefixes that it is given.
import tap from 'tap'
import { readAbsoluteUrl, readUrlPattern, showPattern } from '../../src/admin/url-pattern.ts'

tap.test('an absolute URL names one host, a path alone every host', async (t) => {
  t.same(readUrlPattern('http://api.example.com/v1/a?b=c').pattern, { authority: 'api.example.com', target: '/v1/a?b=c' })
  t.same(readUrlPattern('/v1/a?b=c').pattern, { authority: undefined, target: '/v1/a?b=c' })
})

tap.test('the scheme does not matter, and neither does the case of scheme and host', async (t) => {
  t.same(readUrlPattern('HTTPS://API.Example.com/V1').pattern, { authority: 'api.example.com', target: '/V1' })
})

tap.test('the default port of the scheme is dropped, any other is kept', async (t) => {
  t.equal(readUrlPattern('http://a:80/').pattern?.authority, 'a')
  t.equal(readUrlPattern('https://a:443/').pattern?.authority, 'a')
  t.equal(readUrlPattern('http://a:/').pattern?.authority, 'a')
  t.equal(readUrlPattern('http://a:8080/').pattern?.authority, 'a:8080')
  t.equal(readUrlPattern('http://a:443/').pattern?.authority, 'a:443')
  t.equal(readUrlPattern('http://a:08080/').pattern?.authority, 'a:8080')
})

tap.test('an IPv6 address is one host in whatever spelling', async (t) => {
  for (const spelling of ['[::1]', '[0:0:0:0:0:0:0:1]', '[0::0001]']) {
    t.equal(readUrlPattern(`http://${spelling}:8080/x`).pattern?.authority, '[::1]:8080')
  }
})

tap.test('path and query keep their exact bytes', async (t) => {
  for (const target of ['/a/./b', '/a/../b', '/a\\b', '/{x}', '/a//b', '/%7e', '/?', '/a?b=/../c', '/a?x=[1]', '/*', '/a|b']) {
    t.equal(readUrlPattern(`http://a${target}`).pattern?.target, target)
    t.equal(readUrlPattern(target).pattern?.target, target)
  }
})

tap.test('an empty path is "/", as it is on the wire', async (t) => {
  t.equal(readUrlPattern('http://a').pattern?.target, '/')
  t.equal(readUrlPattern('http://a?x=1').pattern?.target, '/?x=1')
})

tap.test('whatever could only ever match nothing, or something else than was meant, is refused with the reason', async (t) => {
  const refused: Record<string, RegExp> = {
    'http://a/b#c': /fragment/,
    '/b#': /fragment/,
    '//api.example.com/v1': /begins with \/\//,
    'api.example.com/v1': /must be absolute/,
    'v1/a': /must be absolute/,
    'ftp://a/b': /must be absolute/,
    '*': /must be absolute/,
    'http://user:pw@a/b': /user information/,
    'http:///b': /no valid host/,
    'http://a:x/b': /no valid host/,
    'http://a\\b/c': /no valid host/,
    'http://a:0/b': /no valid host/,
    'http://a:65536/b': /no valid host/,
    'http://a%2eb/c': /no valid host/,
    'http://[::g]/b': /no valid host/,
    'http://[:::]/b': /no valid host/,
    'http://[::1/b': /no valid host/,
    '/a b': /percent-encode/,
    '/caf\u00e9': /percent-encode/,
    '/a\nb': /percent-encode/,
    '/a\0b': /percent-encode/,
  }
  for (const [text, reason] of Object.entries(refused)) t.match(readUrlPattern(text).problem, reason, JSON.stringify(text))
})

tap.test('one request is explained at one host: a path alone is not enough', async (t) => {
  t.match(readAbsoluteUrl('/v1/a').problem, /must be absolute/)
  t.equal(readAbsoluteUrl('http://a/v1').pattern?.target, '/v1')
})

tap.test('a formatted pattern parses back to the same pattern', async (t) => {
  for (const text of ['http://a:443/x', '/x?y', 'http://[::1]/']) {
    const { pattern } = readUrlPattern(text)
    t.ok(pattern)
    if (pattern !== undefined) t.same(readUrlPattern(showPattern(pattern)).pattern, pattern)
  }
})

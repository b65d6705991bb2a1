import * as fc from 'fast-check'
import { test } from 'tap'
import { absoluteForm, normaliseAuthority } from '../../src/http/authority.ts'
import { property, table, textOf } from './table.ts'

test('an authority has one spelling', async (t) => {
  table(t, [
    ['valid', 'example.com', 'example.com'],
    ['valid', 'EXAMPLE.Com', 'example.com'],
    ['valid', 'example.com:80', 'example.com'],
    ['valid', 'example.com:', 'example.com'],
    ['valid', 'example.com:080', 'example.com'],
    ['valid', 'example.com:443', 'example.com:443'],
    ['valid', 'Example.com:8080', 'example.com:8080'],
    ['valid', 'example.com:08080', 'example.com:8080'],
    ['valid', 'example.com:65535', 'example.com:65535'],
    ['valid', 'example.com.', 'example.com.'],
    ['valid', 'example.com.:80', 'example.com.'],
    ['valid', 'localhost:3000', 'localhost:3000'],
    ['valid', 'my_service.internal~1', 'my_service.internal~1'],
    ['valid', '127.0.0.1:8080', '127.0.0.1:8080'],
    ['valid', '[::1]', '[::1]'],
    ['valid', '[::1]:80', '[::1]'],
    ['valid', '[0:0::0:1]:8080', '[::1]:8080'],
    ['valid', '[2001:DB8::A]', '[2001:db8::a]'],
    ['valid', 'x'.repeat(255), 'x'.repeat(255)],
    ['valid', `${'x'.repeat(255)}:8080`, `${'x'.repeat(255)}:8080`],
  ], (host) => normaliseAuthority(host, 'http'))
  t.equal(normaliseAuthority('example.com:443', 'https'), 'example.com')
  t.equal(normaliseAuthority('example.com:80', 'https'), 'example.com:80')
})

test('anything but uri-host and port is refused', async (t) => {
  const refused: string[] = [
    '',
    '.',
    '..',
    '.example.com',
    'example..com',
    'example.com..',
    ':80',
    ':',
    'user@example.com',
    'user:pw@example.com',
    'example.com/',
    'example.com/path',
    'example.com?x',
    'example.com#x',
    'exa mple.com',
    ' example.com',
    'example.com ',
    'example.com\t',
    'example.com, example.org',
    'http://example.com',
    'example.com:0',
    'example.com:65536',
    'example.com:99999',
    'example.com:8080x',
    'example.com:-1',
    'example.com:+80',
    'example.com: 80',
    'example.com:80:80',
    'example.com:000080',
    '[::1',
    '::1',
    '[::1]x',
    '[::1]:x',
    '[]',
    '[::g]',
    '[::1%25eth0]',
    '[v1.x]',
    '[1.2.3.4]',
    '[::1]]',
    'a[::1]',
    'ex%61mple.com',
    'example.com%00',
    'exämple.com',
    'example.com\u0000',
    'example.com\n',
    'example.com\r\nx: y',
    'exam\\ple.com',
    '"example.com"',
    '<script>',
    'a|b',
    'a^b',
    'a`b',
    'a{b}',
    'x'.repeat(256),
    `${'x'.repeat(256)}:80`,
    `${'a.'.repeat(50_000)}:`,
    `${'A'.repeat(100_000)}`,
  ]
  for (const host of refused) t.equal(normaliseAuthority(host, 'http'), undefined, JSON.stringify(host.slice(0, 60)))
})

test('properties of an authority', async (t) => {
  const text = textOf('a', 'Z', '0', '.', ':', '80', '[', ']', '::1', '-', '@', '/', '%')
  property(t, 'normalising never throws; what is normal stays as it is, and is the host of its URL', fc.tuple(text, fc.constantFrom('http', 'https')), ([host, scheme]) => {
    const normal = normaliseAuthority(host, scheme)
    return normal === undefined || (normaliseAuthority(normal, scheme) === normal && !/[A-Z@/\s%]/.test(normal))
  })
})

test('a target in absolute-form is split into authority and origin-form', async (t) => {
  table(t, [
    ['valid', 'http://example.com/path?q=1', { scheme: 'http', authority: 'example.com', target: '/path?q=1' }],
    ['valid', 'HTTPS://Example.com:443/a/./b', { scheme: 'https', authority: 'Example.com:443', target: '/a/./b' }],
    ['valid', 'http://example.com', { scheme: 'http', authority: 'example.com', target: '/' }],
    ['valid', 'http://example.com?x=//y', { scheme: 'http', authority: 'example.com', target: '/?x=//y' }],
    ['valid', 'http://[::1]:80/', { scheme: 'http', authority: '[::1]:80', target: '/' }],
    ['valid', 'http://example.com//x', { scheme: 'http', authority: 'example.com', target: '//x' }],
    ['valid', '/path', undefined],
    ['valid', '*', undefined],
    ['valid', 'example.com:443', undefined],
    ['valid', 'ftp://example.com/', undefined],
    ['malformed', 'http:/example.com/', undefined],
    ['malformed', 'http://example.com/#a', undefined],
    ['malformed', 'http://example.com#a', undefined],
    ['malformed', 'http:///path', { scheme: 'http', authority: '', target: '/path' }], // normaliseAuthority refuses it
    ['hostile', 'http://user@evil/', { scheme: 'http', authority: 'user@evil', target: '/' }], // and this
    ['hostile', 'http://example.com\\@evil/', undefined],
    ['hostile', '//example.com/', undefined],
  ], absoluteForm)
})

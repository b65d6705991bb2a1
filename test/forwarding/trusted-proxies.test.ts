import tap from 'tap'
import { plainAddress, trustedProxyMatcher } from '../../src/forwarding/trusted-proxies.ts'

tap.test('true trusts every peer, false none', async (t) => {
  t.ok(trustedProxyMatcher(true)('203.0.113.9'))
  t.notOk(trustedProxyMatcher(false)('127.0.0.1'))
})

tap.test('a list trusts its addresses and ranges, and no other peer', async (t) => {
  const trusts = trustedProxyMatcher(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', 'loopback'])
  for (const address of ['10.1.2.3', '192.0.2.7', '2001:db8::5', '127.0.0.1', '::1']) t.ok(trusts(address), address)
  for (const address of ['11.0.0.1', '192.0.2.8', '2001:db9::1', '', 'unknown']) t.notOk(trusts(address), address)
})

tap.test('an IPv4 peer on an IPv6 socket is the IPv4 peer', async (t) => {
  t.equal(plainAddress('::ffff:10.0.0.1'), '10.0.0.1')
  t.equal(plainAddress('fe80::1%eth0'), 'fe80::1')
  t.ok(trustedProxyMatcher(['10.0.0.0/8'])('::ffff:10.0.0.1'))
})

tap.test('a member that is neither an address nor a range is refused', async (t) => {
  for (const member of ['10.0.0.0/33', 'example.com', '10.0.0/8', '10.0.0.0/', '::1/129']) t.throws(() => trustedProxyMatcher([member]), member)
})

// The proxies whose statements about earlier hops are trusted.
import { BlockList, isIP } from 'node:net'

/** Returns IPv4 in its own notation for any socket family: `::ffff:10.0.0.1` becomes 10.0.0.1. Zone ids are removed. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return ''
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7)
  const zone = address.indexOf('%')
  return zone === -1 ? address : address.slice(0, zone)
}

/**
 * Returns a predicate that is true for a trusted proxy's address. `true` trusts every peer, `false` none. A list holds
 * addresses and CIDR ranges (`10.0.0.0/8`, `::1`), and Fastify's names `loopback`, `linklocal` and `uniquelocal`.
 * @throws TypeError for a member that is none of these.
 */
export function trustedProxyMatcher(trustProxy: boolean | readonly string[]): (address: string) => boolean {
  if (typeof trustProxy === 'boolean') return () => trustProxy
  const list = new BlockList()
  for (const member of trustProxy) for (const range of ranges.get(member) ?? [member]) addRange(list, range)
  return (address) => {
    const plain = plainAddress(address)
    const family = isIP(plain)
    return family !== 0 && list.check(plain, family === 6 ? 'ipv6' : 'ipv4')
  }
}

const ranges: ReadonlyMap<string, readonly string[]> = new Map([
  ['loopback', ['127.0.0.0/8', '::1']],
  ['linklocal', ['169.254.0.0/16', 'fe80::/10']],
  ['uniquelocal', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
])

function addRange(list: BlockList, range: string): void {
  const [address = '', prefix] = range.split('/', 2)
  const family = isIP(address)
  const longest = family === 6 ? 128 : 32
  const length = prefix === undefined ? longest : Number(prefix)
  if (family === 0 || prefix === '' || !Number.isInteger(length) || length < 0 || length > longest) {
    throw new TypeError(`${JSON.stringify(range)} is neither an address nor a range`)
  }
  list.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4')
}

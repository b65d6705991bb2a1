// The chain of client addresses that a trusted proxy reports: read from X-Forwarded-For or Forwarded, written as either (RFC 7239 §7.4).
import { isIPv6 } from 'node:net'
import { withoutOuterSpace } from '../http/white-space.ts'
import { isAddressList, type ForwardedElement } from './forwarded.ts'

/** Returns the addresses of X-Forwarded-For; undefined if it is anything but a list of addresses. */
export function listedAddresses(value: string): readonly string[] | undefined {
  if (value === '') return []
  return isAddressList(value) ? value.split(',').map((part) => withoutOuterSpace(part)) : undefined
}

/** Returns the addresses of Forwarded, in the form of X-Forwarded-For, which has no obfuscated identifiers. */
export function forwardedAddresses(elements: readonly ForwardedElement[]): readonly string[] {
  return elements.map(({ client }) => (client === undefined || client.startsWith('_') || !isAddressList(client) ? 'unknown' : plain(client)))
}

/** Returns whether two chains agree. `unknown` hides an address, and contradicts none. */
export function sameChain(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((address, i) => {
    const [a, b] = [withoutPort(address).toLowerCase(), withoutPort(other[i] as string).toLowerCase()]
    return a === b || a === 'unknown' || b === 'unknown'
  })
}

/** Returns an address as the value of `for`: RFC 7239 §6 has IPv6 addresses in brackets, and these and ports in quotes. */
export function forwardedNode(address: string): string {
  if (isIPv6(address)) return `"[${address}]"`
  return address.includes(':') ? `"${address}"` : address
}

/** Returns an address without brackets and port. */
export function withoutPort(address: string): string {
  if (address.startsWith('[')) return address.slice(1, address.indexOf(']'))
  return isIPv6(address) || !address.includes(':') ? address : address.slice(0, address.indexOf(':'))
}

// `[::1]` without a port is written without brackets in X-Forwarded-For.
function plain(address: string): string {
  return address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address
}

// The fields that state where a request came from, and the part of them that belongs to the key.
import type { FieldLines } from '../http/fields.ts'
import { forwardedAddresses, forwardedNode, listedAddresses, sameChain, withoutPort } from './client-chain.ts'
import { isAddressList, readForwarded, tellsAddressAnd, type ForwardedElement } from './forwarded.ts'
import { dashed, isUntrustedField, namesSender, isClientAddressField } from './untrusted-fields.ts'
import type { RequestContext } from './request-context.ts'

/**
 * Returns X-Forwarded-For, -Proto, -Host, -Port, X-Real-IP and Forwarded for the origin, one line each. A trusted client's other steering
 * fields come before them, in their order. `lines` may have other fields too, and names in any case; `authority` is the
 * normalised Host.
 * - An untrusted client's fields are not used.
 * - X-Forwarded-For and Forwarded are joined, and this hop is appended. X-Forwarded-Proto and -Host come from the first
 *   line, which describes the outermost hop.
 * - X-Forwarded-For and Forwarded have one chain (RFC 7239 §7.4). If a trusted client sent only one field, the other is made from
 *   it. If the two contradict each other, X-Forwarded-For counts. A field that cannot be read is unchanged, and so is the other.
 * - X-Real-IP is the address that the trusted client reports for its own client. X-Forwarded-Port follows from scheme and host. A
 *   trusted client's own are forwarded instead.
 * - Forwarded is rewritten from its parsed elements. If it names only addresses, each element gets the request's host and
 *   scheme. Then an origin that reads the first element sees the same as one that reads the last.
 */
export function provenanceLines(lines: FieldLines, client: RequestContext, authority: string | undefined): string[] {
  const sent: string[] = []
  let forwardedFor = ''
  let forwarded = ''
  let proto: string | undefined
  let host: string | undefined
  let hasPort = false
  let hasRealIp = false
  for (let i = 0; client.trusted && i < lines.length; i += 2) {
    const name = (lines[i] as string).toLowerCase()
    const value = lines[i + 1] as string
    switch (name) {
      case 'x-forwarded-for':
        forwardedFor = joined(forwardedFor, value)
        break
      case 'forwarded':
        forwarded = joined(forwarded, value)
        break
      case 'x-forwarded-proto':
        proto ??= value
        break
      case 'x-forwarded-host':
        host ??= value
        break
      default:
        if (!isUntrustedField(name) || namesSender(name)) break
        sent.push(name, value)
        hasPort ||= dashed(name) === 'x-forwarded-port'
        hasRealIp ||= dashed(name) === 'x-real-ip'
    }
  }
  const elements = forwarded === '' ? [] : readForwarded(forwarded)
  const addresses = listedAddresses(forwardedFor)
  proto ??= client.scheme
  // Forwarded's host counts if no other field names one.
  host ??= plainAuthority(elements?.[0]?.host) ?? authority
  const ownPairs = hopPairs(client.scheme, authority)
  const nothingNew = proto === client.scheme && host === authority
  let chain = forwarded
  if (elements !== undefined && addresses !== undefined) {
    const reported = forwardedAddresses(elements)
    if (addresses.length > 0 && !sameChain(addresses, reported)) {
      // X-Forwarded-For alone, or Forwarded contradicts it: proxies that know only the one field pass the other on from their clients.
      const pairs = nothingNew ? ownPairs : hopPairs(client.scheme, plainAuthority(host))
      chain = addresses.map((address) => `for=${forwardedNode(address)};${pairs}`).join(', ')
    } else {
      chain = rewritten(elements, nothingNew ? ownPairs : '')
      if (addresses.length === 0) forwardedFor = reported.join(', ')
    }
  }
  sent.push('x-forwarded-for', joined(forwardedFor, client.address), 'x-forwarded-proto', proto)
  if (host !== undefined) sent.push('x-forwarded-host', host)
  if (!hasPort) sent.push('x-forwarded-port', portOf(client.scheme, host ?? ''))
  const last = listedAddresses(forwardedFor)?.at(-1)
  const realIp = last === undefined || last === 'unknown' ? client.address : withoutPort(last)
  if (!hasRealIp && realIp !== '') sent.push('x-real-ip', realIp)
  sent.push('forwarded', joined(chain, `for=${nodeName(client.address)};${ownPairs}`))
  return sent
}

/** Returns a host that can stand in Forwarded and in X-Forwarded-Host; undefined for any other text. */
function plainAuthority(host: string | undefined): string | undefined {
  return host !== undefined && /^[\w.:[\]-]{1,255}$/.test(host) ? host : undefined
}

function joined(list: string, value: string): string {
  return list === '' ? value : `${list}, ${value}`
}

/** Writes the elements of Forwarded. `pairs` are added to each if all name only addresses. */
function rewritten(elements: readonly ForwardedElement[], pairs: string): string {
  const added = pairs !== '' && elements.every(({ rest }) => rest === '') ? `;${pairs}` : ''
  return elements.map(({ text }) => text + added).join(', ')
}

/** RFC 7239 §6: an IPv6 address is bracketed and quoted. */
function nodeName(address: string): string {
  if (address === '') return 'unknown'
  return address.includes(':') ? `"[${address}]"` : address
}

/**
 * Returns this hop's pairs in Forwarded, beside the client's address. Host is quoted, because it may hold a colon (RFC 7239
 * §4).
 */
function hopPairs(scheme: string, authority: string | undefined): string {
  if (authority === undefined) return `proto=${scheme}`
  return `host="${/["\\]/.test(authority) ? authority.replaceAll(/["\\]/g, '\\$&') : authority}";proto=${scheme}`
}

/** The scheme and authority of a request, as in its key. */
interface Keyed {
  readonly scheme: 'http' | 'https'
  readonly authority: string
}

/**
 * Returns the part of `provenanceLines` that belongs to the key. If two requests with one scheme and authority give the same
 * result, the origin receives the same lines in the same order. Only client addresses, and what follows from scheme and
 * authority, may differ. Therefore a load balancer that adds X-Forwarded-For, -Proto, -Host and -Port creates no keys.
 */
export function keyedProvenance(sent: FieldLines, { scheme, authority }: Keyed): FieldLines {
  // A field is judged by all of its lines, in every spelling that CGI maps to its name, because the origin decides which
  // line counts. There are about thirty names of address fields, so these lists stay short for any client.
  const telling: string[] = []
  let ports = 0
  let nothingNew = true
  for (let i = 0; i < sent.length; i += 2) {
    const name = sent[i] as string
    const value = sent[i + 1] as string
    const spelling = dashed(name)
    if (isClientAddressField(spelling)) {
      if ((name !== spelling || !isAddressList(value)) && !telling.includes(spelling)) telling.push(spelling)
    } else if (spelling === 'x-forwarded-port') ports++
    else if (spelling === 'x-forwarded-proto') nothingNew &&= name === spelling && value === scheme
    else if (spelling === 'x-forwarded-host') nothingNew &&= name === spelling && value === authority
  }
  const keyed: string[] = []
  for (let i = 0; i < sent.length; i += 2) {
    const name = sent[i] as string
    const value = sent[i + 1] as string
    if (name === 'forwarded') pushForwarded(keyed, value, hopPairs(scheme, authority))
    else if (name === 'x-forwarded-proto' ?
      value === scheme
      : name === 'x-forwarded-host' ?
      value === authority
      : name === 'x-forwarded-port' ?
      ports === 1 && nothingNew && value === portOf(scheme, authority)
      : isClientAddressField(name) && !telling.includes(name)) continue
    else keyed.push(name, value)
  }
  return keyed
}

function portOf(scheme: 'http' | 'https', authority: string): string {
  return /:(\d+)$/.exec(authority)?.[1] ?? (scheme === 'https' ? '443' : '80')
}

/**
 * Adds all of Forwarded but the addresses, its elements in order. A field that does not parse is added unchanged, under a
 * separate name.
 */
function pushForwarded(keyed: string[], value: string, ownPairs: string): void {
  if (tellsAddressAnd(ownPairs, value)) return
  const elements = readForwarded(value)
  if (elements === undefined) keyed.push('forwarded', value)
  else if (elements.some(({ rest }) => rest !== ownPairs)) keyed.push('forwarded without addresses', elements.map(({ bare }) => bare).join())
}

// The fields of a forwarded request: the client's end-to-end fields, plus those that the proxy sets itself.
import type { FieldLines } from '../http/fields.ts'
import { normaliseAuthority } from '../http/authority.ts'
import { isHopByHop, isReservedField, withoutFields } from '../http/fields.ts'
import { connectionOptions } from './connection-options.ts'
import { provenanceLines } from './trusted-fields.ts'
import { isUntrustedField } from './untrusted-fields.ts'
import type { RequestContext } from './request-context.ts'
import { partialRequestFields } from '../policy/validation.ts'

/** The treatment of a field that the proxy treats by name. */
type Treatment = 'forwarded' | 'authority' | 'connection' | 'cookie' | 'drop'

const treatments: ReadonlyMap<string, Treatment> = new Map([
  ['host', 'authority'],
  ['connection', 'connection'],
  ['cookie', 'cookie'],
  ['forwarded', 'forwarded'],
  // The proxy sends its own, checked.
  ['x-request-id', 'drop'],
  // RFC 9110 §10.1.1: met at this hop. Node has already sent the 100, and no other expectation is defined.
  ['expect', 'drop'],
])

/**
 * Makes the origin's fields from the client's. `lines` must have lower-case names; the result begins with Host if the client
 * sent one. Takes one pass, and a second only if a Connection field names something.
 * - Hop-by-hop fields are removed, and those that Connection names (RFC 9110 §7.6.1), except the fields in endToEndAlways.
 *   TE and Trailer are hop-by-hop: see acceptsTrailers.
 * - Fields about the request's source, and other fields that steer an origin, come only from the proxy and from a trusted
 *   client: see provenanceLines. Fields whose names begin with Springhouse- come only from the proxy.
 * - Via gains this hop, with the version of the received message (RFC 9110 §7.6.3). CDN-Loop gains this proxy's name (RFC
 *   8586 §2), as a separate line, which a malformed earlier line cannot swallow.
 */
export function forwardFields(lines: FieldLines, client: RequestContext, viaName: string): string[] {
  const { trusted } = client
  let named: ReadonlySet<string> | undefined
  let authority: string | undefined
  const kept: string[] = []
  const steering: string[] = []
  let cookies = -1

  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    const value = lines[i + 1] as string
    switch (treatments.get(name)) {
      case undefined:
        if (isHopByHop(name, noOptions) || isReservedField(name)) break
        if (!isUntrustedField(name)) kept.push(name, value)
        else if (trusted) steering.push(name, value)
        break
      case 'forwarded':
        if (trusted) steering.push(name, value)
        break
      case 'authority':
        // In the one spelling that the key has: an origin may copy the received Host into a response that other clients
        // receive.
        authority ??= normaliseAuthority(value, client.scheme) ?? value
        break
      case 'cookie':
        // RFC 6265 §5.4: one line. Applications differ in which of several lines they read.
        if (cookies === -1) cookies = kept.push(name, value) - 1
        else kept[cookies] += `; ${value}`
        break
      case 'connection':
        // Reads all lines of Connection at once: a client may send thousands.
        if (value !== 'keep-alive' && value !== 'close') named ??= connectionOptions(lines)
        break
      case 'drop':
        break
    }
  }

  const sent: string[] = authority === undefined ? [] : ['host', authority]
  for (let i = 0; i < kept.length; i += 2) {
    const name = kept[i] as string
    if (named === undefined || !named.has(name)) sent.push(name, kept[i + 1] as string)
  }

  // Connection removes none of these, because they are part of the key.
  for (const part of provenanceLines(steering, client, authority)) sent.push(part)
  sent.push('via', `${client.httpVersion} ${viaName}`, 'cdn-loop', viaName)
  sent.push('x-request-id', client.requestId)
  return sent
}

const noOptions: ReadonlySet<string> = new Set()

/**
 * Returns whether a client accepts trailers (RFC 9110 §10.1.4). If so, a passed request to an HTTP/2 server says the same, because
 * gRPC servers require it. A request whose response may be stored does not: that response is for other clients too.
 * @param raw the request's fields as Node gives them
 */
export function acceptsTrailers(raw: FieldLines): boolean {
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    if (name.length !== 2 || name.toLowerCase() !== 'te') continue
    for (const member of (raw[i + 1] as string).split(',')) if (member.trim().toLowerCase() === 'trailers') return true
  }
  return false
}

/** Returns the fields of a request for the whole representation, without the client's ranges and conditions. */
export function unconditionalFields(forwarded: FieldLines): string[] {
  return withoutFields(forwarded, partialRequestFields)
}

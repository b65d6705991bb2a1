// What an origin is sent: the client's fields, less what is not for it, plus what the proxy vouches for.
import type { FieldLines } from '../http/fields.ts'
import { normaliseAuthority } from '../http/authority.ts'
import { isHopByHop, withoutFields } from '../http/fields.ts'
import { connectionOptions } from './connection-options.ts'
import { provenanceLines } from './trusted-fields.ts'
import { isUntrustedField } from './untrusted-fields.ts'
import type { RequestContext } from './request-context.ts'
import { partialRequestFields } from '../policy/validation.ts'

/** What becomes of a field that the proxy treats by name. */
type Treatment = 'forwarded' | 'authority' | 'connection' | 'cookie' | 'drop'

const treatments: ReadonlyMap<string, Treatment> = new Map([
  ['host', 'authority'],
  ['connection', 'connection'],
  ['cookie', 'cookie'],
  ['forwarded', 'forwarded'],
  // The proxy has one already, checked.
  ['x-request-id', 'drop'],
  // RFC 9110 §10.1.1: met at this hop. Node has sent the 100 by now, and no other expectation is defined.
  ['expect', 'drop'],
])

/**
 * The fields for the origin, from the client's. `lines` must have lower-case names; the result has Host first where the
 * client sent one. One pass; a second only for a Connection field that names something.
 *
 * - Hop-by-hop fields go, and those that Connection names (RFC 9110 §7.6.1), unless they are end-to-end beyond doubt:
 *   see endToEndAlways. TE and Trailer are hop-by-hop: the proxy asks for no trailers on a client's behalf.
 * - What tells where the request came from, and the other fields that steer an origin, are the proxy's own word and a trusted
 *   client's: see provenanceLines.
 * - Via gains this hop, with the version in which the message came (RFC 9110 §7.6.3), and CDN-Loop its name (RFC 8586 §2),
 *   as a line of its own, which a malformed one before it cannot swallow.
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
        if (isHopByHop(name, noOptions)) break
        if (!isUntrustedField(name)) kept.push(name, value)
        else if (trusted) steering.push(name, value)
        break
      case 'forwarded':
        if (trusted) steering.push(name, value)
        break
      case 'authority':
        // In the one spelling that the key has: an origin may write what it is sent into an answer that others are given.
        authority ??= normaliseAuthority(value, client.scheme) ?? value
        break
      case 'cookie':
        // RFC 6265 §5.4: one line. Of several each reader takes its own.
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

  // Connection takes nothing off them, for they are in the key.
  for (const part of provenanceLines(steering, client, authority)) sent.push(part)
  sent.push('via', `${client.httpVersion} ${viaName}`, 'cdn-loop', viaName)
  sent.push('x-request-id', client.requestId)
  return sent
}

const noOptions: ReadonlySet<string> = new Set()

/** The fields of a request for the whole, whatever was asked for of it. */
export function unconditionalFields(forwarded: FieldLines): string[] {
  return withoutFields(forwarded, partialRequestFields)
}

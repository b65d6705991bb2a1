// The fields of a response that cross the proxy: from the origin, and to the client (RFC 9110 §7.6.1).
import { type FieldLines, isHopByHop, isReservedField, connectionNamed, withoutFields } from '../http/fields.ts'
import { connectionOptions } from './connection-options.ts'

/**
 * Returns the lines without the fields of the origin's connection (RFC 9110 §7.6.1). If the status has no body, the length is
 * removed too (§8.6: no Content-Length on 1xx and 204).
 */
export function responseFields(status: number, lines: FieldLines): string[] {
  const named = connectionOptions(lines)
  const bodiless = status < 200 || status === 204
  const kept: string[] = []
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string
    if (isHopByHop(name, named) || (bodiless && name === 'content-length')) continue
    kept.push(name, lines[i + 1] as string)
  }
  return kept
}

/**
 * Returns the names in a field section that clients do not receive: fields of the origin's connection, cache-only fields
 * (policy/rules.ts), X-Request-Id, which this proxy sends itself, and fields for or from this proxy (Springhouse-*).
 */
export function fieldsNotForClients(fields: FieldLines, cacheOnly: ReadonlySet<string>): { has(name: string): boolean } {
  const named = connectionNamed(fields)
  return { has: name => isHopByHop(name, named) || cacheOnly.has(name) || name === 'x-request-id' || isReservedField(name) }
}

/** Returns the fields that a client receives: the origin's fields (RFC 9110 §7.6.1), and those that this hop adds. */
export function clientFields(fields: FieldLines, cacheOnly: ReadonlySet<string>, via: string, cacheStatus: string): string[] {
  const kept = withoutFields(fields, fieldsNotForClients(fields, cacheOnly))
  kept.push('via', via, 'cache-status', cacheStatus)
  return kept
}

/** Returns the trailers that a client receives. They stay trailers: they are neither merged into the fields nor stored. */
export function clientTrailers(trailers: FieldLines, cacheOnly: ReadonlySet<string>): string[] {
  const notForClients = fieldsNotForClients(trailers, cacheOnly)
  return withoutFields(trailers, { has: name => neverTrailers.has(name) || notForClients.has(name) })
}

// RFC 9110 §6.5.1: fields that frame, route or describe the content mean nothing after it. Set-Cookie and fields that caches
// read are removed too, because trailers are not checked like a head.
const neverTrailers: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'host',
  'set-cookie',
  'cache-control',
  'age',
  'expires',
  'date',
  'vary',
  'via',
  'cache-status',
])

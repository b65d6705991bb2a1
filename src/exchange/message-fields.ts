// The fields of the two messages that a fill sends: its request to the origin, and its answer to the client.
import { connectionNamed, fieldValue, hasField, isHopByHop, withoutFields, type FieldLines } from '../http/fields.ts'
import { toldToThisCache } from '../policy/storable.ts'
import type { Metadata } from '../policy/stored.ts'
import { conditionalFields, partialRequestFields } from '../policy/validation.ts'

/** A request for the whole: the client's own preconditions and ranges off, the stored validators on. */
export function wholeRequestFields(forwarded: FieldLines, validating: Metadata | undefined): FieldLines {
  const fields: string[] = []
  for (let i = 0; i < forwarded.length; i += 2) {
    if (!partialRequestFields.has(forwarded[i] as string)) fields.push(forwarded[i] as string, forwarded[i + 1] as string)
  }
  if (validating !== undefined) fields.push(...conditionalFields(validating))
  return fields
}

// RFC 9110 §6.5.1: what frames, routes or describes the content means nothing after it. And never Set-Cookie or what caches
// read: nobody has judged a trailer.
const neverTrailers: ReadonlySet<string> = new Set([
  'content-length', 'content-encoding', 'content-type', 'content-range', 'host', 'set-cookie', 'cache-control', 'age', 'expires', 'date', 'vary', 'via', 'cache-status',
])

/** What a client is sent of an origin's trailers. They stay trailers: they are not merged into the fields, nor stored. */
export function clientTrailers(trailers: FieldLines): string[] {
  return withoutFields(trailers, { has: name => neverTrailers.has(name) || toldToThisCache.has(name) || isHopByHop(name, connectionNamed(trailers)) })
}

/** What a client is sent of an origin's fields (RFC 9110 §7.6.1), with what this hop adds. */
export function clientFields(fields: FieldLines, via: string, cacheStatus: string): string[] {
  const named = connectionNamed(fields)
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    if (!isHopByHop(name, named) && !toldToThisCache.has(name)) kept.push(name, fields[i + 1] as string)
  }
  kept.push('via', via, 'cache-status', cacheStatus)
  return kept
}

/** The length that a response announces; -1: none. The origin room has refused lengths that are not one valid number. */
export function announcedLength(fields: FieldLines): number {
  const value = hasField(fields, 'transfer-encoding') ? undefined : fieldValue(fields, 'content-length')
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : -1
}

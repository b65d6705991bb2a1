// The fields of the two messages that a fill sends: its request to the origin, and its answer to the client.
import { connectionNamed, fieldValue, hasField, isHopByHop, withoutFields, type FieldLines } from '../../http/fields.ts'
import { toldToThisCache } from '../../policy/storable.ts'
import { conditionalFields, partialRequestFields } from '../../policy/validation.ts'
import type { FillPlan } from './plan.ts'

/** The fields of the request to the origin: the client's own preconditions off, the plan's validators and Range on; or as they came. */
export function originFields(forwarded: FieldLines, { unconditional, range, validating }: FillPlan): FieldLines {
  if (!unconditional) return forwarded
  const fields = plainFields(forwarded)
  if (range !== undefined) fields.push('range', range.range)
  if (range?.ifRange !== undefined) fields.push('if-range', range.ifRange)
  // RFC 9110 §13.2.2: the origin looks at these first. 304 then says that the stored response will do, ranges and all.
  if (validating !== undefined) fields.push(...conditionalFields(validating.meta))
  return fields
}

/** The fields of a request for the whole, whatever was asked for of it. */
export function plainFields(forwarded: FieldLines): string[] {
  return withoutFields(forwarded, partialRequestFields)
}

// RFC 9110 §6.5.1: what frames, routes or describes the content means nothing after it. And never Set-Cookie or what caches
// read: nobody has judged a trailer.
const neverTrailers: ReadonlySet<string> = new Set([
  'content-length', 'content-encoding', 'content-type', 'content-range', 'host', 'set-cookie', 'cache-control', 'age', 'expires', 'date', 'vary', 'via', 'cache-status',
])

/** What a client is sent of an origin's trailers. They stay trailers: they are not merged into the fields, nor stored. */
export function clientTrailers(trailers: FieldLines): string[] {
  const named = connectionNamed(trailers)
  return withoutFields(trailers, { has: name => neverTrailers.has(name) || toldToThisCache.has(name) || isHopByHop(name, named) })
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

/** A message's Content-Length; -1: not announced. The origin room has refused lengths that are not one valid number. */
export function announcedLength(fields: FieldLines): number {
  const value = hasField(fields, 'transfer-encoding') ? undefined : fieldValue(fields, 'content-length')
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : -1
}

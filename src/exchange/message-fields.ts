// The fields of the two messages that a fill sends: its request to the origin, and its answer to the client.
import { connectionNamed, isHopByHop, type FieldLines } from '../http/fields.ts'
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

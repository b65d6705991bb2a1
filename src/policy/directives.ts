// Selects the directives of a response that count: targeted fields before Cache-Control (RFC 9213 §2.2).
import { parseResponseDirectives, type ResponseDirectives } from '../http/cache-control.ts'
import { fieldValue, type FieldLines } from '../http/fields.ts'
import { isOnlyMalformed, isPartlyWellFormed, surrogateDirectives, targetedDirectives } from '../http/targeted.ts'
import { restrictedBy, restrictedByBoth } from './restricting.ts'

/** The directives that govern a response in this cache, and whether they also replace Expires. */
export interface Governing {
  readonly directives: ResponseDirectives
  /** True if they come from a targeted field: then Cache-Control and Expires do not count. */
  readonly targeted: boolean
  /** True if a field that is ignored, because it cannot be read, was meant to give a lifetime. */
  readonly lifetimeIgnored: boolean
}

/**
 * RFC 9213 §2.2: the first targeted field that is present and valid governs alone; then Surrogate-Control; then
 * Cache-Control. By §2.1 a CDN-Cache-Control that is no Dictionary is ignored as a whole, so it permits nothing. Its
 * restrictions still hold: an origin that wrote `no-store, max-age=` did not want the response stored.
 *
 * Replacing Cache-Control is a permission too, because the `private` in it would not count any more. A targeted field whose
 * directives are all malformed does not have it. Then both fields restrict, and only lifetimes that both allow are
 * permitted.
 */
export function governingDirectives(fields: FieldLines): Governing {
  const cdn = targetedDirectives(fields, 'cdn-cache-control')
  if (cdn !== undefined && !isOnlyMalformed(fields, 'cdn-cache-control')) return { directives: cdn, targeted: true, lifetimeIgnored: false }
  const governing = ofOtherFields(fields)
  if (cdn !== undefined) return { ...governing, directives: restrictedByBoth(governing.directives, cdn) }
  const unread = fieldValue(fields, 'cdn-cache-control')
  if (unread === undefined) return governing
  const ignored = parseResponseDirectives(unread)
  return { ...governing, directives: restrictedBy(governing.directives, ignored), lifetimeIgnored: ignored.maxAge !== undefined || ignored.sMaxage !== undefined }
}

function ofOtherFields(fields: FieldLines): Governing {
  const surrogate = fieldValue(fields, 'surrogate-control')
  const directives = surrogateDirectives(surrogate)
  if (surrogate !== undefined && directives !== undefined && isPartlyWellFormed(surrogate)) return { directives, targeted: true, lifetimeIgnored: false }
  const untargeted = parseResponseDirectives(fieldValue(fields, 'cache-control'))
  return { directives: directives === undefined ? untargeted : restrictedByBoth(untargeted, directives), targeted: false, lifetimeIgnored: false }
}

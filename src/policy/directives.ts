// Which directives of a response count: targeted fields before Cache-Control (RFC 9213 §2.2).
import { parseResponseDirectives, type ResponseDirectives } from '../http/cache-control.ts'
import { fieldValue, type FieldLines } from '../http/fields.ts'
import { isOnlyMalformed, isPartlyWellFormed, surrogateDirectives, targetedDirectives } from '../http/targeted.ts'
import { restrictedBy, restrictedByBoth } from './restricting.ts'

/** The directives that govern a response here, and whether they replace Expires as well as Cache-Control. */
export interface Governing {
  readonly directives: ResponseDirectives
  /** true: they come from a targeted field, so Cache-Control and Expires say nothing here. */
  readonly targeted: boolean
}

/**
 * RFC 9213 §2.2: the first targeted field that is present and valid governs alone; then Surrogate-Control; then Cache-Control.
 * §2.1 has a CDN-Cache-Control that is no Dictionary ignored as a whole, so it permits nothing. What it forbids still holds: an
 * origin that wrote `no-store, max-age=` was not asking to be stored.
 *
 * To replace Cache-Control is a permission too: the `private` in it would count no more. A targeted field whose directives are all
 * malformed does not have it. Both fields then restrict, and neither permits more than lifetimes that both leave.
 */
export function governingDirectives(fields: FieldLines): Governing {
  const cdn = targetedDirectives(fields, 'cdn-cache-control')
  if (cdn !== undefined && !isOnlyMalformed(fields, 'cdn-cache-control')) return { directives: cdn, targeted: true }
  const governing = ofOtherFields(fields)
  if (cdn !== undefined) return { directives: restrictedByBoth(governing.directives, cdn), targeted: governing.targeted }
  const unread = fieldValue(fields, 'cdn-cache-control')
  if (unread === undefined) return governing
  return { directives: restrictedBy(governing.directives, parseResponseDirectives(unread)), targeted: governing.targeted }
}

function ofOtherFields(fields: FieldLines): Governing {
  const surrogate = fieldValue(fields, 'surrogate-control')
  const directives = surrogateDirectives(surrogate)
  if (surrogate !== undefined && directives !== undefined && isPartlyWellFormed(surrogate)) return { directives, targeted: true }
  const untargeted = parseResponseDirectives(fieldValue(fields, 'cache-control'))
  return { directives: directives === undefined ? untargeted : restrictedByBoth(untargeted, directives), targeted: false }
}

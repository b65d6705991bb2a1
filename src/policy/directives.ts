// Which directives of a response count: targeted fields before Cache-Control (RFC 9213 §2.2).
import { parseResponseDirectives, restrictedBy, type ResponseDirectives } from '../http/cache-control.ts'
import { fieldValue, type FieldLines } from '../http/fields.ts'
import { surrogateDirectives, targetedDirectives } from '../http/targeted.ts'

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
 */
export function governingDirectives(fields: FieldLines): Governing {
  const cdn = targetedDirectives(fields, 'cdn-cache-control')
  if (cdn !== undefined) return { directives: cdn, targeted: true }
  const governing = ofOtherFields(fields)
  const unread = fieldValue(fields, 'cdn-cache-control')
  if (unread === undefined) return governing
  return { directives: restrictedBy(governing.directives, parseResponseDirectives(unread)), targeted: governing.targeted }
}

function ofOtherFields(fields: FieldLines): Governing {
  const surrogate = fieldValue(fields, 'surrogate-control')
  if (surrogate !== undefined) {
    const directives = surrogateDirectives(surrogate)
    if (directives !== undefined) return { directives, targeted: true }
  }
  return { directives: parseResponseDirectives(fieldValue(fields, 'cache-control')), targeted: false }
}

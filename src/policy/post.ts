// Responses to POST that a GET of the same URL may reuse: RFC 9110 §9.3.3 and §8.7.
import { fieldLineValues, type FieldLines } from '../http/fields.ts'
import { sameOriginTargets } from './references.ts'

/**
 * True if the response to a POST encloses the representation that its target URI now has. It must be a 200 with one
 * Content-Location that is that URI, byte for byte as it is keyed. Only a 200: the response is stored with its status, and a
 * 201 would report to a later GET something that the GET did not create.
 */
export function representsTarget(
  request: { readonly scheme: string; readonly authority: string; readonly target: string },
  status: number,
  fields: FieldLines,
): boolean {
  if (status !== 200) return false
  const [location, ...others] = fieldLineValues(fields, 'content-location')
  return location !== undefined && others.length === 0 && sameOriginTargets(location, request).includes(request.target)
}

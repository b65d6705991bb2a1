// Which answers to POST are also what a GET of the same URL would bring: RFC 9110 §9.3.3 and §8.7.
import { fieldLineValues, type FieldLines } from '../http/fields.ts'
import { sameOriginTargets } from './references.ts'

/**
 * Whether the answer to a POST encloses the representation that its target URI now has: a 200 with one Content-Location
 * that is that URI, byte for byte as it is keyed. Only a 200: the answer is kept with its status, and a later GET that is
 * told 201 would be told of something that it did not make.
 */
export function representsTarget(
  request: { readonly scheme: string; readonly authority: string; readonly target: string }, status: number, fields: FieldLines,
): boolean {
  if (status !== 200) return false
  const [location, ...others] = fieldLineValues(fields, 'content-location')
  return location !== undefined && others.length === 0 && sameOriginTargets(location, request).includes(request.target)
}

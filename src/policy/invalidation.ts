// The targets that an unsafe request invalidates: RFC 9111 §4.4.
import { fieldValue, type FieldLines } from '../http/fields.ts'
import { sameOriginTargets, type RequestUrl } from './references.ts'

/** RFC 9110 §9.2.1. An unknown method may change things, so it counts as unsafe. */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'REPORT', 'QUERY'])

/**
 * Returns the targets that a response invalidates on the hosts of its request: the request's own, and those of Location and
 * Content-Location if they have the same origin. §4.4 forbids other origins, because any site could empty another's cache. []
 * after a safe method or an error.
 */
export function invalidatedTargets(request: RequestUrl & { readonly method: string }, status: number, fields: FieldLines): string[] {
  if (safeMethods.has(request.method) || status < 200 || status >= 400) return [] // §4.4: a non-error status is 2xx or 3xx
  const targets = new Set([request.target])
  for (const name of ['location', 'content-location']) {
    const value = fieldValue(fields, name)
    if (value !== undefined) { for (const target of sameOriginTargets(value, request)) targets.add(target) }
  }
  return [...targets]
}

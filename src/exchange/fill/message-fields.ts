// The fields of the two messages that a fill sends: its request to the origin, and its response to the client.
import { type FieldLines } from '../../http/fields.ts'
import { conditionalFields } from '../../policy/validation.ts'
import type { FillPlan } from './plan.ts'
import { unconditionalFields } from '../../forwarding/request-fields.ts'

/** The fields of the request to the origin: the client's own preconditions off, the plan's validators and Range on; or as they came. */
export function originFields(forwarded: FieldLines, { unconditional, range, validating }: FillPlan): FieldLines {
  if (!unconditional) return forwarded
  const fields = unconditionalFields(forwarded)
  if (range !== undefined) fields.push('range', range.range)
  if (range?.ifRange !== undefined) fields.push('if-range', range.ifRange)
  // RFC 9110 §13.2.2: the origin evaluates these first. 304 then says that the stored response will do, ranges and all.
  if (validating !== undefined) fields.push(...conditionalFields(validating.meta))
  return fields
}

// RFC 9110 §6.5.1: what frames, routes or describes the content means nothing after it. And never Set-Cookie or what caches
// read: nobody has judged a trailer.

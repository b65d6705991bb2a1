// 1xx answers of an origin on their way to the client that is waiting: RFC 9110 §15.2, RFC 8297.
import type { ServerResponse } from 'node:http'
import { connectionNamed, fieldLineValues, fieldValue, isHopByHop, type FieldLines } from '../http/fields.ts'
import { toldToThisCache } from '../policy/storable.ts'
import { sendEarlyHints, sendProcessing } from './sending.ts'

// RFC 8288 §3: a target in angle brackets, in which a comma may stand, and parameters, in whose quotes one may.
const oneLink = /<[^>]*>[^,"]*(?:"[^"]*"[^,"]*)*/g

/**
 * Passes on 102 and 103; the others are of no use to a client. Never to HTTP/1.0, which knows no 1xx (§15.2), and never after
 * the final answer has begun. A 103 brings what an answer may bring (RFC 8297 §2), less what is not for clients; one without
 * a link is not passed on, for Node has no way to send it. Nor is one whose answer waits behind another's on its connection
 * (pipelining): Node would put it between the head of its answer and the body, and by its turn it comes too late to be a hint.
 */
export function sendInterim(response: ServerResponse, status: number, fields: FieldLines): void {
  if (response.headersSent || response.socket === null || response.req.httpVersion === '1.0') return
  if (status === 102) sendProcessing(response)
  if (status !== 103) return
  const hints: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>
  const named = connectionNamed(fields)
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    // RFC 9110 §5.3: Set-Cookie is the one field whose lines cannot be joined, and Node sends one line of a hint.
    if (!isHopByHop(name, named) && !toldToThisCache.has(name) && name !== 'set-cookie') hints[name] = fieldValue(fields, name) as string
  }
  hints['link'] = fieldLineValues(fields, 'link').flatMap(value => value.match(oneLink)?.map(member => member.trim()) ?? [])
  sendEarlyHints(response, hints)
}

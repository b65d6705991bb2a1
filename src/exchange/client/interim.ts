// 1xx answers of an origin on their way to the client that is waiting: RFC 9110 §15.2, RFC 8297.
import type { ServerResponse } from 'node:http'
import { fieldLineValues, type FieldLines } from '../../http/fields.ts'
import { sendableLinks } from '../../http/links.ts'
import { fieldsNotForClients } from '../../forwarding/response-fields.ts'
import { sendEarlyHints, sendProcessing } from './sending.ts'

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
  const hints = Object.create(null) as Record<string, string | string[]>
  const notForClients = fieldsNotForClients(fields)
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    // RFC 9110 §5.3: Set-Cookie is the one field whose lines cannot be joined, and Node sends one line of a hint.
    if (notForClients.has(name) || name === 'set-cookie') continue
    const before = hints[name]
    const value = fields[i + 1] as string
    hints[name] = before === undefined ? value : `${before}, ${value}`
  }
  hints['link'] = fieldLineValues(fields, 'link').flatMap(sendableLinks)
  sendEarlyHints(response, hints)
}

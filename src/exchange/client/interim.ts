// Interim responses (1xx) of an origin on their way to the client that is waiting: RFC 9110 §15.2, RFC 8297.
import { fieldLineValues, type FieldLines } from '../../http/fields.ts'
import { sendableLinks } from '../../http/links.ts'
import { fieldsNotForClients } from '../../forwarding/response-fields.ts'
import type { ClientResponse } from './response.ts'
import { sendHint } from './sending.ts'

/**
 * Passes on 102 and 103; the others are of no use to a client. Never to HTTP/1.0, which knows no 1xx (§15.2), never after the final
 * response has begun, and never ahead of another's (see `takesInterim`). A 103 brings what a response may bring (RFC 8297 §2), less
 * what is not for clients. Without a link it is not passed on: Node has no way to send it.
 */
export function sendInterim(response: ClientResponse, status: number, fields: FieldLines, cacheOnly: ReadonlySet<string>): void {
  if (!response.takesInterim) return
  if (status === 102) sendHint(response, 102, [])
  if (status !== 103) return
  const links = fieldLineValues(fields, 'link').flatMap(sendableLinks)
  if (links.length === 0) return
  const hints = new Map<string, string>()
  const notForClients = fieldsNotForClients(fields, cacheOnly)
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    // RFC 9110 §5.3: Set-Cookie is the one field whose lines cannot be joined, and Node sends one line of a hint.
    if (notForClients.has(name) || name === 'set-cookie' || name === 'link') continue
    const before = hints.get(name)
    const value = fields[i + 1] as string
    hints.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  sendHint(response, 103, [...[...hints].flat(), ...links.flatMap(link => ['link', link])])
}

// Checks an origin's response head and selects the fields to forward.
import type { FieldLines } from '../../http/fields.ts'
import { isReadableCoding } from '../transport/http1-head.ts'
import { settleHead, settleSection, type SettledFields } from '../../http/field-section.ts'
import { responseFields } from '../../forwarding/response-fields.ts'

/**
 * Returns the fields of a response head to forward, settled once for every transport, store and client protocol; or the fault
 * for which the response is refused. `nowMs` is when it arrived. A requested 101 (`switching`) is checked by its caller.
 */
export function receivedHead(status: number, lines: FieldLines, nowMs: number, { isHttp10 = false, switching = false } = {}): SettledFields {
  const fault = switching ? undefined : malformed(status, lines, isHttp10)
  if (fault !== undefined) return { fault }
  const fields = responseFields(status, lines)
  return status < 200 && !switching ? { fields: settleSection(fields, nowMs) } : settleHead(status, fields, nowMs)
}

/**
 * Returns why a response head must not be forwarded; undefined if it may. The parsers refuse most malformed heads. This refuses
 * what a parser accepts and two readers may read differently, which is how a response gets split or smuggled.
 */
export function malformed(status: number, lines: FieldLines, isHttp10 = false): string | undefined {
  // RFC 9110 §15: a status code is 100 to 599.
  if (status < 100 || status > 599) return `status ${status}`
  // The request had no Upgrade (RFC 9110 §15.2.2).
  if (status === 101) return 'unrequested 101'
  let lengths = 0
  let coding: string | undefined
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i]
    const value = lines[i + 1] as string
    if (name === 'content-length') {
      lengths++
      // RFC 9112 §6.3: a list of lengths, even of equal ones, is an error for which a proxy sends 502.
      if (lengths > 1 || !/^\d+$/.test(value)) return 'ambiguous Content-Length'
      // RFC 9110 §8.6: not on a 204. §15.3.6: a 205 has no content. A length of 0 is correct and does no harm.
      if ((status === 204 || status === 205) && Number(value) > 0) return `a body on ${status}`
    } else if (name === 'transfer-encoding') {
      coding = coding === undefined ? value : `${coding}, ${value}`
    }
  }
  if (coding !== undefined) {
    // RFC 9112 §6.1: HTTP/1.0 has no transfer codings, so the framing of such a message must be treated as faulty.
    if (isHttp10) return 'Transfer-Encoding in HTTP/1.0'
    // §6.1: both together may be an attempt at smuggling.
    if (lengths > 0) return 'Content-Length beside Transfer-Encoding'
    // §6.1: not on a 204, which has no body.
    if (status === 204) return 'a body on 204'
    if (!isReadableCoding(coding.toLowerCase())) return 'Transfer-Encoding other than chunked'
  }
  return undefined
}

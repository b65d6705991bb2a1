// What of an origin's response head is passed on, and which heads are not fit to be.
import type { Dispatcher } from 'undici'
import type { FieldLines } from '../../http/fields.ts'
import { settleHead, settleSection, type SettledFields } from '../../http/field-section.ts'
import { responseFields } from '../../forwarding/response-fields.ts'

/** Lower-case field lines from the bytes that came. Field values are latin1 (RFC 9110 §5.5: opaque beyond ASCII). */
export function fieldLinesFromBytes(raw: readonly Buffer[]): string[] {
  const lines: string[] = Array.from({ length: raw.length })
  for (let i = 0; i < raw.length; i += 2) {
    lines[i] = (raw[i] as Buffer).toString('latin1').toLowerCase()
    lines[i + 1] = withoutTrailingSpace((raw[i + 1] as Buffer).toString('latin1'))
  }
  return lines
}

// RFC 9112 §5.1: white space after a value is not part of it. The parser leaves it there. Not trim(), which would take a byte
// of 0xa0 for white space.
function withoutTrailingSpace(value: string): string {
  let end = value.length
  while (end > 0 && (value.charCodeAt(end - 1) === 0x20 || value.charCodeAt(end - 1) === 0x09)) end--
  return end === value.length ? value : value.slice(0, end)
}

/** Field lines of a response as its transport gives them: the bytes of HTTP/1.1, or what HTTP/2 has been made into already. */
export function receivedLines(raw: Dispatcher.DispatchController['rawHeaders']): readonly string[] {
  if (!Array.isArray(raw) || raw.length === 0) return none
  return typeof raw[0] === 'string' ? raw as string[] : fieldLinesFromBytes(raw as Buffer[])
}

const none: readonly string[] = []

/**
 * What may be passed on of a response head: the fields, settled once for every transport, store and client protocol; or why the
 * whole is refused. `nowMs` is when it came. A 101 that was asked for is judged by who asked for it.
 */
export function receivedHead(status: number, lines: FieldLines, nowMs: number, { isHttp10 = false, switching = false } = {}): SettledFields {
  const fault = switching ? undefined : malformed(status, lines, isHttp10)
  if (fault !== undefined) return { fault }
  const fields = responseFields(status, lines)
  return status < 200 && !switching ? { fields: settleSection(fields, nowMs) } : settleHead(status, fields, nowMs)
}

/**
 * Why a response head must not be passed on, or undefined. The parser refuses most of what is malformed; this is what it
 * lets through and what two readers may read differently, which is how a response gets split or smuggled.
 */
export function malformed(status: number, lines: FieldLines, isHttp10 = false): string | undefined {
  // RFC 9110 §15: a status code is 100 to 599.
  if (status < 100 || status > 599) return `status ${status}`
  // Nobody asked to change protocols (RFC 9110 §15.2.2).
  if (status === 101) return 'unasked 101'
  let lengths = 0
  let coding: string | undefined
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i]
    const value = lines[i + 1] as string
    if (name === 'content-length') {
      lengths++
      // RFC 9112 §6.3: a list of lengths, even of equal ones, is an error that a proxy answers with 502.
      if (lengths > 1 || !/^\d+$/.test(value)) return 'ambiguous Content-Length'
      // RFC 9110 §8.6: not on a 204. §15.3.6: a 205 has no content. One that says what there is, nothing, harms nobody.
      if ((status === 204 || status === 205) && Number(value) > 0) return `a body on ${status}`
    } else if (name === 'transfer-encoding') {
      coding = coding === undefined ? value : `${coding}, ${value}`
    }
  }
  if (coding !== undefined) {
    // RFC 9112 §6.1: HTTP/1.0 has no transfer codings; a message that has both is to be taken as one whose framing is faulty.
    if (isHttp10) return 'Transfer-Encoding in HTTP/1.0'
    // §6.1: both together smell of smuggling.
    if (lengths > 0) return 'Content-Length beside Transfer-Encoding'
    // §6.1: not on a 204, which has no body that could be coded.
    if (status === 204) return 'a body on 204'
    if (!isReadable(coding.toLowerCase())) return 'Transfer-Encoding other than chunked'
  }
  return undefined
}

// The registry of RFC 9112 §12.3, and `identity`, which older ones had.
const otherCodings: ReadonlySet<string> = new Set(['gzip', 'x-gzip', 'deflate', 'compress', 'x-compress', 'identity', 'trailers'])

/**
 * Whether the body can be read as the coding says. A known coding other than chunked would reach the client, or the store,
 * undecoded and unnamed; a list of codings, or a name that is nearly `chunked`, may be read in two ways. A single name that
 * nobody has registered codes nothing: the body goes to the end of the connection (§6.3), and the field stays behind, as any
 * field of this hop does.
 */
function isReadable(coding: string): boolean {
  return coding === 'chunked' || (/^[a-z0-9!#$&^_.+-]+$/.test(coding) && !otherCodings.has(coding) && !/chun|unk/.test(coding))
}

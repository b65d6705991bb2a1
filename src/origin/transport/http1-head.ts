// The head of an HTTP/1.1 response, and its trailers, read strictly from one string (RFC 9112 §4, §5, §6.3).
import { hasField, type FieldLines } from '../../http/fields.ts'

/** How the end of a message's body is found (RFC 9112 §6.3). */
export type Framing = 'none' | 'length' | 'chunked' | 'close'

export interface Http1Head {
  readonly status: number
  readonly isHttp10: boolean
  /** The fields, with names in lower case and values without outer white space. */
  readonly lines: FieldLines
  /** Its Content-Length; -1 without one. */
  readonly length: number
  /** Its Transfer-Encoding in lower case; undefined without one. */
  readonly coding: string | undefined
  /** False if the server closes the connection after this message (§9.3). */
  readonly persists: boolean
  /** How long the server announces to keep an idle connection, in milliseconds; undefined if it announces nothing. */
  readonly keepAliveMs: number | undefined
}

/** The reason why a head is refused. */
export type HeadFault = 'status line' | 'a malformed field' | 'ambiguous Content-Length' | 'Transfer-Encoding in HTTP/1.0' | 'Content-Length beside Transfer-Encoding'
  | 'Transfer-Encoding other than chunked'

/** Any byte that no head may hold: a control character other than a tab, or half of a line end (§2.2). */
// eslint-disable-next-line no-control-regex -- a tab is a control character, and may stand in a value
const neverInHead = /[^\t\x20-\x7e\x80-\xff\r\n]|\r[^\n]|[^\r]\n|^\n|\r$/
// Many servers omit the space after the code if there is no reason phrase (§4 requires it). That has only one reading.
// eslint-disable-next-line no-control-regex -- as above
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
/** Matches any beginning of a status line, including an empty one. */
const beginning = new RegExp(`^${['H', 'T', 'T', 'P', '/', '1', '\\.', '[01]', ' ', '[1-9]', '\\d', '\\d', '[ \\r]'].reduceRight((rest, char) => `(?:${char}${rest})?`, '')}$`)
const beginningBytes = 13
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// Fifteen digits are a safe integer.
const lengthValue = /^\d{1,15}$/
const framingNames: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding'])

/** Returns whether a text can grow into a head that is accepted, as far as its bytes show. @param checked how many of its bytes were checked before */
export function mayBecomeHead(text: string, checked: number): boolean {
  return beginning.test(text.slice(0, beginningBytes)) && mayBecomeSection(text, checked)
}

/** The same for a section of field lines. Without it a reader waits for the end of a section that can have none. */
export function mayBecomeSection(text: string, checked: number): boolean {
  // The last byte may be half of a line end.
  const end = text.charCodeAt(text.length - 1) === 0x0d ? text.length - 1 : text.length
  let start = Math.max(0, checked - 1)
  // A line end is checked as a whole.
  if (start > 0 && text.charCodeAt(start) === 0x0a) start--
  return !neverInHead.test(text.slice(start, end))
}

/** Parses a head, without the empty line that ends it. The text is latin1. */
export function parseHead(text: string): Http1Head | HeadFault {
  if (neverInHead.test(text)) return 'a malformed field'
  const lineEnd = text.indexOf('\r\n')
  const found = statusLine.exec(lineEnd < 0 ? text : text.slice(0, lineEnd))
  if (found === null) return 'status line'
  const lines: string[] = []
  if (lineEnd >= 0 && !readLines(text, lineEnd + 2, lines)) return 'a malformed field'
  const isHttp10 = found[1] === '0'
  let length = -1
  let coding: string | undefined
  let connection: string | undefined
  let keepAlive: string | undefined
  for (let i = 0; i < lines.length; i += 2) {
    const value = lines[i + 1] as string
    switch (lines[i]) {
      case 'content-length':
        // §6.3: a list of lengths, even of equal ones, is an error for which a proxy sends 502.
        if (length >= 0 || !lengthValue.test(value)) return 'ambiguous Content-Length'
        length = Number(value)
        break
      case 'transfer-encoding':
        coding = coding === undefined ? value.toLowerCase() : `${coding}, ${value.toLowerCase()}`
        break
      case 'connection':
        connection = connection === undefined ? value : `${connection}, ${value}`
        break
      case 'keep-alive':
        keepAlive = value
        break
    }
  }
  // §6.1: HTTP/1.0 has no transfer codings. Both together may be an attempt at smuggling.
  if (coding !== undefined && isHttp10) return 'Transfer-Encoding in HTTP/1.0'
  if (coding !== undefined && length >= 0) return 'Content-Length beside Transfer-Encoding'
  if (coding !== undefined && !isReadableCoding(coding)) return 'Transfer-Encoding other than chunked'
  return { status: Number(found[2]), isHttp10, lines, length, coding, persists: persists(connection, isHttp10),
    keepAliveMs: keepAlive === undefined ? undefined : announcedMs(keepAlive) }
}

// The codings of RFC 9112 §12.3, and `identity` from older RFCs.
const otherCodings: ReadonlySet<string> = new Set(['gzip', 'x-gzip', 'deflate', 'compress', 'x-compress', 'identity', 'trailers'])

/**
 * Returns whether the body can be read with this transfer coding. A known coding other than chunked would reach the client, or
 * the store, undecoded and without its field. A list of codings, or a name similar to `chunked`, may be read in two ways. A
 * single unregistered name codes nothing: the body ends with the connection (§6.3), and the hop-by-hop field is dropped.
 */
export function isReadableCoding(coding: string): boolean {
  return coding === 'chunked' || (/^[a-z0-9!#$&^_.+-]+$/.test(coding) && !otherCodings.has(coding) && !/chun|unk/.test(coding))
}

/** Returns how the body of a response ends (§6.3). A coding other than `chunked` alone ends with the connection. */
export function framingOf({ status, coding, length }: Http1Head, method: string): Framing {
  if (method === 'HEAD' || status === 204 || status === 304) return 'none'
  if (coding !== undefined) return coding === 'chunked' ? 'chunked' : 'close'
  return length < 0 ? 'close' : 'length'
}

/** Parses a trailer section, without the empty line that ends it; undefined if it is malformed. */
export function parseTrailers(text: string): FieldLines | undefined {
  const lines: string[] = []
  if (text === '') return lines
  if (neverInHead.test(text) || !readLines(text, 0, lines)) return undefined
  // RFC 9110 §6.5.1: a length behind the body that it measures is an attempt at smuggling.
  return hasField(lines, 'content-length') ? undefined : lines
}

/** Reads field lines from an index to the end of a text (§5). False if one is malformed: folded, nameless, or with a space in its name. */
function readLines(text: string, from: number, lines: string[]): boolean {
  for (let start = from; start <= text.length;) {
    const found = text.indexOf('\r\n', start)
    const end = found < 0 ? text.length : found
    const colon = text.indexOf(':', start)
    if (colon <= start || colon >= end) return false
    const name = lowerName(text.slice(start, colon))
    if (name === undefined) return false
    const value = valueBetween(text, colon + 1, end)
    // Parsers differ on a tab behind a length or a coding.
    if (framingNames.has(name) && tabBehind(text.slice(colon + 1, end), value)) return false
    lines.push(name, value)
    start = end + 2
  }
  return true
}

function tabBehind(raw: string, value: string): boolean {
  return raw.lastIndexOf('\t') > raw.indexOf(value)
}

/** Returns a value without outer white space (§5.1). Not trim(), which also removes a byte of 0xa0. */
function valueBetween(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && (text.charCodeAt(start) === 0x20 || text.charCodeAt(start) === 0x09)) start++
  while (end > start && (text.charCodeAt(end - 1) === 0x20 || text.charCodeAt(end - 1) === 0x09)) end--
  return text.slice(start, end)
}

// Servers write few different names, and always in the same case. The bound keeps a hostile server from filling the memory.
const mostNames = 1_000
const longestKeptName = 64
const lowerNames = new Map<string, string>()

function lowerName(raw: string): string | undefined {
  const known = lowerNames.get(raw)
  if (known !== undefined) return known
  if (!token.test(raw)) return undefined
  const name = raw.toLowerCase()
  // Flat copies: a slice would keep all of its head.
  if (lowerNames.size < mostNames && raw.length <= longestKeptName) lowerNames.set(flat(raw), flat(name))
  return name
}

function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

const closing = /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i
const keeping = /(?:^|,)[\t ]*keep-alive[\t ]*(?:,|$)/i

/** Returns whether a connection persists after a message (§9.3). `close` wins over everything else. */
function persists(connection: string | undefined, isHttp10: boolean): boolean {
  if (connection === undefined) return !isHttp10
  if (connection === 'keep-alive') return true
  return !closing.test(connection) && (!isHttp10 || keeping.test(connection))
}

const announcedTimeout = /(?:^|[,;\t ])timeout=(\d{1,6})(?:$|[,;\t ])/i
let lastAnnounced = ''
let lastAnnouncedMs: number | undefined

/** Returns the time of a Keep-Alive field. A server sends the same one with each response, so the last is remembered. */
function announcedMs(keepAlive: string): number | undefined {
  if (keepAlive === lastAnnounced) return lastAnnouncedMs
  const seconds = announcedTimeout.exec(keepAlive)?.[1]
  lastAnnounced = flat(keepAlive)
  return lastAnnouncedMs = seconds === undefined ? undefined : Number(seconds) * 1_000
}

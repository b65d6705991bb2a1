// Guards undici's parser: skips interim responses that break it, and refuses status lines that it wrongly accepts.
import type { Socket } from 'node:net'
import { SpringhouseError } from '../../errors.ts'

/** The parser state of a connection. The sender of a request sets `atHead` and `receivedAny`. */
export interface ResponseParserState {
  /** True if the next byte begins the head of a message. */
  atHead: boolean
  /** True if a byte of a response arrived, including bytes not yet given to the parser. */
  receivedAny: boolean
  /** True if the response is HTTP/1.0. */
  isHttp10: boolean
  /** The last bytes given to the parser, without the first bytes of a head. A second response is searched for in them. */
  last: Buffer
}

// Without a limit a client would wait as long as interim responses arrive: undici restarts its timeout at each.
const mostInterims = 100
const none: Buffer = Buffer.alloc(0)

/**
 * Inspects response heads by wrapping `socket.read`, which undici calls until it returns null.
 *
 * - 100 (Continue) is skipped: RFC 9110 §15.2 requires a client to parse an unexpected 1xx, but undici treats this one as the
 *   end of the request (client-h1.js, onHeadersComplete). Other interim responses are passed one by one, up to a limit.
 * - A status line must match RFC 9112 §4: undici's parser also accepts HTTP/2.0, RTSP/1.0 and NUL in the reason phrase.
 *
 * @param longestBytes the longest status line, and the longest head of an interim response
 */
export function guardResponseHeads(socket: Socket, heading: ResponseParserState, longestBytes: number): void {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null
  let held: Buffer = none
  let interims = 0
  const refuse = (detail: string): null => {
    held = none
    heading.atHead = false
    socket.destroy(new SpringhouseError('ORIGIN_MALFORMED', { detail }))
    return null
  }
  socket.read = (size?: number): Buffer | null => {
    if (!heading.atHead && held.length === 0) {
      const chunk = read(size)
      if (chunk !== null) heading.last = chunk
      return chunk
    }
    for (;;) {
      const chunk = read()
      let bytes = joined(held, chunk)
      held = none
      if (bytes.length > 0) heading.receivedAny = true
      let head = heading.atHead ? headAt(bytes) : final
      while (head.kind === 'interim') {
        if (++interims > mostInterims) return refuse('1xx without end')
        if (head.status !== 100) {
          // Passes this head alone, because a 100 may follow it.
          held = bytes.subarray(head.length)
          return bytes.subarray(0, head.length)
        }
        bytes = bytes.subarray(head.length)
        head = headAt(bytes)
      }
      if (head.kind === 'malformed' || (head.kind === 'unfinished' && bytes.length >= longestBytes)) return refuse('status line')
      if (head.kind === 'final') {
        heading.atHead = false
        heading.isHttp10 = bytes[minorVersionAt] === 0x30
        heading.last = bytes.subarray(beginningBytes)
        interims = 0
        return bytes
      }
      // Too few bytes to decide.
      held = bytes
      if (chunk === null) return null
    }
  }
}

function joined(held: Buffer, chunk: Buffer | null): Buffer {
  if (chunk === null) return held
  return held.length === 0 ? chunk : Buffer.concat([held, chunk])
}

/** The kind of head that bytes begin with. An interim response is a complete message of `length` bytes. */
type Head =
  | { readonly kind: 'final' | 'unfinished' | 'malformed' }
  | { readonly kind: 'interim'; readonly status: number; readonly length: number }
const final: Head = { kind: 'final' }
const unfinished: Head = { kind: 'unfinished' }
const malformed: Head = { kind: 'malformed' }

/** Matches any beginning of a status line, including an empty one. `malformed` in response-head.ts checks the status code. */
const beginning = new RegExp(`^${['H', 'T', 'T', 'P', '/', '1', '\\.', '[01]', ' ', '\\d', '\\d', '\\d', '[ \\r]'].reduceRight((rest, char) => `(?:${char}${rest})?`, '')}$`)
const beginningBytes = 13
const minorVersionAt = 7
// Many servers omit the space after the code if there is no reason phrase (§4 requires it). That has only one reading.
const statusLine = /^HTTP\/1\.[01] (\d\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/

function headAt(bytes: Buffer): Head {
  if (!beginning.test(bytes.toString('latin1', 0, beginningBytes))) return malformed
  const lineEnd = bytes.indexOf(0x0a)
  if (lineEnd < 0) return unfinished
  const status = bytes[lineEnd - 1] === 0x0d ? Number(statusLine.exec(bytes.toString('latin1', 0, lineEnd - 1))?.[1]) : Number.NaN
  if (Number.isNaN(status)) return malformed
  if (status < 100 || status > 199) return final
  const end = bytes.indexOf('\r\n\r\n')
  return end < 0 ? unfinished : { kind: 'interim', status, length: end + 4 }
}

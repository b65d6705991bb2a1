// The heads of answers before undici's parser sees them: what it would choke on is skipped, and what it would let pass refused.
import type { Socket } from 'node:net'
import { SpringhouseError } from '../../errors.ts'

/** Where a connection is. Whoever sends a request sets both. */
export interface ResponseParserState {
  /** Whether the next byte begins the head of a message. */
  atHead: boolean
  /** Whether a byte of an answer has come, also one that the parser has not been given. */
  receivedAny: boolean
  /** Whether the answer is one of HTTP/1.0. */
  isHttp10: boolean
  /** What the parser was given last, from behind the first bytes of a head: where to look for an answer behind an answer. */
  last: Buffer
}

// A line, or the head of a 1xx, that is longer is no head.
const longestBytes = 16_384
// A client would wait for as long as they come; undici begins its patience anew at each.
const mostInterims = 100
const none: Buffer = Buffer.alloc(0)

/**
 * Reads the heads of a connection along with undici, which takes bytes off a socket by `socket.read` until it gets null.
 *
 * - 100 (Continue) is skipped: RFC 9110 §15.2 wants a client to parse a 1xx that it did not expect, and undici takes this one
 *   for the end of the request (client-h1.js, onHeadersComplete). The other 1xx are handed over one by one, and not for ever.
 * - A status line is what RFC 9112 §4 says: the parser takes HTTP/2.0, RTSP/1.0 and NUL in a phrase as well.
 */
export function guardResponseHeads(socket: Socket, heading: ResponseParserState): void {
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
          // By itself: behind it there may be a 100 again.
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
      // Too little to tell what it is.
      held = bytes
      if (chunk === null) return null
    }
  }
}

function joined(held: Buffer, chunk: Buffer | null): Buffer {
  if (chunk === null) return held
  return held.length === 0 ? chunk : Buffer.concat([held, chunk])
}

/** What bytes at a head begin with. An interim is a whole message of that length. */
type Head =
  | { readonly kind: 'final' | 'unfinished' | 'malformed' }
  | { readonly kind: 'interim'; readonly status: number; readonly length: number }
const final: Head = { kind: 'final' }
const unfinished: Head = { kind: 'unfinished' }
const malformed: Head = { kind: 'malformed' }

/** Whatever a status line may begin with, nothing included. A code is three digits, and judged by `malformed` in response-fields. */
const beginning = new RegExp(`^${['H', 'T', 'T', 'P', '/', '1', '\\.', '[01]', ' ', '\\d', '\\d', '\\d', '[ \\r]'].reduceRight((rest, char) => `(?:${char}${rest})?`, '')}$`)
const beginningBytes = 13
const minorVersionAt = 7
// Many leave out the space behind the code where there is no phrase (§4 wants it), and nobody reads that in another way.
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

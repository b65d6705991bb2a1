// The chunked coding of a response body (RFC 9112 §7.1), decoded from the pieces in which it arrives.
import type { FieldLines } from '../../http/fields.ts'
import { mayBecomeSection, parseTrailers } from './http1-head.ts'

/** The longest line of a chunk, with its extensions. A longer one is a way to make a reader work for nothing. */
const longestChunkLine = 4_096
// §7.1: the size, and extensions without the white space that §7.1.1 calls bad.
// eslint-disable-next-line no-control-regex -- a tab is a control character, and may stand in a quoted string
const chunkLine =
  /^([0-9a-fA-F]{1,16})(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*$/
const none: Buffer = Buffer.alloc(0)
const noTrailers: FieldLines = []

/** `more`: the body goes on. `end`: it is complete. Anything else is the reason why it is refused. */
export type ChunkedProgress = 'more' | 'end' | 'a malformed chunk' | 'a malformed trailer' | 'trailers too large'

/** Decodes one body. Does no I/O, and keeps nothing of the bytes that it is given but what it copies. */
export class ChunkedBody {
  /** The content of the last read. These are slices of the bytes that were given. */
  pieces: Buffer[] = []
  /** The bytes after the message, once it has ended: a slice as well. */
  rest: Buffer = none
  trailers: FieldLines = noTrailers
  readonly #maxTrailerBytes: number
  #at: 'line' | 'content' | 'content end' | 'trailers' = 'line'
  /** Bytes of the present chunk that are missing. */
  #left = 0
  /** The beginning of a line, or of the trailers, whose end has not arrived. */
  #held: Buffer = none
  /** How much of what is held was searched for an end. */
  #searched = 0

  constructor(maxTrailerBytes: number) {
    this.#maxTrailerBytes = maxTrailerBytes
  }

  read(given: Buffer): ChunkedProgress {
    const bytes = this.#held.length === 0 ? given : Buffer.concat([this.#held, given])
    this.#held = none
    this.pieces = []
    let at = 0
    for (;;) {
      switch (this.#at) {
        case 'content': {
          const piece = bytes.subarray(at, at + this.#left)
          if (piece.length > 0) this.pieces.push(piece)
          at += piece.length
          this.#left -= piece.length
          if (this.#left > 0) return 'more'
          this.#at = 'content end'
          break
        }
        case 'content end':
          if (at < bytes.length && bytes[at] !== 0x0d) return 'a malformed chunk'
          if (bytes.length - at < 2) return this.#hold(bytes, at)
          if (bytes[at + 1] !== 0x0a) return 'a malformed chunk'
          at += 2
          this.#at = 'line'
          break
        case 'line': {
          const end = bytes.indexOf(0x0a, at + this.#searched)
          if ((end < 0 ? bytes.length : end) - at > longestChunkLine) return 'a malformed chunk'
          if (end < 0) return mayBecomeLine(bytes, at) ? this.#hold(bytes, at) : 'a malformed chunk'
          const size = sizeOf(bytes, at, end)
          if (size < 0) return 'a malformed chunk'
          at = end + 1
          this.#searched = 0
          this.#left = size
          this.#at = size > 0 ? 'content' : 'trailers'
          break
        }
        case 'trailers':
          return this.#readTrailers(bytes, at)
      }
    }
  }

  #readTrailers(bytes: Buffer, at: number): ChunkedProgress {
    const isEmpty = bytes[at] === 0x0d && bytes[at + 1] === 0x0a
    const end = isEmpty ? at : bytes.indexOf('\r\n\r\n', Math.max(at, at + this.#searched - 3), 'latin1')
    if ((end < 0 ? bytes.length : end) - at > this.#maxTrailerBytes) return 'trailers too large'
    if (end < 0) return mayBecomeSection(bytes.toString('latin1', at), this.#searched) ? this.#hold(bytes, at) : 'a malformed trailer'
    const trailers = parseTrailers(bytes.toString('latin1', at, end))
    if (trailers === undefined) return 'a malformed trailer'
    this.trailers = trailers
    this.rest = bytes.subarray(end + (isEmpty ? 2 : 4))
    return 'end'
  }

  #hold(bytes: Buffer, at: number): ChunkedProgress {
    this.#searched = bytes.length - at
    this.#held = Buffer.from(bytes.subarray(at))
    return 'more'
  }
}

/** Returns the size of a chunk whose line lies between these indexes, the line feed excluded; -1 if it is malformed. */
function sizeOf(bytes: Buffer, from: number, to: number): number {
  if (to === from || bytes[to - 1] !== 0x0d) return -1
  const found = chunkLine.exec(bytes.toString('latin1', from, to - 1))
  if (found === null) return -1
  const size = Number.parseInt(found[1] as string, 16)
  return Number.isSafeInteger(size) ? size : -1
}

/** Returns whether bytes without a line feed can begin the line of a chunk. So a reader is not left waiting for a line that never ends. */
function mayBecomeLine(bytes: Buffer, at: number): boolean {
  const text = bytes.toString('latin1', at)
  // eslint-disable-next-line no-control-regex -- a tab is a control character, and may stand in a quoted string
  return /^(?:[0-9a-fA-F]{0,16}\r?|[0-9a-fA-F]{1,16};[\t\x20-\x7e\x80-\xff]*\r?)$/.test(text)
}

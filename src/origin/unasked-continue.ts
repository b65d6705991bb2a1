// 100 (Continue) that nobody asked for: skipped before undici sees it, which would take it for the end of the request.
import type { Socket } from 'node:net'

/** Whether the next byte of a connection begins the head of a message. Whoever sends a request sets it. */
export interface Heading {
  atHead: boolean
}

// A head that is longer is for the parser to refuse.
const longestBytes = 16_384
const none: Buffer = Buffer.alloc(0)

/**
 * RFC 9110 §15.2: a client must be able to parse a 1xx that it did not expect; an intermediary need not pass it on. Of those
 * only 100 is a trouble (undici, client-h1.js, onHeadersComplete). `socket.read` is how undici takes bytes off a socket, until
 * it gets null.
 */
export function skipUnaskedContinue(socket: Socket, heading: Heading): void {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null
  let held: Buffer = none
  socket.read = (size?: number): Buffer | null => {
    if (!heading.atHead && held.length === 0) return read(size)
    for (;;) {
      const chunk = read()
      let bytes = joined(held, chunk)
      held = none
      let interim = heading.atHead ? interimAt(bytes) : final
      while (interim.status === 100 && interim.length > 0) {
        bytes = bytes.subarray(interim.length)
        interim = interimAt(bytes)
      }
      if (interim.length > 0) {
        // Another 1xx, by itself: behind it there may be a 100 again.
        held = bytes.subarray(interim.length)
        return bytes.subarray(0, interim.length)
      }
      if (interim !== unfinished || bytes.length >= longestBytes) {
        heading.atHead = false
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

/** What bytes at a head begin with: a whole 1xx message of that length, or what has none. */
interface Interim {
  readonly status: number
  readonly length: number
}
const unfinished: Interim = { status: 0, length: 0 }
const final: Interim = { status: 0, length: 0 }

/** Whatever a status line of a 1xx may begin with, nothing included. */
const beginning = new RegExp(`^${['H', 'T', 'T', 'P', '/', '1', '\\.', '[01]', ' ', '1', '\\d', '\\d'].reduceRight((rest, char) => `(?:${char}${rest})?`, '')}$`)

function interimAt(bytes: Buffer): Interim {
  const start = bytes.toString('latin1', 0, 13)
  const match = /^HTTP\/1\.[01] (1\d\d)[ \r]/.exec(start)
  if (match === null) return beginning.test(start) ? unfinished : final
  const end = bytes.indexOf('\r\n\r\n')
  return end < 0 ? unfinished : { status: Number(match[1]), length: end + 4 }
}

// 100 (Continue) that nobody asked for: skipped before undici sees it, which would take it for the end of the request.
import type { Socket } from 'node:net'

/** Whether the next byte of a connection begins the head of a message. Whoever sends a request sets it. */
export interface Heading {
  atHead: boolean
}

// A head that is longer is for the parser to refuse.
const longestBytes = 16_384
const asFarAsItGoes = 'HTTP/1.1 100 '

/**
 * RFC 9110 §15.2: a client must be able to parse a 1xx that it did not expect; an intermediary need not pass it on. Of those
 * only 100 is a trouble (undici, client-h1.js, onHeadersComplete). `socket.read` is how undici takes bytes off a socket.
 */
export function skipUnaskedContinue(socket: Socket, heading: Heading): void {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null
  let held: Buffer | undefined
  socket.read = (size?: number): Buffer | null => {
    for (let chunk = read(size); ; chunk = read()) {
      if (!heading.atHead || chunk === null) return chunk
      let bytes: Buffer = held === undefined ? chunk : Buffer.concat([held, chunk])
      held = undefined
      for (let length = continueLength(bytes); length > 0; length = continueLength(bytes)) bytes = bytes.subarray(length)
      // A head of which too little is there: what it is shows when more comes.
      if (bytes.length === 0) continue
      if (continueLength(bytes) < 0 && bytes.length < longestBytes) {
        held = bytes
        continue
      }
      heading.atHead = false
      return bytes
    }
  }
}

/** Length of the 100 that the bytes begin with; 0: they begin with something else; -1: they may yet. */
function continueLength(bytes: Buffer): number {
  const start = bytes.toString('latin1', 0, asFarAsItGoes.length)
  if (!/^HTTP\/1\.[01] 100[ \r]/.test(start)) return couldBecome(start) ? -1 : 0
  const end = bytes.indexOf('\r\n\r\n')
  return end < 0 ? -1 : end + 4
}

function couldBecome(start: string): boolean {
  return start.length < asFarAsItGoes.length && asFarAsItGoes.startsWith(start.replace('HTTP/1.0', 'HTTP/1.1'))
}

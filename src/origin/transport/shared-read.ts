// The memory into which all plain connections to origins are read, and the way from a read to its connection.
import type { Socket } from 'node:net'

/** Takes what was read. */
export interface ReadsBytes {
  received(bytes: Buffer): void
}

const reader: unique symbol = Symbol('springhouse.reader')
type ReadSocket = Socket & { [reader]?: ReadsBytes }

/**
 * Shared by all sockets. That is safe because a read and its callback are one step: libuv gets the memory, reads into it, and calls
 * back before it returns to the event loop, and no callback makes another socket read. So the bytes are valid until the callback
 * returns, and not longer. A connection hands them on as copies (`own`).
 *
 * TLS sockets do not use it: OpenSSL may decrypt bytes within a write, which would be a read within a read.
 */
const memory: Buffer = Buffer.allocUnsafeSlow(65_536)

/** The option of net.connect that reads into the shared memory. There is no Readable then, and no buffer for each read. */
export const sharedRead = {
  buffer: memory,
  callback(this: ReadSocket, length: number, bytes: Uint8Array): boolean {
    this[reader]?.received((bytes as Buffer).subarray(0, length))
    return true
  },
}

/** Gives what a socket reads to a connection, until `unlink`. */
export function link(socket: Socket, to: ReadsBytes): void {
  ;(socket as ReadSocket)[reader] = to
  // A socket that was opened without the option above.
  socket.on('data', (bytes: Buffer) => (socket as ReadSocket)[reader]?.received(bytes))
}

export function unlink(socket: Socket): void {
  delete (socket as ReadSocket)[reader]
}

/** Returns the bytes of some pieces as one buffer that nothing overwrites. */
export function own(pieces: readonly Buffer[]): Buffer {
  const [first = memory] = pieces
  if (pieces.length > 1) return Buffer.concat(pieces)
  return first.buffer === memory.buffer ? Buffer.from(first) : first
}

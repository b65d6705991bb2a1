// Observes the HTTP/2 frames of a connection (RFC 9113 §4), because Node's parser does not report all that matters.
import { Duplex } from 'node:stream'

/** Callbacks for observed frames. */
export interface FrameWatch {
  /** Called with the number of fields of a field section (§8.1); NaN if they cannot be counted. */
  section(stream: number, fields: number): void
  /** Called when the server resets a stream (§6.4). */
  reset(stream: number, code: number): void
  /** Called when Node sends GOAWAY because of a connection error of the server (§5.4.1). */
  onLocalGoaway(code: number): void
  /** Called when the socket failed and is closed. */
  broken(error: Error): void
}

const headers = 0x1
const rstStream = 0x3
const goaway = 0x7
const continuation = 0x9
const endHeaders = 0x4
const padded = 0x8
const priority = 0x20

const headBytes = 9
/** The length of the client preface, "PRI * HTTP/2.0…" (§3.4). */
const prefaceBytes = 24

interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** Assembles the frames of some types from bytes. Keeps nothing of other frames. */
class FrameReader {
  readonly #types: ReadonlySet<number>
  readonly #received: (frame: Frame) => void
  #skip: number
  #held: Buffer[] = []
  #heldLength = 0
  #wanted = headBytes
  #head: Buffer | undefined

  constructor(types: readonly number[], skip: number, heard: (frame: Frame) => void) {
    this.#types = new Set(types)
    this.#skip = skip
    this.#received = heard
  }

  take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at)
        this.#skip -= skipped
        at += skipped
        continue
      }
      const part = chunk.subarray(at, at + this.#wanted - this.#heldLength)
      at += part.length
      this.#held.push(part)
      this.#heldLength += part.length
      if (this.#heldLength === this.#wanted) this.#complete()
    }
  }

  #complete(): void {
    const bytes = this.#held.length === 1 ? this.#held[0] as Buffer : Buffer.concat(this.#held)
    this.#held = []
    this.#heldLength = 0
    let head = this.#head
    let payload = bytes
    if (head === undefined) {
      head = bytes
      const length = head.readUIntBE(0, 3)
      if (!this.#types.has(head.readUInt8(3))) return void (this.#skip = length)
      if (length > 0) {
        this.#head = head
        this.#wanted = length
        return
      }
      payload = bytes.subarray(headBytes)
    }
    this.#head = undefined
    this.#wanted = headBytes
    this.#received({ type: head.readUInt8(3), flags: head.readUInt8(4), stream: head.readUInt32BE(5) & 0x7fff_ffff, payload })
  }
}

/** A wrapper that stands in for a socket and observes the frames in both directions. */
export class FrameTap extends Duplex {
  readonly #socket: Duplex
  readonly #inbound: FrameReader
  readonly #outbound: FrameReader
  /** Bytes received so far. */
  received = 0

  /**
   * @param longestSection the most bytes of an encoded field section that are kept to count its fields. The parser refuses a
   * longer one: see Http2Connection.
   */
  constructor(socket: Duplex, longestSection: number, watch: FrameWatch) {
    super({ highWaterMark: 65_536 })
    this.#socket = socket
    let block: Buffer[] = []
    let blockLength = 0
    this.#inbound = new FrameReader([headers, continuation, rstStream], 0, ({ type, flags, stream, payload }) => {
      if (type === rstStream) return payload.length === 4 ? watch.reset(stream, payload.readUInt32BE(0)) : undefined
      if (type === headers) {
        block = [withoutPadding(flags, payload)]
        blockLength = 0
      } else if (blockLength <= longestSection) block.push(payload)
      blockLength += payload.length
      if ((flags & endHeaders) === 0) return
      watch.section(stream, blockLength > longestSection ? Number.NaN : fieldsIn(Buffer.concat(block)))
      block = []
    })
    this.#outbound = new FrameReader([goaway], prefaceBytes, ({ payload }) => watch.onLocalGoaway(payload.length < 8 ? 0 : payload.readUInt32BE(4)))
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length
      this.#inbound.take(chunk)
      if (!this.push(chunk)) socket.pause()
    })
    socket.on('end', () => this.push(null))
    // Reported by callback and not as an `error` event, which may have no listener any more.
    socket.on('error', (error) => {
      watch.broken(error)
      this.destroy()
    })
    socket.on('close', () => this.destroy())
  }

  override _read(): void {
    if (this.#socket.isPaused()) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#outbound.take(chunk)
    this.#socket.write(chunk, done)
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#socket.cork()
    for (const [i, { chunk }] of chunks.entries()) {
      this.#outbound.take(chunk)
      this.#socket.write(chunk, i === chunks.length - 1 ? done : undefined)
    }
    this.#socket.uncork()
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(_error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy()
    done(null)
  }
}

/** Returns the field block of a HEADERS frame (§6.2). */
function withoutPadding(flags: number, payload: Buffer): Buffer {
  const padding = (flags & padded) === 0 ? 0 : payload[0] ?? 0
  const start = ((flags & padded) === 0 ? 0 : 1) + ((flags & priority) === 0 ? 0 : 5)
  return payload.subarray(start, Math.max(start, payload.length - padding))
}

/** Counts the fields of a field block (RFC 7541 §6). This needs neither the tables nor the Huffman code. */
export function fieldsIn(block: Buffer): number {
  let fields = 0
  let at = 0

  /** Reads an integer of RFC 7541 §5.1 with a prefix of `bits` bits. */
  const integer = (bits: number): number => {
    const most = 2 ** bits - 1
    const first = block[at++]
    if (first === undefined) return at = Number.NaN
    let value = first & most
    if (value < most) return value
    for (let shift = 0;; shift += 7) {
      const byte = block[at++]
      if (byte === undefined || shift > 28) return at = Number.NaN
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  const text = (): void => {
    const length = integer(7)
    at += length
  }

  while (at < block.length) {
    const first = block[at] as number
    if (first >= 0x80) integer(7)
    // A dynamic table size update is not a field (§6.3).
    else if ((first & 0xe0) === 0x20) {
      integer(5)
      continue
    } else {
      if (integer(first >= 0x40 ? 6 : 4) === 0) text()
      text()
    }
    fields++
  }
  // If the position is beyond the end, or NaN, the block is malformed.
  return at === block.length ? fields : Number.NaN
}

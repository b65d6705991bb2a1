// Bodies in this process's memory, and the buffer that collects a body while it arrives.
import type { Body } from '../store.ts'

/** A body in one piece. */
export class BufferBody implements Body {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  async *read(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    const part = this.bytes.subarray(start, end)
    if (part.length > 0) yield part
  }
}

/** A body in the chunks in which it was received. */
export class ChunkedBody implements Body {
  readonly bytes = undefined
  readonly #pieces: readonly Buffer[]

  constructor(pieces: readonly Buffer[]) {
    this.#pieces = pieces
  }

  async *read(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    let at = 0
    for (const piece of this.#pieces) {
      if (at >= end) return
      const part = piece.subarray(Math.max(0, start - at), Math.min(piece.length, end - at))
      at += piece.length
      if (at > start && part.length > 0) yield part
    }
  }
}

const firstBlockBytes = 1024
const lastBlockBytes = 65_536
// Below this size, Buffer.allocUnsafe uses a pool of twice the size. A separate ArrayBuffer for each small body would keep
// the garbage collector busier than the rest of a write does.
const pooledBelowBytes = Buffer.poolSize >>> 1

/**
 * Collects the bytes of a body. A chunk that is a small part of its ArrayBuffer is copied, because 1 KB from a socket would
 * keep 64 KB alive. A chunk that is most of its ArrayBuffer is kept as it is.
 */
export class ChunkBuffer {
  readonly #pieces: Buffer[] = []
  /** Where each piece begins. */
  readonly #starts: number[] = []
  /** The length of all pieces, without the block that is being filled. */
  #sealedBytes = 0
  #block: Buffer | undefined
  #blockUsed = 0
  #bytes = 0
  #heldBytes = 0

  /** Length of the body so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Memory in use: never less than the length. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  add(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#bytes += chunk.length
    if (chunk.length * 2 >= chunk.buffer.byteLength) {
      this.#seal()
      this.#append(chunk)
      this.#heldBytes += chunk.buffer.byteLength
      return
    }
    if (this.#block === undefined || this.#blockUsed + chunk.length > this.#block.length) {
      this.#seal()
      const size = Math.max(chunk.length, Math.min(lastBlockBytes, Math.max(firstBlockBytes, this.#bytes)))
      this.#block = Buffer.allocUnsafe(size)
      // A pooled block may keep its whole pool alive. Shared with others, it counts as half of the pool at most.
      this.#heldBytes += size < pooledBelowBytes ? pooledBelowBytes : size
    }
    chunk.copy(this.#block, this.#blockUsed)
    this.#blockUsed += chunk.length
  }

  #seal(): void {
    if (this.#block !== undefined && this.#blockUsed > 0) this.#append(this.#block.subarray(0, this.#blockUsed))
    this.#block = undefined
    this.#blockUsed = 0
  }

  #append(piece: Buffer): void {
    this.#starts.push(this.#sealedBytes)
    this.#pieces.push(piece)
    this.#sealedBytes += piece.length
  }

  /** Returns bytes from a position on: at least one, as far as they lie together; undefined if they are not here. */
  from(position: number): Buffer | undefined {
    if (position >= this.#bytes) return undefined
    if (position >= this.#sealedBytes) return this.#block?.subarray(position - this.#sealedBytes, this.#blockUsed)
    let [low, high] = [0, this.#pieces.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#starts[middle] as number) <= position) low = middle
      else high = middle - 1
    }
    return this.#pieces[low]?.subarray(position - (this.#starts[low] as number))
  }

  /** Copies all bytes to their final place. */
  copyTo(target: Buffer, offset: number): void {
    this.#seal()
    let at = offset
    for (const piece of this.#pieces) at += piece.copy(target, at)
  }

  /** Returns all bytes as one body: in one piece up to `maxWholeBytes`, beyond that in the received chunks. */
  toBody(maxWholeBytes: number): { body: Body; heldBytes: number } {
    this.#seal()
    const [first] = this.#pieces
    if (this.#pieces.length === 1 && first !== undefined && first.length === first.buffer.byteLength) {
      return { body: new BufferBody(first), heldBytes: first.length }
    }
    if (this.#bytes > maxWholeBytes) return { body: new ChunkedBody([...this.#pieces]), heldBytes: this.#heldBytes }
    const whole = Buffer.allocUnsafeSlow(this.#bytes)
    this.copyTo(whole, 0)
    return { body: new BufferBody(whole), heldBytes: this.#bytes }
  }

  clear(): void {
    this.#pieces.length = 0
    this.#starts.length = 0
    this.#block = undefined
    this.#sealedBytes =
      this.#blockUsed =
      this.#bytes =
      this.#heldBytes =
        0
  }
}

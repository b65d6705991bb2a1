// The rest of a stored body that its store lost in the middle of a response: from the origin, if it still has the same.
import { crc32 } from 'node:zlib'
import { fieldValue, type FieldLines, announcedLength } from '../../http/fields.ts'
import type { OriginExchange, ResponseSink } from '../../origin/origin.ts'
import type { Metadata } from '../../policy/stored.ts'
import { BodyGone, type Body, type Stored } from '../../store/store.ts'

/** Requests the whole stored response from the origin, without conditions. */
export type Refetch = (sink: ResponseSink) => OriginExchange

/**
 * A stored body that goes on where its store ends. The client has the head and the first bytes by then. So the origin's
 * response must begin with the same bytes, and have the same length and the same describing fields. Then the client receives,
 * byte for byte, what the origin sends now. Otherwise the response is truncated, as nothing else is honest.
 */
export class ResumedBody implements Body {
  readonly bytes = undefined
  readonly #stored: Stored
  readonly #refetch: Refetch | undefined

  /** @param refetch undefined: a body that is lost cannot be continued */
  constructor(stored: Stored, refetch: Refetch | undefined) {
    this.#stored = stored
    this.#refetch = refetch
  }

  /** @throws BodyGone before the first chunk if the store has nothing, or later if the origin does not have the same either. */
  read(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    return this.#from({ start, end: start, checksum: 0 }, end, false)
  }

  /** As `read`, for a client that has some bytes already. */
  resume(already: SentBytes, end: number): AsyncGenerator<Buffer, void, undefined> {
    return this.#from(already, end, true)
  }

  async *#from(already: SentBytes, end: number, hasBegun: boolean): AsyncGenerator<Buffer, void, undefined> {
    const sent = { ...already }
    try {
      for await (const chunk of this.#stored.body.read(sent.end, end)) {
        sent.checksum = crc32(chunk, sent.checksum)
        sent.end += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      // Nothing was sent: that is a miss, and the next lookup leads to a fetch.
      if ((sent.end === already.end && !hasBegun) || this.#refetch === undefined) throw error
    }
    const rest = new OriginRemainder(this.#stored.meta, sent, end)
    rest.begin(this.#refetch(rest))
    try {
      yield* rest.chunks()
    } finally {
      rest.abort()
    }
  }
}

/** Bytes of a body that a client has: from `start` up to, not including, `end`. */
export interface SentBytes {
  readonly start: number
  readonly end: number
  readonly checksum: number
}

// Beyond it the origin waits for the client.
const mostWaitingBytes = 262_144

class OriginRemainder implements ResponseSink {
  readonly #meta: Metadata
  readonly #sent: SentBytes
  readonly #end: number
  #origin: OriginExchange | undefined
  #state: 'open' | 'whole' | 'failed' = 'open'
  #received = 0
  #checksum = 0
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #wake: () => void = () => {}

  /** @param end where the requested range ends */
  constructor(meta: Metadata, sent: SentBytes, end: number) {
    this.#meta = meta
    this.#sent = sent
    this.#end = end
  }

  begin(origin: OriginExchange): void {
    this.#origin = origin
    if (this.#state === 'failed') origin.abort()
  }

  abort(): void {
    if (this.#state !== 'open') return
    this.#state = 'failed'
    this.#origin?.abort()
  }

  /** @throws BodyGone */
  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const chunk = this.#take()
      if (chunk !== undefined) yield chunk
      else if (this.#state === 'whole') return
      else if (this.#state === 'failed') throw new BodyGone('the origin has not the same body any more')
      else await new Promise<void>(resolve => {
          this.#wake = resolve
        })
    }
  }

  // The last chunk is kept back until the end of the message was seen: no truncated body may seem complete.
  #take(): Buffer | undefined {
    if (this.#state === 'failed' || (this.#waiting.length < 2 && this.#state !== 'whole')) return undefined
    const chunk = this.#waiting.shift()
    this.#waitingBytes -= chunk?.length ?? 0
    if (this.#waitingBytes < mostWaitingBytes) this.#origin?.resume()
    return chunk
  }

  onHead(status: number, fields: FieldLines): void {
    const { status: storedStatus, fields: storedFields, bodyBytes } = this.#meta
    const length = announcedLength(fields)
    // A response that never came to its end may have had no known length.
    const same = status === storedStatus && (length === -1 || bodyBytes === Infinity || length === bodyBytes)
      && describing.every(name => fieldValue(fields, name) === fieldValue(storedFields, name))
    if (!same) this.#fail()
  }

  onData(chunk: Buffer): void {
    if (this.#state !== 'open') return
    const begins = this.#received
    this.#received += chunk.length
    const { start, end: sentEnd, checksum } = this.#sent
    const had = slice(chunk, start - begins, sentEnd - begins)
    if (had.length > 0) {
      this.#checksum = crc32(had, this.#checksum)
      if (this.#received >= sentEnd && this.#checksum !== checksum) return this.#fail()
    }
    const wanted = slice(chunk, sentEnd - begins, this.#end - begins)
    if (wanted.length === 0) return
    this.#waiting.push(wanted)
    this.#waitingBytes += wanted.length
    if (this.#waitingBytes >= mostWaitingBytes && this.#waiting.length > 1) this.#origin?.pause()
    this.#wake()
  }

  onEnd(): void {
    const { bodyBytes } = this.#meta
    if (bodyBytes === Infinity ? this.#received < this.#sent.end : this.#received !== bodyBytes) return this.#fail()
    this.#state = 'whole'
    this.#wake()
  }

  onError(): void {
    this.#fail()
  }

  #fail(): void {
    this.abort()
    this.#waiting = []
    this.#wake()
  }
}

// Fields that identify a representation (RFC 9110 §8). If one differs, the representation is another, whatever its first bytes.
const describing = ['etag', 'last-modified', 'content-type', 'content-encoding', 'content-language', 'content-location']

function slice(chunk: Buffer, from: number, to: number): Buffer {
  return chunk.subarray(Math.min(Math.max(from, 0), chunk.length), Math.min(Math.max(to, 0), chunk.length))
}

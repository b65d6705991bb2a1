// The rest of a stored body that its store lost in the middle of a response: from the origin, if it still has the same.
import { crc32 } from 'node:zlib'
import { fieldValue, type FieldLines, announcedLength } from '../../http/fields.ts'
import type { OriginExchange, ResponseSink } from '../../origin/origin.ts'
import { receivedContent } from '../../policy/part.ts'
import type { Metadata, Part } from '../../policy/stored.ts'
import { BodyGone, FellBehind, type Body, type Stored } from '../../store/store.ts'

/** Where a body that its store lost goes on. */
export interface Continuation {
  /**
   * Returns the same response from a fetch that all its readers share; `gone` if the origin does not have it any more; `alone` if
   * this reader must fetch for itself. Never rejects.
   * @param from the first byte that is needed
   */
  shared(from: number): Promise<Stored | 'alone' | 'gone'>
  /** Requests the stored response from the origin, without conditions. */
  alone(sink: ResponseSink): OriginExchange
}

/**
 * A stored body that goes on where its store ends. The client has the head and the first bytes by then. So the origin's
 * response must begin with the same bytes, and have the same length and the same describing fields. Then the client receives,
 * byte for byte, what the origin sends now. Otherwise the response is truncated, as nothing else is honest.
 */
export class ResumedBody implements Body {
  readonly bytes = undefined
  readonly #stored: Stored
  readonly #continuation: Continuation | undefined

  /** @param continuation undefined: a body that is lost cannot be continued */
  constructor(stored: Stored, continuation: Continuation | undefined) {
    this.#stored = stored
    this.#continuation = continuation
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
      return yield* counted(this.#stored.body.read(sent.end, end), sent)
    } catch (error) {
      // Nothing was sent: that is a miss, and the next lookup leads to a fetch.
      if ((sent.end === already.end && !hasBegun) || this.#continuation === undefined) throw error
    }
    const shared = await this.#continuation.shared(sent.start)
    if (shared === 'gone') throw new BodyGone(changed)
    if (shared === 'alone') return yield* this.#readAlone(this.#continuation, sent, end)
    try {
      yield* counted(new RepeatedBody(shared, sent).read(end), sent)
    } catch (error) {
      // All readers had the same fetch. A reader that is too slow for it fetches for itself.
      if (!(error instanceof FellBehind)) throw error
      yield* this.#readAlone(this.#continuation, sent, end)
    }
  }

  async *#readAlone(continuation: Continuation, sent: SentBytes, end: number): AsyncGenerator<Buffer, void, undefined> {
    const rest = new OriginRemainder(this.#stored.meta, sent, end)
    rest.begin(continuation.alone(rest))
    try {
      yield* rest.chunks()
    } finally {
      rest.abort()
    }
  }
}

const changed = 'the origin has not the same body any more'

/** Passes chunks on, and counts them as sent. */
async function* counted(chunks: AsyncIterable<Buffer>, sent: { end: number; checksum: number }): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of chunks) {
    sent.checksum = crc32(chunk, sent.checksum)
    sent.end += chunk.length
    yield chunk
  }
}

/** The same response once more. Its first bytes are compared with those that the client has. */
class RepeatedBody {
  readonly #stored: Stored
  readonly #sent: SentBytes

  /** @param sent the bytes that the client has. It must not change before the first chunk was read */
  constructor(stored: Stored, sent: SentBytes) {
    this.#stored = stored
    this.#sent = { ...sent }
  }

  /** Returns the bytes that the client does not have yet. @throws BodyGone */
  async *read(end: number): AsyncGenerator<Buffer, void, undefined> {
    const { start, end: sentEnd, checksum } = this.#sent
    const { meta: { bodyBytes }, body } = this.#stored
    const last = Math.min(end, bodyBytes)
    let at = start
    let seen = 0
    for await (const chunk of body.read(start, last)) {
      const had = slice(chunk, 0, sentEnd - at)
      const rest = chunk.subarray(had.length)
      at += chunk.length
      seen = crc32(had, seen)
      if (at >= sentEnd && seen !== checksum) throw new BodyGone(changed)
      if (rest.length > 0) yield rest
    }
    if (at < sentEnd || (end !== Infinity && at < end)) throw new BodyGone(changed)
  }
}

/** Returns whether two responses seem to be one: whatever its first bytes, a response with other describing fields is another one. */
export function isSameResponse(one: Metadata, other: Metadata): boolean {
  return one.status === other.status && describing.every(name => fieldValue(one.fields, name) === fieldValue(other.fields, name))
    && (one.bodyBytes === Infinity || other.bodyBytes === Infinity || one.bodyBytes === other.bodyBytes) && isSamePart(one.part, other.part)
}

function isSamePart(one: Part | undefined, other: Part | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.complete === other.complete && one.ranges.length === other.ranges.length
    && one.ranges.every(({ start, end }, i) => start === other.ranges[i]?.start && end === other.ranges[i]?.end)
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
      else if (this.#state === 'failed') throw new BodyGone(changed)
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
    const { status: storedStatus, fields: storedFields, bodyBytes, part } = this.#meta
    const length = announcedLength(fields)
    // A response that never came to its end may have had no known length.
    const same = status === storedStatus && (length === -1 || bodyBytes === Infinity || length === bodyBytes)
      && describing.every(name => fieldValue(fields, name) === fieldValue(storedFields, name))
      && (part === undefined || this.#brings(part, status, fields))
    if (!same) this.#fail()
  }

  #brings(part: Part, status: number, fields: FieldLines): boolean {
    const content = receivedContent(part.requestedRange, status, fields)
    return typeof content === 'object' && isSamePart(content, part)
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
    if (this.#state !== 'open') return
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

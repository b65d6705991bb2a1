// Reads and writes bodies that are stored in Redis in chunks.
import { randomBytes } from 'node:crypto'
import { ChunkBuffer } from '../../memory/chunks.ts'
import { BodyGone, type Body } from '../../store.ts'
import type { GuardedClient } from '../connect/guarded-client.ts'
import { chunksScript } from './scripts.ts'
import { checksumBytes, chunkName, newChunk, openChunk, sealChunk, type Chunks } from './value.ts'

/** Bodies up to this length are stored in the value, with their metadata. */
export const inlineBytes = 16_384
/** Length of a chunk of longer bodies: large enough to be few, small enough not to delay other replies. */
export const chunkBytes = 262_144
/** Chunks of one body that may be in flight to Redis; beyond it the writer makes its source wait. */
const mostInFlight = 4
/** Chunks that are checked before the first is sent; checking more would take long. */
const mostAskedFor = 4_096
/** Bodies with at most this many chunks are read completely before the first is sent, so damage is noticed in time. */
const mostAtOnce = 4

/** A body in chunks. A few chunks are read at once; more are read one at a time, with the next one in flight. */
export class ChunkedBody implements Body {
  readonly bytes = undefined
  readonly #lane: GuardedClient
  readonly #entry: string
  readonly #chunks: Chunks
  readonly #length: number
  readonly #gone: () => Promise<void>

  /** @param gone called, and awaited, if a chunk is missing or damaged. Never rejects. */
  constructor(lane: GuardedClient, entry: string, chunks: Chunks, length: number, gone: () => Promise<void>) {
    this.#lane = lane
    this.#entry = entry
    this.#chunks = chunks
    this.#length = length
    this.#gone = gone
  }

  /** @throws BodyGone if a chunk is missing, damaged, or out of reach. */
  async *read(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    const last = Math.min(end, this.#length)
    if (start >= last) return
    const size = this.#chunks.chunkBytes
    const lastNumber = Math.ceil(last / size) - 1
    let number = Math.floor(start / size)
    if (lastNumber - number < mostAtOnce) {
      yield* await Promise.all(Array.from({ length: lastNumber - number + 1 }, (_, i) => this.#fetch(number + i, start, last)))
      return
    }
    // Redis evicts keys one by one. A missing chunk costs a hit before the first byte is sent, and the response after it.
    let [part] = await Promise.all([this.#fetch(number, start, last), this.#allThere(number + 1, lastNumber)])
    while (number < lastNumber) {
      number++
      const next = this.#fetch(number, start, last)
      // Safe to ignore here: the next round awaits it and fails; the reader may stop before that.
      next.catch(() => {})
      yield part
      part = await next
    }
    yield part
  }

  // Checks kinds and lengths; damage is noticed when the chunks are read.
  async #allThere(from: number, to: number): Promise<void> {
    const names = Array.from({ length: Math.min(to - from + 1, mostAskedFor) }, (_, i) => chunkName(this.#entry, this.#chunks.id, from + i))
    const lengths = [this.#chunks.chunkBytes, this.#lengthOf(from + names.length - 1)].map((length) => length + checksumBytes)
    if (await this.#reply(chunksScript.run(this.#lane, names, lengths)) !== 1) return this.#lost()
  }

  async #reply(asked: Promise<unknown>): Promise<unknown> {
    try {
      return await asked
    } catch (error) {
      // The key holds another type, and will at the next lookup too.
      if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return this.#lost()
      throw new BodyGone('a chunk of the body could not be read', { cause: error })
    }
  }

  async #lost(): Promise<never> {
    await this.#gone()
    throw new BodyGone('a chunk of the body is lost')
  }

  // Returns the part of a chunk between `start` and `end` of the body.
  async #fetch(number: number, start: number, end: number): Promise<Buffer> {
    const size = this.#chunks.chunkBytes
    const begins = number * size
    const from = Math.max(0, start - begins)
    const to = Math.min(size, end - begins)
    const name = chunkName(this.#entry, this.#chunks.id, number)
    // Reads the whole chunk even if a part is wanted: only the whole has a checksum.
    const chunk = openChunk(name, await this.#reply(this.#lane.call('GET', [name])))
    return chunk?.length === this.#lengthOf(number) ? chunk.subarray(from, to) : this.#lost()
  }

  #lengthOf(number: number): number {
    return Math.min(this.#chunks.chunkBytes, this.#length - number * this.#chunks.chunkBytes)
  }
}

/** The result of a sink: the body itself, or its chunks; undefined if Redis did not take them. */
export type Gathered = { readonly length: number; readonly body: Buffer | Chunks } | undefined

/**
 * An incoming body. A short one is kept until the end. A longer one is sent chunk by chunk, under a name that is not visible
 * yet. A time to live frees the chunks if no commit makes them visible.
 */
export class BodySink {
  readonly #lane: GuardedClient
  readonly #entry: string
  readonly #ttlMs: number
  readonly #id = randomBytes(16).toString('base64url')
  readonly #short = new ChunkBuffer()
  #chunk: Buffer | undefined
  #chunkUsed = 0
  #count = 0
  #length = 0
  #failed = false
  readonly #inFlight = new Set<Promise<void>>()

  constructor(lane: GuardedClient, entry: string, ttlMs: number) {
    this.#lane = lane
    this.#entry = entry
    this.#ttlMs = Math.ceil(ttlMs)
  }

  get length(): number {
    return this.#length
  }

  /** True if Redis did not take a chunk, so that the others are useless. */
  get failed(): boolean {
    return this.#failed
  }

  add(bytes: Buffer): Promise<void> | undefined {
    if (this.#failed) return undefined
    this.#length += bytes.length
    if (this.#chunk === undefined && this.#count === 0) {
      if (this.#length <= inlineBytes) {
        this.#short.add(bytes)
        return undefined
      }
      this.#chunk = newChunk(chunkBytes)
      this.#short.copyTo(this.#chunk, 0)
      this.#chunkUsed = this.#short.bytes
      this.#short.clear()
    }
    for (let from = 0; from < bytes.length;) {
      this.#chunk ??= newChunk(chunkBytes)
      const copied = bytes.copy(this.#chunk, this.#chunkUsed, from, from + chunkBytes - this.#chunkUsed)
      from += copied
      this.#chunkUsed += copied
      if (this.#chunkUsed === chunkBytes) this.#send()
    }
    return this.#inFlight.size < mostInFlight ? undefined : this.#room()
  }

  /** Ends the body. Resolves when all chunks have been stored. */
  async finish(): Promise<Gathered> {
    if (this.#count === 0 && this.#chunk === undefined) {
      const body = Buffer.allocUnsafe(this.#length)
      this.#short.copyTo(body, 0)
      return { length: this.#length, body }
    }
    if (this.#chunkUsed > 0) this.#send()
    await Promise.all(this.#inFlight)
    return this.#failed ? undefined : { length: this.#length, body: { id: this.#id, count: this.#count, chunkBytes } }
  }

  /** Frees the chunks. Only if no commit was sent for them, or if it was refused. */
  discard(): void {
    this.#failed = true
    this.#chunk = undefined
    this.#short.clear()
    const names = Array.from({ length: this.#count }, (_, number) => chunkName(this.#entry, this.#id, number))
    if (names.length === 0) return
    // Safe to ignore: chunks that are not deleted have a time to live, and nothing points at them.
    void Promise.all(this.#inFlight).then(() => this.#lane.call('UNLINK', names)).catch(() => {})
  }

  async #room(): Promise<void> {
    while (this.#inFlight.size >= mostInFlight) await Promise.race(this.#inFlight)
  }

  #send(): void {
    const name = chunkName(this.#entry, this.#id, this.#count++)
    const bytes = sealChunk(name, this.#chunk as Buffer, this.#chunkUsed)
    this.#chunk = undefined
    this.#chunkUsed = 0
    const sent = this.#lane.call('SET', [name, bytes, 'PX', this.#ttlMs]).then(() => {}, () => {
      this.#failed = true
    }).finally(() => this.#inFlight.delete(sent))
    this.#inFlight.add(sent)
  }
}

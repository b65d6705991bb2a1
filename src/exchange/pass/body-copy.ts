// A body on its way to a client, a copy of which goes to the store.
import { Transform, type TransformCallback } from 'node:stream'
import type { Writer } from '../../store/store.ts'

export interface BodyCopyOptions {
  /** The announced length of the response; -1: none. */
  readonly announcedBytes: number
  /** A longer body is passed on, and not stored. */
  readonly maxBytes: number
  /** Called when the whole is there, before it is committed. */
  readonly stillValid: () => boolean
  /** Called once with the result of the copy. */
  readonly settled: (stored: boolean) => void
}

/**
 * Passes every chunk on. A store that is slow holds up the next chunk, never one that has come; one that fails is left
 * behind. A body that breaks off, or whose client leaves, is not stored.
 */
export class BodyCopy extends Transform {
  readonly #options: BodyCopyOptions
  #writer: Writer | undefined
  #bytes = 0

  constructor(writer: Writer, options: BodyCopyOptions) {
    super()
    this.#writer = writer
    this.#options = options
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    void this.#pass(chunk, done)
  }

  override _flush(done: TransformCallback): void {
    void this.#end(done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#giveUp()
    done(error)
  }

  async #pass(chunk: Buffer, done: TransformCallback): Promise<void> {
    this.#bytes += chunk.length
    if (this.#bytes > this.#options.maxBytes) this.#giveUp()
    const taken = this.#writer?.write(chunk)
    if (this.#writer?.gaveUp !== undefined) this.#giveUp()
    // The last chunk is kept back until the copy is committed: a client that has the whole response will find it stored.
    const last = this.#bytes === this.#options.announcedBytes
    if (!last) this.push(chunk)
    try {
      await taken
    } catch {
      this.#giveUp()
    }
    if (!last) return done()
    await this.#commit()
    done(null, chunk)
  }

  async #end(done: TransformCallback): Promise<void> {
    await this.#commit()
    done()
  }

  // Never rejects: if the copy fails, the client still has its response.
  async #commit(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    if (writer === undefined) return
    let stored = false
    try {
      if (this.#options.stillValid()) stored = await writer.commit()
      else writer.abort()
    } catch {
      writer.abort()
    }
    this.#options.settled(stored)
  }

  #giveUp(): void {
    const writer = this.#writer
    this.#writer = undefined
    if (writer === undefined) return
    writer.abort()
    this.#options.settled(false)
  }
}

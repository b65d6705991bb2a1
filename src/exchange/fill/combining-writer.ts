// A part on its way into the store, put together with the one that is there: RFC 9111 §3.4.
import { offsetOf } from '../../policy/combine.ts'
import type { ByteRange } from '../../http/range.ts'
import type { Part } from '../../policy/stored.ts'
import type { Body, Refusal, Writer } from '../../store/store.ts'

/**
 * Writes the stored bytes before the new range, then the new range as it arrives, then the stored bytes after it. Where they
 * overlap the new bytes count; by the validator they are the same. A stored body that is lost costs the entry: nothing is
 * committed.
 */
export class CombiningWriter implements Writer {
  readonly #inner: Writer
  readonly #body: Body
  readonly #bodyBytes: number
  readonly #resumeAt: number
  /** The pending writes, one after the other: the origin does not always stop at once when it is paused. */
  #queue: Promise<void>
  #failed = false
  #lost = false

  /** @param stored the stored part, with its body and the length of the body */
  constructor(inner: Writer, stored: { readonly part: Part; readonly body: Body; readonly bodyBytes: number }, arriving: ByteRange) {
    this.#inner = inner
    this.#body = stored.body
    this.#bodyBytes = stored.bodyBytes
    this.#resumeAt = offsetOf(stored.part, arriving.end)
    this.#queue = this.#copy(0, offsetOf(stored.part, arriving.start))
  }

  write(chunk: Buffer): Promise<void> {
    this.#queue = this.#queue.then(() => (this.#failed ? undefined : this.#inner.write(chunk))).catch(() => this.abort())
    return this.#queue
  }

  get gaveUp(): Refusal | undefined {
    return this.#inner.gaveUp
  }

  get others(): number | undefined {
    return this.#inner.others
  }

  async commit(): Promise<boolean> {
    await this.#queue
    await this.#copy(this.#resumeAt, this.#bodyBytes)
    return !this.#failed && this.#inner.commit()
  }

  /** True if nothing was stored because the stored body was lost. */
  get lost(): boolean {
    return this.#lost
  }

  abort(): void {
    this.#failed = true
    this.#inner.abort()
  }

  /** Never rejects. */
  async #copy(start: number, end: number): Promise<void> {
    if (start >= end || this.#failed) return
    let copied = 0
    try {
      for await (const chunk of this.#body.read(start, end)) {
        if (this.#failed) return
        copied += chunk.length
        await this.#inner.write(chunk)
      }
    } catch { /* BodyGone: the count shows it */ }
    if (copied === end - start) return
    this.#lost = true
    this.abort()
  }
}

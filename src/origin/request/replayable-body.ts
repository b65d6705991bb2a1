// A request body that can be sent a second time: the bytes sent so far are kept, up to a bound.
import { Readable } from 'node:stream'

/**
 * The most bytes that can be sent before a server reports that it did not process the request: the initial window of a stream
 * (RFC 9113 §6.9.2), the bytes buffered before it, and one chunk.
 */
const keptBytes = 196_608

/** Reads its source at the pace of the server. Never destroys the source, because the client may still get a response. */
export class ReplayableBody {
  readonly #source: Readable
  #kept: Buffer[] = []
  #keptLength = 0
  /** True if more bytes were sent than are kept, so that the body cannot be sent again. */
  spent = false
  #body: Readable | undefined
  #watched = false
  #ended = false
  #broken = false

  constructor(source: Readable) {
    this.#source = source
  }

  /** Returns the whole body for one try. The stream of an earlier try must not be read any more. */
  open(): Readable {
    const body: Readable = new Readable({
      read: () => {
        if (this.#body === body) this.#source.resume()
      },
      destroy: (error, done) => {
        if (this.#body === body) {
          this.#body = undefined
          this.#source.pause()
        }
        done(error)
      },
    })
    this.#body = body
    for (const chunk of this.#kept) body.push(chunk)
    if (this.#ended) body.push(null)
    else if (this.#broken) body.destroy(new Error('the body broke off'))
    if (!this.#watched) this.#watch()
    return body
  }

  #watch(): void {
    this.#watched = true
    this.#source.on('data', (chunk: Buffer) => {
      this.#keep(chunk)
      if (this.#body?.push(chunk) === false) this.#source.pause()
    })
    this.#source.on('end', () => {
      this.#ended = true
      this.#body?.push(null)
    })
    const broken = (): void => {
      if (this.#ended) return
      this.#broken = true
      this.#body?.destroy(new Error('the body broke off'))
    }
    this.#source.on('error', broken)
    this.#source.on('close', broken)
  }

  #keep(chunk: Buffer): void {
    if (this.spent) return
    this.#keptLength += chunk.length
    if (this.#keptLength <= keptBytes) this.#kept.push(chunk)
    else this.release()
  }

  /** Frees the kept bytes: the body will not be sent again. */
  release(): void {
    this.spent = true
    this.#kept = []
  }

  /** Discards the rest of the body, so that a client that is still sending reaches its response. */
  drain(): void {
    this.#body = undefined
    this.release()
    if (!this.#ended && !this.#source.destroyed) this.#source.resume()
  }
}

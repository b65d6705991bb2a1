// The body of a request that may have to be sent a second time: what has gone of it is kept, up to a bound.
import { Readable } from 'node:stream'

/**
 * What a server can have been sent before it says that it did not process the request: the window that a stream begins with
 * (RFC 9113 §6.9.2), what waits before it, and one chunk.
 */
const keptBytes = 196_608

/** Reads its source at the pace of whoever is sent it. The source itself is never destroyed: the client may still be answered. */
export class ReplayableBody {
  readonly #source: Readable
  #kept: Buffer[] = []
  #keptLength = 0
  /** Whether more has gone than is kept, so that it cannot be sent again. */
  spent = false
  #body: Readable | undefined
  #watched = false
  #ended = false
  #broken = false

  constructor(source: Readable) {
    this.#source = source
  }

  /** The whole body, for one try: from its beginning, and as it comes. An earlier one is not to be read any more. */
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

  /** It will not be sent again. */
  release(): void {
    this.spent = true
    this.#kept = []
  }

  /** Nothing more is sent. What still comes is let go, so that a client that goes on sending gets to its answer. */
  drain(): void {
    this.#body = undefined
    this.release()
    if (!this.#ended && !this.#source.destroyed) this.#source.resume()
  }
}

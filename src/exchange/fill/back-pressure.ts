// The causes that hold up an origin's response, and the moment when it may go on.
import type { OriginExchange } from '../../origin/origin.ts'

export type Holder = 'client' | 'store'

/** The origin is paused while anybody holds it up. */
export class BackPressure {
  readonly #clientTooSlow: () => void
  readonly #slowClientMs: number
  #origin: OriginExchange | undefined
  #client = false
  #store = false
  #patience: NodeJS.Timeout | undefined

  /** @param clientTooSlow called once, when the client first held it up `slowClientMs` milliseconds ago, unless `end` came before */
  constructor(slowClientMs: number, clientTooSlow: () => void) {
    this.#slowClientMs = slowClientMs
    this.#clientTooSlow = clientTooSlow
  }

  /** Sets the exchange to pause. */
  on(origin: OriginExchange): void {
    this.#origin = origin
  }

  hold(who: Holder): void {
    if (who === 'store') this.#store = true
    else {
      this.#client = true
      this.#patience ??= setTimeout(this.#clientTooSlow, this.#slowClientMs)
    }
    this.#origin?.pause()
  }

  release(who: Holder): void {
    if (who === 'store') this.#store = false
    else this.#client = false
    if (!this.#client && !this.#store) this.#origin?.resume()
  }

  end(): void {
    clearTimeout(this.#patience)
  }
}

// The causes that hold up an origin's response, and the moment when it may go on.
import type { OriginExchange } from '../../origin/origin.ts'

/** `readers`: the clients that read the tee. */
export type Holder = 'client' | 'store' | 'readers'

const bits: Readonly<Record<Holder, number>> = { client: 1, store: 2, readers: 4 }

/** The origin is paused while anybody holds it up. */
export class BackPressure {
  #origin: OriginExchange | undefined
  /** A bit for each that holds it up. */
  #holders = 0

  /** Sets the exchange to pause. */
  on(origin: OriginExchange): void {
    this.#origin = origin
  }

  hold(who: Holder): void {
    this.#holders |= bits[who]
    this.#origin?.pause()
  }

  release(who: Holder): void {
    this.#holders &= ~bits[who]
    if (this.#holders === 0) this.#origin?.resume()
  }

  /** True while it is held up by that one. */
  isHeldBy(who: Holder): boolean {
    return (this.#holders & bits[who]) !== 0
  }
}

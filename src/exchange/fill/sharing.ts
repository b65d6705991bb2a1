// A fill that is shared: other clients read its tee, and the fill runs at the pace of the fastest.
import type { Stored } from '../../store/store.ts'
import { deliverRest } from '../deliver/deliver.ts'
import type { BackPressure } from './back-pressure.ts'
import type { ServedFill } from './serve-stored.ts'
import { Tee } from './tee.ts'
import type { WindowBudget } from './window-budget.ts'

/** The tee of a fill, from the first bytes on, and the pace that its readers allow. */
export class Sharing {
  readonly #fill: ServedFill
  readonly #pressure: BackPressure
  readonly #windows: WindowBudget
  readonly #abandoned: () => void
  #tee: Tee | undefined
  #wasRead = false
  #isOver = false

  /** @param abandoned called when the last reader has left, and the fill has no client of its own */
  constructor(fill: ServedFill, pressure: BackPressure, windows: WindowBudget, abandoned: () => void) {
    this.#fill = fill
    this.#pressure = pressure
    this.#windows = windows
    this.#abandoned = abandoned
  }

  /** The response that can be read while it arrives; undefined: none. */
  get arriving(): Stored | undefined {
    return this.#tee
  }

  /** True while clients read it. */
  get isRead(): boolean {
    return this.#tee?.isRead === true
  }

  /** Shares a response whose first bytes arrive now, if it may be stored. @param announcedBytes its length; -1: unknown */
  begin(announcedBytes: number): void {
    const { plan: { lead }, storer: { arriving } } = this.#fill
    if (lead === undefined || arriving === undefined) return
    this.#tee = new Tee({ ...arriving, bodyBytes: announcedBytes < 0 ? Infinity : announcedBytes }, this.#windows, this.update)
    lead.share(this.#tee)
  }

  push(chunk: Buffer): void {
    this.#tee?.push(chunk)
  }

  /** Sets the pace anew. A client that holds others up reads the tee from now on, as they do. */
  readonly update = (): void => {
    const tee = this.#tee
    if (tee === undefined || this.#isOver) return
    const { client, exchange, parts } = this.#fill
    if (tee.isShared && this.#pressure.isHeldBy('client')) {
      client.release()
      void deliverRest(exchange, tee, tee.arrived, parts).then(() => exchange.end())
    }
    if (!client.waits && tee.isAhead) this.#pressure.hold('readers')
    else this.#pressure.release('readers')
    if (tee.isRead) this.#wasRead = true
    else if (this.#wasRead && !client.waits) {
      this.#wasRead = false
      this.#abandoned()
    }
  }

  /** The response will not be stored. It goes on for those that read it. */
  notStored(): void {
    this.#tee?.notStored()
  }

  /** All bytes have arrived, and the commit is over. @param last the bytes that were held back until then */
  complete(last: Buffer | undefined): void {
    this.#isOver = true
    if (last !== undefined) this.#tee?.push(last)
    this.#tee?.complete(() => this.#fill.storer.stored())
  }

  /** No more bytes arrive. */
  break(): void {
    this.#isOver = true
    this.#tee?.break()
  }
}

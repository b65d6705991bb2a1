// A fill that may be shared: other clients read its tee, and the fill runs at the pace of the fastest.
import type { SharedResponse, SharedSource } from '../coalesce/shared-response.ts'
import { deliverRest } from '../deliver/deliver.ts'
import type { BackPressure } from './back-pressure.ts'
import { EarlyBytes } from './early-bytes.ts'
import type { ServedFill } from './serve-stored.ts'
import { Tee, type TeeListener } from './tee.ts'
import type { WindowBudget } from './window-budget.ts'

/** The tee of a fill, and the pace that its readers allow. There is no tee before the first reader. */
export class Sharing implements SharedSource, TeeListener {
  readonly #fill: ServedFill
  readonly #pressure: BackPressure
  readonly #windows: WindowBudget
  /** The bytes before the first reader; undefined: the response may not be shared. */
  #early: EarlyBytes | undefined
  #announcedBytes = -1
  #tee: Tee | undefined
  #wasRead = false
  #isOver = false

  constructor(fill: ServedFill, pressure: BackPressure, windows: WindowBudget) {
    this.#fill = fill
    this.#pressure = pressure
    this.#windows = windows
  }

  /** True while clients read it. */
  get isRead(): boolean {
    return this.#tee?.isRead === true
  }

  /** Shares a response whose first bytes arrive now, if it may be stored. @param announcedBytes its length; -1: unknown */
  begin(announcedBytes: number): void {
    const { plan: { lead }, storer: { arriving } } = this.#fill
    if (lead === undefined || arriving === undefined) return
    this.#announcedBytes = announcedBytes
    this.#early = new EarlyBytes(this.#windows)
    lead.share(this)
  }

  open(): SharedResponse | undefined {
    const meta = this.#fill.storer.arriving
    if (this.#tee === undefined && this.#early !== undefined && meta !== undefined) {
      this.#tee = new Tee({ ...meta, bodyBytes: this.#announcedBytes < 0 ? Infinity : this.#announcedBytes }, this.#windows, this.#early, this, position =>
        this.#fill.storer.written(position))
      this.#early.release()
    }
    return this.#tee
  }

  push(chunk: Buffer): void {
    if (this.#tee === undefined) this.#early?.push(chunk)
    else this.#tee.push(chunk)
  }

  changed(): void {
    this.setPace()
  }

  /** Sets the pace anew. A client that holds others up reads the tee from now on, as they do. */
  setPace(): void {
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
      this.#fill.abandon()
    }
  }

  /** The response will not be stored. It goes on for those that read it. */
  notStored(): void {
    this.#tee?.notStored()
  }

  /** All bytes have arrived, and the commit is over. @param last the bytes that were held back until then */
  complete(last: Buffer | undefined): void {
    this.#isOver = true
    this.#early?.release()
    if (this.#tee === undefined) return
    if (last !== undefined) this.#tee.push(last)
    this.#tee.complete(() => this.#fill.storer.storedAsReceived())
  }

  /** No more bytes arrive. */
  break(): void {
    this.#isOver = true
    this.#early?.release()
    this.#tee?.break()
  }
}

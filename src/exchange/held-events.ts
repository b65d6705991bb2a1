// Events that wait until something else is done, in their order.

/** Keeps the events of an origin back for a while. */
export class HeldEvents {
  #events: (() => void)[] | undefined

  /** From now on events are kept back. */
  hold(): void {
    this.#events = []
  }

  /** Returns true if an event is kept back, to be called later. */
  keep(event: () => void): boolean {
    this.#events?.push(event)
    return this.#events !== undefined
  }

  get isHolding(): boolean {
    return this.#events !== undefined
  }

  /** Calls the events that were kept back, after `first`. From now on none is kept back, unless `first` holds them again. */
  release(first: () => void): void {
    const events = this.#events ?? []
    this.#events = undefined
    first()
    for (const event of events) event()
  }
}

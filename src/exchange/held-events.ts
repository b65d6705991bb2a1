// Events that wait until something else is done, in their order.

/** Keeps the events of an origin back for a while. */
export class HeldEvents {
  #events: (() => void)[] | undefined

  /** Returns true if an event is kept back, to be called later. */
  keep(event: () => void): boolean {
    this.#events?.push(event)
    return this.#events !== undefined
  }

  /** Keeps events back until `done`; then calls `first`, and those that were kept back. */
  async holdUntil(done: Promise<void>, first: () => void): Promise<void> {
    this.#events = []
    await done
    const events = this.#events
    this.#events = undefined
    first()
    for (const event of events) event()
  }
}

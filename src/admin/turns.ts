// Work of the admin listener in pieces, so that what it does for its clients never holds up the proxy's for long.

/** Resolves in a later turn of the event loop: whatever has arrived meanwhile goes first. */
export type NextTurn = () => Promise<void>

/**
 * Runs one piece of work after another, each in a turn of the event loop of its own. However many requests are under way,
 * a turn holds one piece of one of them.
 */
export class Turns {
  readonly #nextTurn: NextTurn
  #last: Promise<unknown> = Promise.resolve()

  constructor(nextTurn: NextTurn) {
    this.#nextTurn = nextTurn
  }

  /** Resolves, or rejects, as the piece does. */
  take<T>(piece: () => T | Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      await this.#nextTurn()
      return piece()
    }
    // The piece before reports its failure itself.
    const taken = this.#last.then(run, run)
    this.#last = taken
    return taken
  }

  /** Resolves when it is the caller's turn; the piece is then what the caller does before it next waits. */
  next(): Promise<void> {
    return this.take(() => undefined)
  }
}

// Splits the admin listener's work into pieces, so that it never delays the proxy's clients for long.

/** Resolves in a later turn of the event loop. Events that arrived meanwhile run first. */
export type NextTurn = () => Promise<void>

/**
 * Runs pieces of work one after the other, each in its own turn of the event loop. However many requests are in flight, a turn
 * holds one piece of one request.
 */
export class Turns {
  readonly #nextTurn: NextTurn
  #last: Promise<unknown> = Promise.resolve()

  constructor(nextTurn: NextTurn) {
    this.#nextTurn = nextTurn
  }

  /** Runs a piece in its turn. Resolves, or rejects, as the piece does. */
  take<T>(piece: () => T | Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      await this.#nextTurn()
      return piece()
    }
    // The previous piece reports its own failure.
    const taken = this.#last.then(run, run)
    this.#last = taken
    return taken
  }

  /** Resolves in the caller's turn. The piece is then the code that the caller runs before it next awaits. */
  next(): Promise<void> {
    return this.take(() => undefined)
  }
}

// The events of a run in order, to read after a failure, and the figures of the run.

export interface Event {
  readonly ms: number
  readonly moment: number
  /** The subject of the event: a path, 'purge', 'trouble'. */
  readonly about: string
  readonly text: string
}

// Enough for every event that can still matter for a response; beyond it the oldest are dropped.
const mostEvents = 200_000

/** The only clock of a run. Every event of this process takes the next moment, so the later of two has the larger one. */
export class Trail {
  #events: Event[] = []
  #moment = 0
  readonly #startMs = performance.now()
  /** Counts, by name. */
  readonly figures = new Map<string, number>()

  /** Records an event, and returns its moment. */
  note(about: string, text: string): number {
    this.#events.push({ ms: performance.now() - this.#startMs, moment: ++this.#moment, about, text })
    if (this.#events.length > mostEvents) this.#events = this.#events.slice(mostEvents / 2)
    return this.#moment
  }

  count(name: string, by = 1): void {
    this.figures.set(name, (this.figures.get(name) ?? 0) + by)
  }

  most(name: string, value: number): void {
    this.figures.set(name, Math.max(this.figures.get(name) ?? 0, value))
  }

  figure(name: string): number {
    return this.figures.get(name) ?? 0
  }

  get elapsedMs(): number {
    return performance.now() - this.#startMs
  }

  /** The last events about these subjects, in order. */
  about(names: ReadonlySet<string>, limit: number): string {
    const told = this.#events.filter(({ about }) => names.has(about)).slice(-limit)
    return told.map(({ ms, moment, text }) => `  ${(ms / 1000).toFixed(3).padStart(8)} s  #${moment}  ${text}`).join('\n')
  }
}

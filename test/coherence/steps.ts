// Counts the steps that all clients have taken and the remaining ones, of the run and of the round.
import type { Trail } from './trail.ts'
import type { Steps } from './clients.ts'

export class StepCount implements Steps {
  taken = 0
  /** Set when enough violations were found. */
  over = false
  readonly #all: number
  readonly #trail: Trail
  #untilMs = Infinity
  #roundEnd = 0

  constructor(all: number, trail: Trail) {
    this.#all = all
    this.#trail = trail
  }

  /** No step is left after this time has passed from now. */
  end(afterMs: number): void {
    this.#untilMs = this.#trail.elapsedMs + afterMs
  }

  /** Begins a round of this many steps. False if the run is over. */
  begin(steps: number): boolean {
    this.#roundEnd = Math.min(this.#all, this.taken + steps)
    return this.left
  }

  get left(): boolean {
    return !this.over && this.taken < this.#roundEnd && this.#trail.elapsedMs <= this.#untilMs
  }

  take(): boolean {
    if (!this.left) return false
    this.taken++
    return true
  }
}

// How many things clients have done, all together, and how many are left: of the run, and of the round.
import type { Trail } from './trail.ts'
import type { Steps } from './clients.ts'

export class StepCount implements Steps {
  taken = 0
  /** Set when enough was found. */
  over = false
  readonly #all: number
  readonly #trail: Trail
  #untilMs = Infinity
  #roundEnd = 0

  constructor(all: number, trail: Trail) {
    this.#all = all
    this.#trail = trail
  }

  /** From now on no step is left when so much time has passed. */
  end(afterMs: number): void {
    this.#untilMs = this.#trail.elapsedMs + afterMs
  }

  /** Begins a round of so many steps. false: the run is over. */
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

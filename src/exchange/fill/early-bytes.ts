// The bytes of a fill before anybody else reads it: kept as they are, up to the size of a window.
import { windowBytes, type WindowBudget } from './window-budget.ts'

/** Keeps the beginning of a body, for as long as it is all of what has arrived. */
export class EarlyBytes {
  readonly #budget: WindowBudget
  #chunks: Buffer[] = []
  #held = 0
  #bytes = 0

  constructor(budget: WindowBudget) {
    this.#budget = budget
  }

  /** The bytes so far; [] if they are too many to be kept. */
  get chunks(): readonly Buffer[] {
    return this.#chunks
  }

  /** How many bytes have arrived. */
  get bytes(): number {
    return this.#bytes
  }

  push(chunk: Buffer): void {
    const isFirst = this.#bytes === 0
    this.#bytes += chunk.length
    if (this.#chunks.length === 0 && !isFirst) return
    // A slice keeps all of its buffer, which the slice before it may keep already.
    const held = this.#chunks.at(-1)?.buffer === chunk.buffer ? 0 : chunk.buffer.byteLength
    if (this.#held + held > windowBytes || this.#budget.isSpent) return this.release()
    this.#chunks.push(chunk)
    this.#held += held
    this.#budget.add(held)
  }

  /** Keeps nothing any more. */
  release(): void {
    this.#chunks = []
    this.#budget.add(-this.#held)
    this.#held = 0
  }
}

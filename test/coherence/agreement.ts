// Replicas agree on the latest response after a while, as long as nothing goes wrong but a silent subscription.

// No fetch takes as long: of two responses that the origin made further apart, the later one was requested later.
const apartMs = 5_000
// Within this a replica finds that messages do not arrive, however busy the machine is.
const noticeMs = 10_000

interface Newest {
  readonly generation: number
  readonly madeMs: number
  /** When a client was first told that it was a hit: it is stored, and replaces what was before it. */
  readonly hitMs: number
}

export class Agreement {
  readonly #madeMs: (generation: number) => number | undefined
  readonly #calmSinceMs: () => number | undefined
  readonly #newest = new Map<string, Newest>()

  /**
   * @param madeMs when the origin made a response
   * @param calmSinceMs since when nothing has gone wrong but subscriptions; undefined: something does
   */
  constructor(madeMs: (generation: number) => number | undefined, calmSinceMs: () => number | undefined) {
    this.#madeMs = madeMs
    this.#calmSinceMs = calmSinceMs
  }

  /** Takes note of a fresh hit. Returns whether it was too old. */
  hit(key: string, generation: number, nowMs: number = performance.now()): boolean {
    const madeMs = this.#madeMs(generation)
    const calmSinceMs = this.#calmSinceMs()
    if (madeMs === undefined || calmSinceMs === undefined) return false
    const newest = this.#newest.get(key)
    if (newest === undefined || generation > newest.generation) {
      this.#newest.set(key, { generation, madeMs, hitMs: nowMs })
      return false
    }
    // What was made before all was calm may not have reached Redis.
    return newest.madeMs - apartMs > calmSinceMs && newest.madeMs - madeMs > apartMs && nowMs - newest.hitMs > noticeMs
  }
}

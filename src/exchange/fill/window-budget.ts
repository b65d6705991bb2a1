// The memory of all windows of a process, from which clients read responses that are still arriving.

/** The most memory that one fill keeps for clients that read it. */
export const windowBytes = 2_097_152

/** Counts the bytes that windows keep for readers. */
export class WindowBudget {
  #bytes = 0
  readonly #mostBytes: number

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** True if the windows keep too much: each gives up all but its latest bytes as more arrive. */
  get isSpent(): boolean {
    return this.#bytes > this.#mostBytes
  }

  /** @param bytes how much more a window keeps; less than 0: how much less */
  add(bytes: number): void {
    this.#bytes += bytes
  }
}

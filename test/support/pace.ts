// The pace of a load: as fast as responses come while a test waits for some, and slower the longer it waits for something else.
import { setTimeout as wait } from 'node:timers/promises'
import { eventually } from './log.ts'

export interface PaceOptions {
  /** Pauses of a client after a response, in milliseconds: while the test waits for responses, and otherwise the first and the longest. */
  readonly busyMs: number
  readonly idleMs: number
  readonly longestMs: number
}

const growth = 1.05

export class Pace {
  readonly #options: PaceOptions
  #answered = 0
  #wanted = 0
  #idleMs: number
  #pauses = new AbortController()
  #stopped = false

  constructor(options: PaceOptions) {
    this.#options = options
    this.#idleMs = options.idleMs
  }

  /** The number of responses so far. */
  get answered(): number {
    return this.#answered
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** Counts a response to a client, and resolves when this client may send its next request. */
  async next(): Promise<void> {
    this.#answered++
    const { busyMs, longestMs } = this.#options
    if (this.#answered < this.#wanted) return this.#pause(busyMs)
    const pauseMs = this.#idleMs
    this.#idleMs = Math.min(pauseMs * growth, longestMs)
    return this.#pause(pauseMs)
  }

  /** Ends all pauses: the next `count` responses come fast. */
  hurry(count: number): void {
    this.#wanted = Math.max(this.#wanted, this.#answered + count)
    this.#idleMs = this.#options.idleMs
    this.#pauses.abort()
    this.#pauses = new AbortController()
  }

  /** Resolves when `count` more responses have come. */
  async more(count: number): Promise<void> {
    const enough = this.#answered + count
    this.hurry(count)
    await eventually(() => this.#answered >= enough)
  }

  stop(): void {
    this.#stopped = true
    this.#pauses.abort()
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await wait(ms, undefined, { signal: this.#pauses.signal }).catch(() => {})
  }
}

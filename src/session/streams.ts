// WebSockets and event streams of sessions: each is closed when its session ends, at once by message, or at the next check.
import type { SessionStore } from './store/store.ts'

/** Sessions that one check reads at a time. */
const atOnce = 50

export interface StreamsOptions {
  readonly store: Pick<SessionStore, 'read'>
  /** How often the sessions of open streams are read, in milliseconds. */
  readonly recheckMs: number
  /** Called for each stream that is closed. */
  readonly cut: () => void
}

/** The open streams of this process, by session. */
export class Streams {
  readonly #options: StreamsOptions
  readonly #open = new Map<string, Set<() => void>>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: StreamsOptions) {
    this.#options = options
  }

  /**
   * Calls `cut` once the session has ended. Returns a function that ends the watch.
   * The session may have ended since its request was read, so it is read once more.
   */
  watch(sid: string, cut: () => void): () => void {
    const cuts = this.#open.get(sid) ?? new Set()
    cuts.add(cut)
    this.#open.set(sid, cuts)
    this.#arm()
    void this.#check([sid])
    return () => {
      cuts.delete(cut)
      if (cuts.size === 0 && this.#open.get(sid) === cuts) this.#open.delete(sid)
    }
  }

  /** A session has ended: its streams are closed. */
  readonly ended = (sid: string): void => {
    const cuts = this.#open.get(sid)
    if (cuts === undefined) return
    this.#open.delete(sid)
    for (const cut of cuts) {
      this.#options.cut()
      cut()
    }
  }

  /** Messages may have been lost: reads the sessions of all streams now. */
  readonly recheck = (): void => void this.#checkAll()

  async #checkAll(): Promise<void> {
    const sids = [...this.#open.keys()]
    for (let from = 0; from < sids.length; from += atOnce) await this.#check(sids.slice(from, from + atOnce))
    this.#arm()
  }

  /** Never rejects. A store in trouble ends no session. */
  async #check(sids: readonly string[]): Promise<void> {
    await Promise.all(sids.map(async sid => {
      try {
        if (await this.#options.store.read(sid) === undefined) this.ended(sid)
      } catch { /* It is read again at the next check. */ }
    }))
  }

  #arm(): void {
    if (this.#closed || this.#open.size === 0) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.#checkAll()
    }, this.#options.recheckMs).unref()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }
}

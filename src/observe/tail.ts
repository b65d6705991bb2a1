// Requests as they end, for operators who watch: filtered, masked, and bounded in their number.
import type { Clock } from '../clock.ts'

/** Which requests are shown. Members that are left out filter nothing. */
export interface TailFilter {
  readonly outcome?: string
  readonly reason?: string
  readonly route?: string
  /** In lower case, with its port if it has one. */
  readonly host?: string
  /** The beginning of the masked target. The exact one would let a watcher find out masked parts one character after the other. */
  readonly path?: string
  readonly method?: string
  /** `503`, or a class: `5xx`. */
  readonly status?: string
  readonly minMs?: number
  readonly notStored?: string
  /** A random sample: 1 of this many. */
  readonly sample?: number
}

/** The fields of a request that filters read. */
export interface TailRequest {
  readonly outcome: string
  readonly reason: string
  readonly status: number
  readonly method: string
  readonly host: string
  readonly route?: string | undefined
  readonly ms: number
  readonly notStored?: string | undefined
}

/** The requests for a watcher since its last poll. */
export interface TailBatch {
  /** JSON objects, as in the access log. */
  readonly lines: readonly string[]
  readonly dropped: number
}

export interface Watcher {
  /** @param line a JSON object without line breaks */
  take(line: string): void
  /** A request matched, and there was no room for it. */
  drop(): void
}

interface Watch extends Watcher {
  readonly filter: TailFilter
}

/** A watcher in another process that does not poll for so long is removed. */
const forgetMs = 5_000
const mostHeld = 200

/** Shows requests to watchers. While nobody watches, a request costs the reading of one field. */
export class Tail {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #random: () => number
  readonly #watches = new Set<Watch>()
  readonly #remote = new Map<string, { readonly lines: string[]; dropped: number; lookedMs: number; readonly stop: () => void }>()
  #second = -1
  #left = 0

  /** @param perSecond how many events all watchers of this process get in a second */
  constructor(clock: Clock, perSecond: number, random: () => number = Math.random) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#random = random
  }

  get isWatched(): boolean {
    return this.#watches.size > 0
  }

  /** Shows a request. `target` and `line` make the masked target and the whole line, for the first watcher that needs them. */
  offer(request: TailRequest, target: () => string, line: () => string): void {
    let shown: string | undefined
    let text: string | undefined
    for (const watch of this.#watches) {
      if (!this.#matches(watch.filter, request, () => (shown ??= target()))) continue
      if (this.#hasRoom()) watch.take(text ??= line())
      else watch.drop()
    }
  }

  /** Adds a watcher. Returns the function that removes it. */
  watch(filter: TailFilter, watcher: Watcher): () => void {
    const watch: Watch = { filter, take: line => watcher.take(line), drop: () => watcher.drop() }
    this.#watches.add(watch)
    return () => void this.#watches.delete(watch)
  }

  /** Returns what a watcher in another process has missed since its last call; the first call adds it. */
  poll(id: string, filter: TailFilter): TailBatch {
    const nowMs = this.#clock.monotonic()
    for (const [other, { lookedMs, stop }] of this.#remote) {
      if (nowMs - lookedMs <= forgetMs) continue
      stop()
      this.#remote.delete(other)
    }
    const known = this.#remote.get(id)
    if (known === undefined) {
      const lines: string[] = []
      const remote = { lines, dropped: 0, lookedMs: nowMs, stop: () => {} }
      const drop = (): void => void remote.dropped++
      remote.stop = this.watch(filter, { take: line => void (lines.length < mostHeld ? lines.push(line) : drop()), drop })
      this.#remote.set(id, remote)
      return { lines: [], dropped: 0 }
    }
    const batch = { lines: known.lines.splice(0), dropped: known.dropped }
    known.dropped = 0
    known.lookedMs = nowMs
    return batch
  }

  #hasRoom(): boolean {
    const second = Math.floor(this.#clock.monotonic() / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#left = this.#perSecond
    }
    return this.#left-- > 0
  }

  #matches(filter: TailFilter, request: TailRequest, target: () => string): boolean {
    const { outcome, reason, route, host, path, method, status, minMs, notStored, sample } = filter
    return (outcome === undefined || outcome === request.outcome) && (reason === undefined || reason === request.reason) && (route === undefined || route === request.route)
      && (method === undefined || method === request.method) && (notStored === undefined || notStored === request.notStored) && (minMs === undefined || request.ms >= minMs)
      && (status === undefined || isStatus(status, request.status)) && (host === undefined || host === request.host.toLowerCase())
      && (path === undefined || target().startsWith(path)) && (sample === undefined || this.#random() * sample < 1)
  }
}

function isStatus(wanted: string, status: number): boolean {
  return wanted.endsWith('xx') ? Math.floor(status / 100) === Number(wanted[0]) : Number(wanted) === status
}

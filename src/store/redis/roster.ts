// Which replicas a purge must wait for, also when the list of them in Redis is lost.

/**
 * The list in Redis may be flushed or evicted while those who were on it go on by what they have read, for as long as the
 * lag bound lets them. So each replica remembers who was on the list when it last looked: when it finds another list in its
 * place, whoever was on the old one counts as live, and as not having acknowledged, until it is on the new one or its lag
 * bound has passed.
 */
export class Roster {
  readonly #maxLagMs: number
  #list = ''
  #names = new Set<string>()
  /** Of lists that were lost: until when each may still go by what it has read. */
  readonly #lost = new Map<string, number>()

  constructor(maxLagMs: number) {
    this.#maxLagMs = maxLagMs
  }

  /** A look at the list: what it is called, and who is on it. */
  look(list: string, names: readonly string[], nowMs: number): void {
    if (list !== this.#list) {
      for (const name of this.#names) this.#lost.set(name, nowMs + this.#maxLagMs)
      this.#list = list
    }
    this.#names = new Set(names)
    for (const name of names) this.#lost.delete(name)
  }

  /** A replica has said that it is there. */
  heard(name: string): void {
    this.#names.add(name)
  }

  /** Those who may be live, though the list does not tell of them. */
  lost(nowMs: number): string[] {
    for (const [name, untilMs] of this.#lost) {
      if (nowMs > untilMs) this.#lost.delete(name)
    }
    return [...this.#lost.keys()]
  }
}

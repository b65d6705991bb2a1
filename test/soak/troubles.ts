// The periods of trouble, and the faults that they excuse.

export type Sort = 'redis' | 'origin' | 'killed' | 'stopped' | 'none'

interface Window {
  readonly sort: Sort
  /** The replica concerned; undefined: all of them. */
  readonly name: string | undefined
  readonly fromMs: number
  untilMs: number
}

/** The troubles of a run, by the clock of its trail. */
export class Troubles {
  readonly #windows: Window[] = []

  /** Begins one; ends it when the function that it gives is called. */
  begin(sort: Sort, name: string | undefined, nowMs: number): (nowMs: number) => void {
    const window = { sort, name, fromMs: nowMs, untilMs: Infinity }
    this.#windows.push(window)
    return (endMs) => {
      window.untilMs = endMs
    }
  }

  /** True if a trouble of this sort was on at any time between the two. */
  during(sort: Sort, fromMs: number, untilMs: number): boolean {
    return this.#windows.some((one) => one.sort === sort && one.fromMs <= untilMs && one.untilMs >= fromMs)
  }

  /** True if this replica was killed, or stopped, while a request that was sent to it at `fromMs` was in flight. */
  ended(sort: 'killed' | 'stopped', name: string, fromMs: number, untilMs: number): boolean {
    return this.#windows.some((one) => one.sort === sort && one.name === name && one.fromMs >= fromMs && one.fromMs <= untilMs)
  }
}

// Numbered slots: a thing keeps its number until it is removed, and the number is then reused.

/** An array with holes. It is never longer than the most things that it held at one time. */
export class Slots<T> {
  #things: (T | undefined)[] = []
  #free: number[] = []

  /** The highest number that was ever used, plus one. */
  get length(): number {
    return this.#things.length
  }

  at(slot: number): T | undefined {
    return this.#things[slot]
  }

  /** Puts a thing into a free slot and returns its number. */
  add(thing: T): number {
    const slot = this.#free.pop() ?? this.#things.length
    this.#things[slot] = thing
    return slot
  }

  remove(slot: number): void {
    this.#things[slot] = undefined
    this.#free.push(slot)
  }

  clear(): void {
    this.#things = []
    this.#free = []
  }
}

// Numbered places: what lies in one keeps its number until it is taken out, and the number is then used again.

/** An array with holes. It is never longer than the largest number of things that it held at one time. */
export class Slots<T> {
  #things: (T | undefined)[] = []
  #free: number[] = []

  /** One more than the highest number that was ever given. */
  get length(): number {
    return this.#things.length
  }

  at(slot: number): T | undefined {
    return this.#things[slot]
  }

  /** Puts a thing into a free place; returns its number. */
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

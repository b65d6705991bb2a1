// The heaviest names of a stream, in a fixed number of places: Space-Saving (Metwally, Agrawal, El Abbadi 2005).

/** A name with the sum of its weights. */
export interface Heavy {
  readonly name: string
  /** The estimated sum. */
  readonly value: number
  /** By how much `value` may be too high: the name may have taken the place of others. */
  readonly over: number
  /** The variance of `value` because of sampling. */
  readonly variance: number
  /** Hits and stale responses, and all requests that are not passed, since the name has its place. */
  readonly hits: number
  readonly asked: number
}

/**
 * Keeps the names with the largest sums. A new name takes the place of the smallest, with its sum as possible error. So each
 * name whose sum is above `total / places` is there. Adding costs at most one pass over the places.
 */
export class Heaviest {
  readonly #places: number
  readonly #indexes = new Map<string, number>()
  readonly #names: string[] = []
  readonly #values: Float64Array
  readonly #over: Float64Array
  readonly #variances: Float64Array
  readonly #hits: Float64Array
  readonly #asked: Float64Array
  #total = 0

  constructor(places: number) {
    this.#places = places
    ;[this.#values, this.#over, this.#variances, this.#hits, this.#asked] = [0, 1, 2, 3, 4].map(() => new Float64Array(places)) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ]
  }

  /** The sum of all weights, those of lost names included. */
  get total(): number {
    return this.#total
  }

  /** The most that a name may have that is not there. */
  get floor(): number {
    return this.#names.length < this.#places ? 0 : this.#values[this.#smallest()] as number
  }

  /** @param variance how uncertain the weight is, if it stands for several requests; 0 otherwise */
  add(name: string, weight: number, variance: number, hits: number, asked: number): void {
    this.#total += weight
    const index = this.#indexes.get(name) ?? this.#place(name)
    this.#values[index] = (this.#values[index] as number) + weight
    this.#variances[index] = (this.#variances[index] as number) + variance
    this.#hits[index] = (this.#hits[index] as number) + hits
    this.#asked[index] = (this.#asked[index] as number) + asked
  }

  #place(name: string): number {
    const index = this.#names.length < this.#places ? this.#names.length : this.#smallest()
    const before = this.#names[index]
    if (before !== undefined) {
      this.#indexes.delete(before)
      this.#over[index] = this.#values[index] as number
      this.#variances[index] = this.#hits[index] = this.#asked[index] = 0
    }
    this.#names[index] = name
    this.#indexes.set(name, index)
    return index
  }

  #smallest(): number {
    let smallest = 0
    for (let i = 1; i < this.#places; i++) if ((this.#values[i] as number) < (this.#values[smallest] as number)) smallest = i
    return smallest
  }

  list(): Heavy[] {
    return this.#names.map((name, i) => ({
      name,
      value: this.#values[i] as number,
      over: this.#over[i] as number,
      variance: this.#variances[i] as number,
      hits: this.#hits[i] as number,
      asked: this.#asked[i] as number,
    }))
  }
}

/** Lists of several periods, or processes, as one: the sums of each name, and the largest error that each may have. */
export function mergedHeaviest(lists: readonly { readonly items: readonly Heavy[]; readonly floor: number }[]): Heavy[] {
  const floors = lists.reduce((sum, { floor }) => sum + floor, 0)
  const merged = new Map<string, { -readonly [name in keyof Heavy]: Heavy[name] }>()
  for (const { items, floor } of lists) {
    for (const { name, value, over, variance, hits, asked } of items) {
      let known = merged.get(name)
      // It may have had as much in each list that lost it.
      if (known === undefined) merged.set(name, known = { name, value: 0, over: floors, variance: 0, hits: 0, asked: 0 })
      known.value += value
      known.over += over - floor
      known.variance += variance
      known.hits += hits
      known.asked += asked
    }
  }
  return [...merged.values()].toSorted((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1))
}

// Repeatable chance: every choice of the check comes from its seed.

/** A stream of choices. Each actor has its own, so that the choices of one do not change those of another. */
export class Random {
  readonly #seed: number
  #state: number

  constructor(seed: number) {
    this.#seed = seed
    this.#state = seed >>> 0
  }

  /** A separate stream for `name`: the same for the same seed, however much was drawn from this one. */
  fork(name: string): Random {
    let hash = 0x811c9dc5 ^ this.#seed
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    return new Random(hash >>> 0)
  }

  /** From 0 up to, not including, 1: mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)] as T
  }

  /** Returns one of the names, as often as their weights state. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const names = Object.keys(weights) as K[]
    let left = this.next() * names.reduce((sum, name) => sum + weights[name], 0)
    for (const name of names) {
      left -= weights[name]
      if (left < 0) return name
    }
    return names.at(-1) as K
  }
}

/** Milliseconds: usually zero, and sometimes long enough that later events overtake. */
export function hesitation(random: Random, longestMs: number): number {
  const kind = random.next()
  if (kind < 0.55) return 0
  if (kind < 0.9) return random.between(1, Math.max(1, longestMs / 10))
  return random.between(1, longestMs)
}

export function wait(ms: number): Promise<void> | undefined {
  return ms <= 0 ? undefined : new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

// The resources of the processes: memory, descriptors and sockets of each, sampled while it runs, and whether they stay flat.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const MiB = 1024 * 1024

interface Sample {
  readonly atMs: number
  readonly rss: number
  readonly handles: number
  readonly sockets: number
}

/** A process, from its start, or the run's, to its end. */
export interface Series {
  readonly name: string
  readonly samples: Sample[]
}

export type Measure = 'rss' | 'handles' | 'sockets'

// Allows for memory that a collector has not freed yet, and for descriptors that a fault keeps open for a while.
const allowed: Record<Measure, (before: number) => number> = {
  rss: (before) => before * 1.25 + 32 * MiB,
  handles: (before) => before * 1.25 + 32,
  sockets: (before) => before * 1.25 + 32,
}

export class Samples {
  readonly #series = new Map<number, Series>()

  /** Samples a process now. A process that has just ended is left out. */
  take(name: string, pid: number, atMs: number): void {
    const sample = look(pid, atMs)
    if (sample === undefined) return
    const series = this.#series.get(pid) ?? { name: `${name} (${pid})`, samples: [] }
    series.samples.push(sample)
    this.#series.set(pid, series)
  }

  get all(): Series[] {
    return [...this.#series.values()]
  }
}

function look(pid: number, atMs: number): Sample | undefined {
  try {
    const rss = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
    const handles = readdirSync(`/proc/${pid}/fd`)
    const sockets = handles.filter((handle) => linkOf(pid, handle).startsWith('socket:'))
    return { atMs, rss, handles: handles.length, sockets: sockets.length }
  } catch {
    return undefined
  }
}

function linkOf(pid: number, handle: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${handle}`)
  } catch {
    return '' // Closed since it was listed.
  }
}

/** How a measure went: medians, as one sample may stand just before or just after a collection. */
export interface Course {
  readonly first: number
  readonly last: number
  readonly most: number
  /** Medians of the second third and of the last: the first third is warm-up. */
  readonly before: number
  readonly after: number
  /** A line laid through all after the first third, for each hour. */
  readonly slope: number
  readonly flat: boolean
}

/** @param series with six samples at the least */
export function courseOf({ samples }: Series, measure: Measure): Course {
  const values = samples.map((sample) => sample[measure])
  const third = Math.floor(values.length / 3)
  const before = median(values.slice(third, 2 * third))
  const after = median(values.slice(2 * third))
  return {
    first: values[0] as number,
    last: values.at(-1) as number,
    most: Math.max(...values),
    before,
    after,
    slope: slopeOf(samples.slice(third), measure),
    flat: after <= allowed[measure](before),
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number
}

// Least squares.
function slopeOf(samples: readonly Sample[], measure: Measure): number {
  const mean = (of: (sample: Sample) => number): number => samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length
  const [at, value] = [mean((one) => one.atMs), mean((one) => one[measure])]
  const spread = mean((one) => (one.atMs - at) ** 2)
  return spread === 0 ? 0 : mean((one) => (one.atMs - at) * (one[measure] - value)) / spread * 3_600_000
}

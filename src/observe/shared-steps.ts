// Steps of ten seconds that all replicas add to, in Redis: one value for each step, whatever the number of replicas.
import { RedisUnavailable, type GuardedClient } from '../store/redis/connect/guarded-client.ts'
import { rowLength, stepAt, stepMs, type Rows } from './history.ts'
import { layout } from './fleet-report.ts'

/** A step is a string of 64-bit integers: a row, and how many processes have added theirs. */
const places = rowLength + 1
const bytes = places * 8

/** A step is kept for so long after the window. */
const spareMs = 120_000
/** Steps that wait for Redis. Older ones are lost. */
const mostWaiting = 30

export interface SharedStepsOptions {
  readonly lane: Pick<GuardedClient, 'call'>
  /** The beginning of their keys; it names their slot. */
  readonly prefix: string
  readonly keepMs: number
  /** A number from 0 up to 1, as Math.random gives. */
  readonly random: () => number
}

export class SharedSteps {
  readonly #options: SharedStepsOptions
  #waiting: { readonly step: number; readonly row: Float64Array }[] = []
  /** Steps that no replica adds to any more. */
  readonly #known = new Map<number, Float64Array>()

  constructor(options: SharedStepsOptions) {
    this.#options = options
  }

  /** Takes a step of this process that is over. `flush` adds it. */
  add(step: number, row: Float64Array): void {
    this.#waiting.push({ step, row: row.slice() })
    if (this.#waiting.length > mostWaiting) this.#waiting.shift()
  }

  /** Adds what waits, at most once: a step whose fate is unknown is not added again. @throws as GuardedClient.call */
  async flush(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        await this.#write(next.step, next.row)
      } catch (error) {
        if (error instanceof RedisUnavailable && error.unsent) this.#waiting.unshift(next)
        throw error
      }
    }
  }

  async #write(step: number, row: Float64Array): Promise<void> {
    const { lane, keepMs, random } = this.#options
    const key = this.#key(step)
    const increments: (string | number)[] = []
    for (const [i, value] of row.entries()) if (Math.round(value) > 0) increments.push('INCRBY', 'i64', `#${i}`, Math.round(value))
    const reply = await lane.call('BITFIELD', [key, 'OVERFLOW', 'SAT', ...increments, 'INCRBY', 'i64', `#${rowLength}`, 1])
    const isFirst = Array.isArray(reply) && Number(reply.at(-1)) === 1
    // The first sets the end of its life. Others do so now and then: the first may have died in between.
    if (isFirst || random() < 1 / 16) await lane.call('PEXPIRE', [key, keepMs + spareMs])
  }

  /** Steps of this process that are not in Redis yet. */
  get waiting(): readonly { readonly step: number; readonly row: Float64Array }[] {
    return this.#waiting
  }

  /** Returns the steps up to `nowMs` that are in Redis. @throws as GuardedClient.call */
  async read(windowMs: number, nowMs: number): Promise<Rows> {
    const last = stepAt(nowMs)
    const first = last - Math.ceil(windowMs / stepMs) + 1
    for (const step of this.#known.keys()) if (step <= last - this.#options.keepMs / stepMs) this.#known.delete(step)
    const wanted = Array.from({ length: last - first + 1 }, (_, i) => first + i)
    const unknown = wanted.filter(step => !this.#known.has(step))
    const rows = new Map<number, Float64Array>()
    const values = await this.#options.lane.call('MGET', unknown.map(step => this.#key(step)))
    for (const [i, step] of unknown.entries()) {
      const row = rowOf(Array.isArray(values) ? values[i] : undefined)
      if (row === undefined) continue
      rows.set(step, row)
      if (step < last - 6) this.#known.set(step, row)
    }
    for (const step of wanted) {
      const row = this.#known.get(step)
      if (row !== undefined) rows.set(step, row)
    }
    return rows
  }

  #key(step: number): string {
    return `${this.#options.prefix}:step:${layout}:${step}`
  }
}

/** Returns the row of a value from Redis; undefined if it is none. */
function rowOf(value: unknown): Float64Array | undefined {
  if (!Buffer.isBuffer(value) || value.length > bytes) return undefined
  const row = new Float64Array(rowLength)
  for (let at = 0; at + 8 <= value.length && at / 8 < rowLength; at += 8) {
    const count = Number(value.readBigInt64BE(at))
    if (!(count >= 0 && count <= Number.MAX_SAFE_INTEGER)) return undefined
    row[at / 8] = count
  }
  return row
}

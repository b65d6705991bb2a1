// The numbers of a process, put together: those since its start, and the last hour in steps.
import type { Clock } from '../clock.ts'
import type { ExchangeObserver } from '../exchange/client/exchange.ts'
import type { Origins } from '../origin/origin.ts'
import { bucketCount } from './buckets.ts'
import { History, rowLength, sums, type StepData } from './history.ts'
import { Numbers } from './numbers.ts'
import { ObservedOrigins, OriginNumbers, type ServerNumbers } from './origin-numbers.ts'
import { Timings } from './timings.ts'
import { Top, type Measure, type Subject, type TopData, type TopParts } from './top.ts'
import type { TrafficData } from './traffic.ts'

const tickMs = 1_000

/** The numbers of a process since its start, as workers exchange them. */
export interface ProcessNumbers {
  readonly traffic: TrafficData
  readonly bytesFromOrigins: number
  readonly servers: readonly ServerNumbers[]
  /** By the id of the route. */
  readonly routes: Readonly<Record<string, TrafficData>>
}

export interface ObservationParts {
  readonly clock: Clock
  /** How long steps are kept. */
  readonly historyMs: number
  readonly top: TopParts
  /** Called with each step that is over. */
  closed?(step: number, row: Float64Array): void
}

/** Observes exchanges and origins. Closing it stops its timer. */
export class Observation {
  readonly numbers: Numbers
  readonly originNumbers: OriginNumbers
  readonly history: History
  readonly timings: Timings
  readonly #top: Top
  readonly #timer: NodeJS.Timeout

  constructor({ clock, historyMs, top, closed }: ObservationParts) {
    this.#top = new Top(top)
    this.numbers = new Numbers(clock, this.#top)
    this.originNumbers = new OriginNumbers(clock)
    this.timings = new Timings(clock)
    this.history = new History(clock, historyMs, row => this.#read(row), closed)
    this.#timer = setInterval(() => {
      this.history.tick()
      this.#top.tick()
    }, tickMs).unref()
  }

  get observer(): ExchangeObserver {
    return this.numbers
  }

  /** Returns the origins, so that their requests are counted. */
  origins(origins: Origins): Origins {
    return new ObservedOrigins(origins, this.originNumbers)
  }

  report(): ProcessNumbers {
    return {
      traffic: this.numbers.all.data(),
      bytesFromOrigins: this.originNumbers.bytes,
      servers: this.originNumbers.servers(),
      routes: Object.fromEntries(Array.from(this.numbers.routes, ([id, traffic]) => [id, traffic.data()])),
    }
  }

  steps(): StepData {
    return this.history.data()
  }

  top(of: Subject, by: Measure): TopData {
    return this.#top.data(of, by)
  }

  /** Ends the timer, and the current step. */
  close(): void {
    clearInterval(this.#timer)
    this.history.end()
  }

  #read(row: Float64Array): void {
    row.fill(0, sums.length, rowLength)
    const { all } = this.numbers
    row.set(all.outcomes)
    let at = all.outcomes.length
    for (const value of [all.bytesToClients, this.originNumbers.bytes, all.savedOriginMs, this.originNumbers.errors]) row[at++] = value
    for (const latency of all.latency) {
      if (latency === undefined) continue
      for (let i = 0; i < bucketCount; i++) row[at + i] = (row[at + i] as number) + (latency.counts[i] as number)
    }
  }
}

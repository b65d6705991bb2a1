// Observes requests for the admin API and the metrics: all together, and by route.
import type { Clock } from '../clock.ts'
import type { ClientExchange, ExchangeObserver } from '../exchange/client/exchange.ts'
import { bucketOf } from './buckets.ts'
import { Traffic } from './traffic.ts'

/** Takes some of the requests, for what is too costly to do for each of them. */
export interface Sampler {
  /** A request has ended. @param ms how long it took */
  ended(exchange: ClientExchange, ms: number): void
}

/** Counts requests that have ended. Each process has one. */
export class Numbers implements ExchangeObserver {
  readonly all = new Traffic()
  readonly #routes = new Map<string, Traffic>()
  readonly #clock: Clock
  readonly #sampler: Sampler

  constructor(clock: Clock, sampler: Sampler) {
    this.#clock = clock
    this.#sampler = sampler
  }

  delivered(exchange: ClientExchange): void {
    const ms = exchange.durationMs(this.#clock)
    const bucket = bucketOf(ms)
    this.all.count(exchange, ms, bucket)
    const route = exchange.routed?.route.id
    if (route !== undefined) this.#route(route).count(exchange, ms, bucket)
    this.#sampler.ended(exchange, ms)
  }

  #route(id: string): Traffic {
    let known = this.#routes.get(id)
    if (known === undefined) {
      known = new Traffic()
      this.#routes.set(id, known)
    }
    return known
  }

  /** The numbers of the routes that have had a request, by their ids. */
  get routes(): ReadonlyMap<string, Traffic> {
    return this.#routes
  }

  /** Forgets routes that the configuration no longer has. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#routes.keys()) if (!ids.has(id)) this.#routes.delete(id)
  }

  failed(): void {}

  notStored(): void {}

  deferred(): void {}

  count(): void {}
}

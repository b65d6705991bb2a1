// A stale response in place of one that fails, or takes too long.
import type { OriginFailure } from '../../policy/decide.ts'
import { staleFallback, type StaleFallback } from '../stale-fallback.ts'
import { serveStaleMeanwhile, type ServedFill } from './serve-stored.ts'

/** The stale response of a plan, for the client of its fill. */
export class StaleStandIn {
  readonly #fill: ServedFill
  #timer: NodeJS.Timeout | undefined

  constructor(fill: ServedFill) {
    this.#fill = fill
  }

  /** Waits for the head of the origin's response. After `staleIfSlow` the stale response goes out, and the fill goes on. */
  begin(): void {
    const { client, plan, exchange: { routed: { route: { rules: { staleIfSlowMs } } } } } = this.#fill
    if (client.waits && plan.staleFallback !== undefined && staleIfSlowMs !== undefined) this.#timer = setTimeout(this.#originIsSlow, staleIfSlowMs)
  }

  /** The head has come, or the client waits no longer. */
  end(): void {
    clearTimeout(this.#timer)
  }

  /** Returns the stale response that may be served in place of a failing origin's. */
  inPlaceOf(failure: OriginFailure): StaleFallback | undefined {
    const { parts, exchange, plan } = this.#fill
    return staleFallback(parts, exchange.routed.request, plan.staleFallback, failure)
  }

  readonly #originIsSlow = (): void => {
    if (!this.#fill.client.waits) return
    const fallback = this.inPlaceOf('slow')
    if (fallback !== undefined) void serveStaleMeanwhile(this.#fill, fallback)
  }
}

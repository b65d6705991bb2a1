// Failover: the servers that failed a request, and whether it may be sent again.
import type { OriginPool } from '../pool/pool.ts'
import { isRetriedOnStatus } from './idempotency.ts'
import type { OriginServer } from '../pool/server.ts'

/** How often servers may refuse to process one request. */
const mostRefusals = 4

/** A failed try. */
export interface Failure {
  /** The server reported that it did not process the request (RFC 9113 §8.7). */
  readonly refused: boolean
  /** The server was probably closing an idle connection that had served before (RFC 9112 §9.3.1). */
  readonly stale: boolean
  /** True if a request was sent that the server may have processed. */
  readonly sent: boolean
}

/** The tries of one request among a pool's servers. */
export class Failover {
  readonly #pool: OriginPool
  #left: number
  /** Servers that failed this request. */
  #tried: readonly OriginServer[] = []
  #refusals = 0

  constructor(pool: OriginPool) {
    this.#pool = pool
    this.#left = pool.config.retries
  }

  /** Records a refusal. Returns whether the refused request still does not count as a try. */
  onRefused(): boolean {
    return ++this.#refusals <= mostRefusals
  }

  /** Counts a try in which a request was sent. */
  count(): void {
    this.#left--
  }

  /** Returns the server to use in place of the response of `server`; undefined if the response is accepted. */
  onStatus(server: OriginServer, method: string): OriginServer | undefined {
    if (!isRetriedOnStatus(method) || this.#left <= 0 || this.#pool.closed) return undefined
    const tried = [...this.#tried, server]
    const next = this.#pool.another(tried)
    if (next?.healthy !== true || !this.#pool.retryBudget.spend()) return undefined
    this.#tried = tried
    return next
  }

  /**
   * Returns a server to use because this machine could not connect to `server`: another one may have an idle connection, or
   * local ports left. Costs no try and no retry budget, because nothing was sent.
   */
  onExhaustion(server: OriginServer): OriginServer | undefined {
    this.#tried = [...this.#tried, server]
    return this.#pool.closed ? undefined : this.#pool.another(this.#tried)
  }

  /** Returns the server to try after `server` failed; undefined if there is none. */
  onFailure(server: OriginServer, { refused, stale, sent }: Failure): OriginServer | undefined {
    if ((sent && this.#left <= 0) || this.#pool.closed) return undefined
    // A server that refused is alive and may still accept the request if the others fail.
    const tried = [...this.#tried, server]
    if (!refused) this.#tried = tried
    const next = this.#pool.another(tried) ?? ((stale || refused) && server.hasRoom('request') && !server.retired ? server : undefined)
    // A refused request costs the server almost nothing, so its retry does not use the retry budget. A rolling restart therefore
    // cannot exhaust it.
    return next !== undefined && (refused || this.#pool.retryBudget.spend()) ? next : undefined
  }
}

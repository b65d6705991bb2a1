// Where a request goes next: who has had it, and whether it may be tried once more.
import type { OriginPool } from '../pool/pool.ts'
import { isRetriedOnStatus } from './idempotency.ts'
import type { OriginServer } from '../pool/server.ts'

/** How often servers may say of one request that they did not process it. */
const mostRefusals = 4

/** A try that came to nothing. */
export interface Failure {
  /** The server said that it did not process the request (RFC 9113 §8.7). */
  readonly refused: boolean
  /** The likely cause is that the server was just closing a connection that had served before (RFC 9112 §9.3.1). */
  readonly stale: boolean
  /** Whether something was sent, and may have been done. */
  readonly sent: boolean
}

/** The tries of one request among a pool's servers. */
export class Failover {
  readonly #pool: OriginPool
  #left: number
  /** Servers to which it was sent, or should have been, in vain. */
  #tried: readonly OriginServer[] = []
  #refusals = 0

  constructor(pool: OriginPool) {
    this.#pool = pool
    this.#left = pool.config.retries
  }

  /** One more server says that it did nothing. Whether that is still no try. */
  onRefused(): boolean {
    return ++this.#refusals <= mostRefusals
  }

  /** A try is over in which something was sent. */
  count(): void {
    this.#left--
  }

  /** The server that is asked in place of taking an answer of `server`'s; undefined: the answer is taken. */
  onStatus(server: OriginServer, method: string): OriginServer | undefined {
    if (!isRetriedOnStatus(method) || this.#left <= 0 || this.#pool.closed) return undefined
    const tried = [...this.#tried, server]
    const next = this.#pool.another(tried)
    if (next?.healthy !== true || !this.#pool.retryBudget.spend()) return undefined
    this.#tried = tried
    return next
  }

  /** The server that is tried after `server` failed; undefined: none. */
  onFailure(server: OriginServer, { refused, stale, sent }: Failure): OriginServer | undefined {
    if ((sent && this.#left <= 0) || this.#pool.closed) return undefined
    // One that refused is there, and may yet take it where the others fail.
    const tried = [...this.#tried, server]
    if (!refused) this.#tried = tried
    const next = this.#pool.another(tried) ?? ((stale || refused) && !server.full && !server.retired ? server : undefined)
    // What was not processed cost the server next to nothing: there is nothing to save, and a restart loses nothing for want of it.
    return next !== undefined && (refused || this.#pool.retryBudget.spend()) ? next : undefined
  }
}

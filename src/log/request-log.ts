// The log's view of requests: a line of the access log for those that are wanted, and a line for each failure.
import { hash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import { safeMessage } from '../error-summary.ts'
import type { ErrorCode, SpringhouseError } from '../errors.ts'
import type { ClientExchange, ExchangeObserver } from '../exchange/client/exchange.ts'
import { provenanceLines } from '../forwarding/trusted-fields.ts'
import { fieldValue, firstRawValue } from '../http/fields.ts'
import type { Tail } from '../observe/tail.ts'
import { accessLine, type AccessRecord } from './access-line.ts'
import type { AccessLog } from './access-log.ts'
import type { TargetMask } from './masking.ts'

export interface RequestLogParts {
  readonly access: AccessLog
  readonly logger: Pick<Logger, 'debug' | 'warn' | 'error'>
  readonly clock: Clock
  /** Shows requests to operators who watch; undefined if nobody can. */
  readonly tail?: Tail | undefined
  /** Shows request targets in lines about failures, and to operators who watch. */
  readonly mask: TargetMask
  /** Names this process, if there are several. */
  readonly worker?: string | undefined
}

/** Errors of this side that do not concern one request: a line for each would be a flood just when the proxy is short of everything. */
const repeated: ReadonlySet<ErrorCode> = new Set(['PROXY_EXHAUSTED', 'PROXY_BUSY', 'SESSION_UNAVAILABLE'])
const repeatedEveryMs = 60_000

/** Writes what the log holds of requests. */
export class RequestLog implements ExchangeObserver {
  readonly #parts: RequestLogParts
  /** The last line of each repeated error, and the errors since then. */
  readonly #runs = new Map<ErrorCode, { readonly lineMs: number; more: number }>()

  constructor(parts: RequestLogParts) {
    this.#parts = parts
  }

  delivered(exchange: ClientExchange): void {
    const { access, clock, tail, mask } = this.#parts
    const ms = exchange.durationMs(clock)
    const isWanted = access.wants(exchange.status, exchange.outcome === 'error', ms)
    const isWatched = tail?.isWatched === true
    if (!isWanted && !isWatched) return
    const record = this.#record(exchange, ms)
    if (isWanted) access.write(record)
    if (isWatched) tail.offer(record, () => mask(record.target), () => accessLine(record, mask).trimEnd())
  }

  failed(error: SpringhouseError, exchange: ClientExchange): void {
    const more = this.#countOf(error.code)
    if (more === undefined) return
    const level = error.source === 'client' ? 'debug' : error.source === 'internal' ? 'error' : 'warn'
    const { cause } = error
    const detail = error.detail ?? (cause instanceof Error ? safeMessage(cause) : undefined)
    // A fault of this program shows where it is.
    const trace = error.source === 'internal' && !repeated.has(error.code) ? { err: cause ?? error } : undefined
    this.#parts.logger[level]({ code: error.code, ...this.#shape(exchange), cause: detail, ...(more > 0 && { more }), ...trace }, error.message)
  }

  /**
   * Counts an error that many requests meet at once, and gets a line once a minute. Returns how many such errors had no line
   * since the last one; undefined if this one gets none.
   */
  #countOf(code: ErrorCode): number | undefined {
    if (!repeated.has(code)) return 0
    const nowMs = this.#parts.clock.monotonic()
    const run = this.#runs.get(code)
    if (run !== undefined && nowMs - run.lineMs < repeatedEveryMs) {
      run.more++
      return undefined
    }
    this.#runs.set(code, { lineMs: nowMs, more: 0 })
    return run?.more ?? 0
  }

  deferred(cause: unknown, exchange: ClientExchange): void {
    this.#parts.logger.error({ err: cause, ...this.#shape(exchange) }, 'an unsafe request succeeded, but what it invalidates could not be recorded yet')
  }

  notStored(): void {}

  count(): void {}

  /** The members of each line about a request. */
  #shape({ head, routed, requestId }: ClientExchange): Record<string, unknown> {
    return {
      method: head.method,
      host: routed?.request.authority ?? firstRawValue(head.rawHeaders, 'host'),
      target: this.#parts.mask(head.url ?? ''),
      origin: routed?.route.origin,
      requestId,
    }
  }

  #record(exchange: ClientExchange, ms: number): AccessRecord {
    const { head, routed, origin, outcome } = exchange
    const { clock, worker } = this.#parts
    return {
      timeMs: clock.now(),
      outcome,
      reason: exchange.reason,
      status: exchange.status,
      method: head.method ?? '',
      host: routed?.request.authority ?? firstRawValue(head.rawHeaders, 'host') ?? '',
      target: head.url ?? '',
      route: routed?.route.id,
      // A passed request has none.
      key: routed === undefined || outcome === 'pass' ? undefined : hash('sha256', routed.key, 'hex').slice(0, 12),
      bytes: exchange.bodyBytes,
      ms,
      requestId: exchange.requestId,
      origin: origin === undefined ? undefined : routed?.route.origin,
      server: origin?.server,
      originMs: origin?.headMs,
      tries: origin === undefined || origin.tries === 1 ? undefined : origin.tries,
      notStored: exchange.notStored,
      session: exchange.identified === undefined || exchange.identified.outcome === 'none' ? undefined : exchange.identified.outcome,
      ageMs: exchange.ageMs,
      client: clientAddress(exchange),
      traceId: /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(firstRawValue(head.rawHeaders, 'traceparent') ?? '')?.[1],
      worker,
    }
  }
}

/** The client's address: the peer's, or the one that a trusted peer reports. It is the address that origins get in X-Real-IP. */
function clientAddress({ head, context, routed }: ClientExchange): string {
  if (!context.trusted) return context.address
  return fieldValue(provenanceLines(head.rawHeaders, context, routed?.request.authority), 'x-real-ip') ?? context.address
}

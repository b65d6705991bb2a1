// A client's request on its way through the proxy, with its response and its outcome.
import type { Clock } from '../../clock.ts'
import type { SpringhouseError } from '../../errors.ts'
import type { RequestContext } from '../../forwarding/request-context.ts'
import type { NotStoredReason, RequestReason } from '../../policy/reasons.ts'
import type { Identified } from './identity.ts'
import type { RequestHead, RoutedRequest } from '../routed-request.ts'
import type { RequestOutcome } from './outcome.ts'
import type { ClientResponse } from './response.ts'

/** Events that are counted besides requests. */
export type ExchangeEvent = 'fillsBegun' | 'fillsCommitted' | 'fillsAborted' | 'purges' | 'waits' | 'leases' | 'leasesTakenOver' | 'backgroundRefreshes' | 'bodiesContinued'
  | 'unsendable'

/** Observes exchanges. Its methods run on the request path: they never throw and never wait. */
export interface ExchangeObserver {
  /** A client's request has ended: it has its response, or its client has left. Called once for each request. */
  delivered(exchange: ClientExchange): void
  /** An exchange failed. The error says where: at the client, the origin or in this program. */
  failed(error: SpringhouseError, exchange: ClientExchange): void
  /** A fetched response is not stored. */
  notStored(reason: NotStoredReason): void
  /** An unsafe request succeeded, and its invalidation is not recorded for the other replicas yet. */
  deferred(cause: unknown, exchange: ClientExchange): void
  count(event: ExchangeEvent): void
}

/** The origin's part in an exchange. */
export interface OriginPart {
  /** The base URL of the last server that the request was sent to. */
  server: string
  /** Requests sent. */
  tries: number
  /** When the first request was sent, by the monotonic clock. */
  startedMs: number
  /** From then to the head of the response; undefined until it is received. */
  headMs: number | undefined
}

const noTags: readonly string[] = []

/**
 * A client's request and its response. The part that responds notes the outcome in its fields. `end` reports them to the
 * observer, once.
 */
export class ClientExchange {
  readonly head: RequestHead
  readonly response: ClientResponse
  readonly context: RequestContext
  readonly observer: ExchangeObserver
  /** When the request's head was received, by the monotonic clock. */
  readonly startedMs: number
  /** undefined until a route is found. */
  routed: RoutedRequest | undefined
  /** undefined if requests are not identified. */
  identified: Identified | undefined
  outcome: RequestOutcome = 'error'
  reason: RequestReason = 'refused'
  /** Bytes of the body that were handed to the connection. */
  bodyBytes = 0
  /** The age of the stored response that was served, and how long the origin took for it. */
  ageMs: number | undefined
  storedFetchMs = 0
  /** The tags of the stored response, or of the one that is being stored. */
  tags: readonly string[] = noTags
  /** Why the fetched response is not stored. */
  notStored: NotStoredReason | undefined
  /** undefined if no origin was contacted. */
  origin: OriginPart | undefined
  /** True once the connection speaks another protocol. */
  hasSwitched = false
  #ended = false
  #durationMs: number | undefined

  constructor(head: RequestHead, response: ClientResponse, context: RequestContext, observer: ExchangeObserver, startedMs: number) {
    this.head = head
    this.response = response
    this.context = context
    this.observer = observer
    this.startedMs = startedMs
  }

  /** The id of the request: in the response, at the origin, and in each line of the log. */
  get requestId(): string {
    return this.context.requestId
  }

  /** The status of the response; 0 if none has begun. */
  get status(): number {
    return this.hasSwitched ? 101 : this.response.status
  }

  /** How long the request took, from its head to now, or to the first call. Observers share one reading of the clock. */
  durationMs(clock: Pick<Clock, 'monotonic'>): number {
    this.#durationMs ??= clock.monotonic() - this.startedMs
    return this.#durationMs
  }

  /** Notes that the request is sent to an origin, for the first time or again. */
  tried(server: string, nowMs: number): void {
    if (this.origin === undefined) this.origin = { server, tries: 1, startedMs: nowMs, headMs: undefined }
    else {
      this.origin.server = server
      this.origin.tries++
    }
  }

  /** Notes that the head of the origin's response was received. */
  responded(nowMs: number): void {
    if (this.origin !== undefined) this.origin.headMs = nowMs - this.origin.startedMs
  }

  /** Reports the request to the observer. Later calls do nothing. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.observer.delivered(this)
  }

  /** An exchange for a fetch in the background. Its end concerns no client, and is not reported. */
  inBackground(routed: RoutedRequest): RoutedExchange {
    const background = new ClientExchange(this.head, this.response, this.context, this.observer, this.startedMs)
    background.routed = routed
    background.#ended = true
    return background as RoutedExchange
  }
}

/** An exchange whose request was understood and has a route. */
export type RoutedExchange = ClientExchange & { readonly routed: RoutedRequest }

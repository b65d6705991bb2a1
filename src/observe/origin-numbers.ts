// Observes requests to origins: their responses by status, bytes, time to the head, and failures.
import type { Clock } from '../clock.ts'
import type { SpringhouseError } from '../errors.ts'
import type { FieldLines } from '../http/fields.ts'
import type { OriginExchange, Origins, OriginServerStatus, OriginUpgrade, RequestForOrigin, ResponseSink, UpgradeRequest, UpgradeSink } from '../origin/origin.ts'
import { Latency, type LatencyData } from './latency.ts'

/** Classes of final statuses, and `error` for requests that got no whole response. */
export const originStatuses = ['1xx', '2xx', '3xx', '4xx', '5xx', 'error'] as const
export type OriginStatus = typeof originStatuses[number]

/** The last failure of a server. */
export interface LastError {
  /** A code of the catalogue, or the status of a 5xx response. */
  readonly code: string
  readonly atMs: number
}

/** The numbers of one server, as workers exchange them. */
export interface ServerNumbers {
  readonly origin: string
  /** Its base URL, as the configuration writes it. */
  readonly url: string
  /** The address of a server whose name has several. */
  readonly address?: string
  readonly requests: number
  readonly errors: number
  readonly latency: LatencyData
  readonly lastError: LastError | null
}

/** Counts the requests to one origin. */
export class OriginTraffic {
  readonly statuses: Record<OriginStatus, number> = { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0, error: 0 }
  readonly latency = new Latency()
  bytes = 0
}

class ServerTraffic {
  readonly latency = new Latency()
  requests = 0
  errors = 0
  lastError: LastError | null = null
}

/**
 * Counts what happens to the requests to origins. An origin counts a request once, a server each time that it was sent to it.
 * Health checks do not count.
 */
export class OriginNumbers {
  readonly #clock: Clock
  readonly #origins = new Map<string, OriginTraffic>()
  readonly #servers = new Map<string, ServerTraffic>()
  #bytes = 0
  #errors = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Bytes of response bodies from all origins. */
  get bytes(): number {
    return this.#bytes
  }

  /** Failures of servers: requests without a whole response, also those that another server then took, and 5xx responses. */
  get errors(): number {
    return this.#errors
  }

  get origins(): ReadonlyMap<string, OriginTraffic> {
    return this.#origins
  }

  servers(): ServerNumbers[] {
    return Array.from(this.#servers, ([name, { requests, errors, latency, lastError }]) => {
      const [origin = '', url = '', address = ''] = name.split(' ')
      return { origin, url, ...(address !== '' && { address }), requests, errors, latency: latency.data(), lastError }
    })
  }

  /** Forgets servers and origins that the configuration no longer has. */
  keep(servers: readonly OriginServerStatus[]): void {
    const [names, origins] = [new Set(servers.map(nameOf)), new Set(servers.map(({ origin }) => origin))]
    for (const name of this.#servers.keys()) if (!names.has(name)) this.#servers.delete(name)
    for (const name of this.#origins.keys()) if (!origins.has(name)) this.#origins.delete(name)
  }

  begin(origin: string): RequestCount {
    return new RequestCount(this, origin, this.#clock.monotonic())
  }

  origin(name: string): OriginTraffic {
    let known = this.#origins.get(name)
    if (known === undefined) this.#origins.set(name, known = new OriginTraffic())
    return known
  }

  server(origin: string, url: string, address: string | undefined): ServerTraffic {
    const name = nameOf({ origin, url, address })
    let known = this.#servers.get(name)
    if (known === undefined) this.#servers.set(name, known = new ServerTraffic())
    return known
  }

  get clock(): Clock {
    return this.#clock
  }

  counted(bytes: number): void {
    this.#bytes += bytes
  }

  erred(): void {
    this.#errors++
  }
}

// No origin, URL or address holds a space.
function nameOf({ origin, url, address = '' }: { readonly origin: string; readonly url: string; readonly address?: string | undefined }): string {
  return `${origin} ${url} ${address}`
}

/** Counts one request to an origin, at its end. */
class RequestCount {
  readonly #numbers: OriginNumbers
  readonly #origin: OriginTraffic
  readonly #name: string
  readonly #startedMs: number
  #server: ServerTraffic | undefined
  /** True if the failure of the present try is counted, and before the first try. */
  #settled = true
  #status: OriginStatus | undefined

  constructor(numbers: OriginNumbers, name: string, startedMs: number) {
    this.#numbers = numbers
    this.#name = name
    this.#origin = numbers.origin(name)
    this.#startedMs = startedMs
  }

  tried(server: string, address: string | undefined): void {
    this.#server = this.#numbers.server(this.#name, server, address)
    this.#server.requests++
    this.#settled = false
  }

  tryFailed(server: string, address: string | undefined, code: string): void {
    // A connection that could not be made is a request too: the server has failed it.
    if (this.#settled) this.tried(server, address)
    this.#erred(code)
  }

  head(status: number): void {
    const ms = this.#numbers.clock.monotonic() - this.#startedMs
    this.#status = `${Math.min(5, Math.floor(status / 100)) as 1 | 2 | 3 | 4 | 5}xx`
    this.#origin.latency.record(ms)
    this.#server?.latency.record(ms)
    if (status >= 500) this.#erred(String(status))
  }

  data(bytes: number): void {
    this.#origin.bytes += bytes
    this.#numbers.counted(bytes)
  }

  ended(): void {
    if (this.#status !== undefined) this.#origin.statuses[this.#status]++
    this.#status = undefined
  }

  failed({ code, source }: SpringhouseError): void {
    this.#origin.statuses.error++
    // A shortage of this proxy is no failure of a server.
    if (!this.#settled && source === 'origin') this.#erred(code)
    this.#status = undefined
  }

  #erred(code: string): void {
    this.#settled = true
    this.#numbers.erred()
    if (this.#server === undefined) return
    this.#server.errors++
    this.#server.lastError = { code, atMs: Math.round(this.#numbers.clock.now()) }
  }
}

/** Origins whose requests are counted. */
export class ObservedOrigins implements Origins {
  readonly #origins: Origins
  readonly #numbers: OriginNumbers

  constructor(origins: Origins, numbers: OriginNumbers) {
    this.#origins = origins
    this.#numbers = numbers
  }

  request(request: RequestForOrigin, sink: ResponseSink): OriginExchange {
    const count = this.#numbers.begin(request.origin)
    const exchange = this.#origins.request(request, new CountingSink(sink, count))
    return {
      pause: () => exchange.pause(),
      resume: () => exchange.resume(),
      abort: () => {
        count.ended()
        exchange.abort()
      },
      unwanted: giveUp => exchange.unwanted(giveUp),
    }
  }

  upgrade(request: UpgradeRequest, sink: UpgradeSink): OriginUpgrade {
    const count = this.#numbers.begin(request.origin)
    const onTry = (server: string, address?: string): void => {
      count.tried(server, address)
      request.onTry?.(server, address)
    }
    const onTryFailed = (server: string, address: string | undefined, code: string): void => count.tryFailed(server, address, code)
    return this.#origins.upgrade({ ...request, onTry, onTryFailed }, {
      onSwitched: (fields, socket, head) => {
        count.head(101)
        count.ended()
        sink.onSwitched(fields, socket, head)
      },
      onRefused: (status, fields, body, sound) => {
        count.head(status)
        count.ended()
        sink.onRefused(status, fields, body, sound)
      },
      onError: error => {
        count.failed(error)
        sink.onError(error)
      },
    })
  }

  status(): readonly OriginServerStatus[] {
    return this.#origins.status()
  }

  reload(origins: Parameters<Origins['reload']>[0]): void {
    this.#origins.reload(origins)
    this.#numbers.keep(this.#origins.status())
  }

  close(): Promise<void> {
    return this.#origins.close()
  }
}

/** Passes a response on to its sink, and counts it. */
class CountingSink implements ResponseSink {
  readonly #sink: ResponseSink
  readonly #count: RequestCount

  /** Only if its sink takes whole responses. */
  declare onWhole?: (status: number, fields: FieldLines, body: Buffer) => void

  constructor(sink: ResponseSink, count: RequestCount) {
    this.#sink = sink
    this.#count = count
    if (sink.onWhole !== undefined) this.onWhole = countWhole
  }

  onTry(server: string, address?: string): void {
    this.#count.tried(server, address)
    this.#sink.onTry?.(server, address)
  }

  onTryFailed(server: string, address: string | undefined, code: string): void {
    this.#count.tryFailed(server, address, code)
  }

  onInterim(status: number, fields: FieldLines): void {
    this.#sink.onInterim?.(status, fields)
  }

  onHead(status: number, fields: FieldLines, endsAtHead: boolean): void {
    this.#count.head(status)
    this.#sink.onHead(status, fields, endsAtHead)
  }

  onHeadAlone(): void {
    this.#sink.onHeadAlone?.()
  }

  onData(chunk: Buffer): void {
    this.#count.data(chunk.length)
    this.#sink.onData(chunk)
  }

  onEnd(trailers: FieldLines): void {
    this.#count.ended()
    this.#sink.onEnd(trailers)
  }

  /** Counts a response that arrived at once. */
  takeWhole(status: number, fields: FieldLines, body: Buffer): void {
    this.#count.head(status)
    this.#count.data(body.length)
    this.#count.ended()
    this.#sink.onWhole?.(status, fields, body)
  }

  onError(error: SpringhouseError, headSeen: boolean): void {
    this.#count.failed(error)
    this.#sink.onError(error, headSeen)
  }
}

// Shared by all sinks. A closure would be created for each request.
function countWhole(this: CountingSink, status: number, fields: FieldLines, body: Buffer): void {
  this.takeWhole(status, fields, body)
}

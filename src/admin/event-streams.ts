// Event streams of the admin listener (HTML Standard §9.2): bounded in number, in time, and in what waits for a slow reader.
import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AdminProblem } from './problems.ts'

/** The most streams of a process. A further one gets 503. */
const mostStreams = 50
/** How long a stream lasts. A browser then connects again. */
const longestMs = 15 * 60_000
/** How often a silent stream sends a comment, so that nothing between takes it for dead. */
const commentMs = 15_000
/** The most bytes that wait for a reader. Further events are dropped, and their number is sent later. */
const mostWaiting = 65_536

/** An open stream. */
export interface EventStream {
  /** Aborted when the stream ends, by either side. */
  readonly signal: AbortSignal
  /** Sends an event, unless the reader is too slow for it. */
  send(event: string, data: unknown): void
  /** The same with data that is JSON already, without line breaks. */
  sendJson(event: string, json: string): void
  /** Counts events that the reader does not get. A later event gives it their number. */
  drop(count: number): void
  end(): void
}

/** The bounds of streams. Tests have others. */
export interface StreamBounds {
  readonly most: number
  readonly longestMs: number
  readonly commentMs: number
  readonly mostWaiting: number
}

/** The streams of a listener. */
export class EventStreams {
  readonly #open = new Set<Stream>()
  readonly #bounds: StreamBounds
  #dropped = 0

  constructor(bounds: Partial<StreamBounds> = {}) {
    this.#bounds = { most: mostStreams, longestMs, commentMs, mostWaiting, ...bounds }
  }

  /** Events that readers did not get. */
  get dropped(): number {
    return this.#dropped
  }

  /** The number of open streams. */
  get count(): number {
    return this.#open.size
  }

  /** Begins a stream in place of an ordinary response. @throws AdminProblem 503 if there are too many */
  begin(request: FastifyRequest, reply: FastifyReply): EventStream {
    if (this.#open.size >= this.#bounds.most) throw new AdminProblem('TOO_MANY_STREAMS', {}, { 'retry-after': '10' })
    reply.hijack()
    const fields = { ...reply.getHeaders() as Record<string, string>, 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
    reply.raw.writeHead(200, fields)
    // A proxy or browser shows the stream as open before its first event.
    reply.raw.write(':\n\n')
    const stream = new Stream(reply.raw, this.#bounds, () => this.#open.delete(stream), count => (this.#dropped += count))
    this.#open.add(stream)
    request.raw.once('error', () => stream.end())
    return stream
  }

  /** Ends all streams, because the listener closes. */
  close(): void {
    for (const stream of this.#open) stream.end()
  }
}

class Stream implements EventStream {
  readonly #response: ServerResponse
  readonly #ended = new AbortController()
  readonly #timers: readonly NodeJS.Timeout[]
  readonly #mostWaiting: number
  readonly #onDrop: (count: number) => void
  #dropped = 0

  constructor(response: ServerResponse, bounds: StreamBounds, ended: () => void, onDrop: (count: number) => void) {
    this.#response = response
    this.#mostWaiting = bounds.mostWaiting
    this.#onDrop = onDrop
    this.#timers = [setInterval(() => this.#write(':\n\n'), bounds.commentMs).unref(), setTimeout(() => this.end(), bounds.longestMs).unref()]
    response.on('drain', () => this.#report())
    response.once('close', () => {
      for (const timer of this.#timers) clearTimeout(timer)
      this.#ended.abort()
      ended()
    })
  }

  get signal(): AbortSignal {
    return this.#ended.signal
  }

  send(event: string, data: unknown): void {
    this.sendJson(event, JSON.stringify(data))
  }

  sendJson(event: string, json: string): void {
    if (this.#response.writableLength > this.#mostWaiting) return this.drop(1)
    this.#report()
    this.#write(textOf(event, json))
  }

  drop(count: number): void {
    this.#dropped += count
    this.#onDrop(count)
  }

  #report(): void {
    if (this.#dropped === 0) return
    const count = this.#dropped
    this.#dropped = 0
    this.#write(textOf('dropped', JSON.stringify({ count })))
  }

  end(): void {
    this.#response.end()
  }

  #write(text: string): void {
    if (!this.#response.writableEnded && !this.#response.destroyed) this.#response.write(text)
  }
}

// JSON has no line breaks outside of strings, and escapes those within.
function textOf(event: string, json: string): string {
  return `event: ${event}\ndata: ${json}\n\n`
}

/** True if a request prefers an event stream. */
export function wantsEvents({ headers }: FastifyRequest): boolean {
  return /(?:^|,)\s*text\/event-stream\s*(?:;|,|$)/i.test(headers.accept ?? '')
}

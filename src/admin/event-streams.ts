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
  end(): void
}

/** The streams of a listener. */
export class EventStreams {
  readonly #open = new Set<Stream>()

  /** The number of open streams. */
  get count(): number {
    return this.#open.size
  }

  /** Begins a stream in place of an ordinary response. @throws AdminProblem 503 if there are too many */
  begin(request: FastifyRequest, reply: FastifyReply): EventStream {
    if (this.#open.size >= mostStreams) throw new AdminProblem('TOO_MANY_STREAMS', {}, { 'retry-after': '10' })
    reply.hijack()
    const fields = { ...reply.getHeaders() as Record<string, string>, 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
    reply.raw.writeHead(200, fields)
    // A proxy or browser shows the stream as open before its first event.
    reply.raw.write(':\n\n')
    const stream = new Stream(reply.raw, () => this.#open.delete(stream))
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
  #dropped = 0

  constructor(response: ServerResponse, ended: () => void) {
    this.#response = response
    this.#timers = [setInterval(() => this.#write(':\n\n'), commentMs).unref(), setTimeout(() => this.end(), longestMs).unref()]
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
    if (this.#response.writableLength > mostWaiting) {
      this.#dropped++
      return
    }
    if (this.#dropped > 0) {
      this.#write(textOf('dropped', { count: this.#dropped }))
      this.#dropped = 0
    }
    this.#write(textOf(event, data))
  }

  end(): void {
    this.#response.end()
  }

  #write(text: string): void {
    if (!this.#response.writableEnded && !this.#response.destroyed) this.#response.write(text)
  }
}

// JSON has no line breaks outside of strings, and escapes those within.
function textOf(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

/** True if a request prefers an event stream. */
export function wantsEvents({ headers }: FastifyRequest): boolean {
  return /(?:^|,)\s*text\/event-stream\s*(?:;|,|$)/i.test(headers.accept ?? '')
}

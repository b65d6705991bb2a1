// Shared parts of the origin tests: pools with short timeouts, a clock that stands still, and a sink that records its calls.
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import type { Clock } from '../../src/clock.ts'
import type { SpringhouseError } from '../../src/errors.ts'
import type { FieldLines } from '../../src/http/fields.ts'
import type { OriginConfig } from '../../src/origin/config.ts'
import type { OriginExchange, RequestForOrigin, Origins } from '../../src/origin/origin.ts'
import { createOrigins } from '../../src/origin/origins.ts'

export const silent = pino({ level: 'silent' })

export interface HandClock extends Clock {
  advance(ms: number): void
}

export function handClock(): HandClock {
  let ms = 1_000_000
  return { now: () => ms, monotonic: () => ms, advance: (by) => void (ms += by) }
}

export const patience: OriginConfig = {
  servers: [],
  balance: 'round-robin',
  reuse: 'safe',
  timeouts: { connectMs: 5_000, headersMs: 5_000, idleMs: 5_000, queueMs: 5_000 },
  maxConnections: 16,
  maxQueue: 64,
  maxHeaderBytes: 65_536,
  retries: 1,
}

export function originsOf(config: Partial<OriginConfig>, clock: Clock = handClock()): Origins {
  return createOrigins({ origins: { api: { ...patience, ...config } }, clock, logger: silent })
}

export interface Outcome {
  readonly interims: number[]
  readonly status: number | undefined
  readonly fields: readonly string[]
  readonly body: Buffer
  readonly trailers: readonly string[]
  /** How it ended: the error's code, or undefined after onEnd. */
  readonly error: SpringhouseError | undefined
  readonly headSeen: boolean | undefined
}

/** Sends a request, and resolves after the last call of its sink. */
export function fetchFrom(origins: Origins, request: Partial<RequestForOrigin> = {},
  watch: { onHead?(exchange: OriginExchange): void; onData?(exchange: OriginExchange): void } = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const interims: number[] = []
    let status: number | undefined
    let fields: readonly string[] = []
    let ended = false
    function finish(rest: { trailers?: readonly string[]; error?: SpringhouseError; headSeen?: boolean }): void {
      if (ended) return reject(new Error('the sink was called after its end'))
      ended = true
      resolve({ interims, status, fields, body: Buffer.concat(chunks), trailers: rest.trailers ?? [], error: rest.error, headSeen: rest.headSeen })
    }
    const exchange = origins.request(
      { origin: 'api', method: 'GET', target: '/', fields: ['host', 'api.example.com'], ...request },
      {
        onInterim: (code) => interims.push(code),
        onHead: (code, lines) => {
          if (ended || status !== undefined) reject(new Error('onHead out of turn'))
          status = code
          fields = lines
          watch.onHead?.(exchange)
        },
        onData: (chunk) => {
          if (ended || status === undefined) reject(new Error('onData out of turn'))
          chunks.push(chunk)
          watch.onData?.(exchange)
        },
        onEnd: (trailers) => finish({ trailers }),
        onError: (error, headSeen) => finish({ error, headSeen }),
      },
    )
  })
}

/** A request as a client's is passed on, and what to do on the way. POST unless it says otherwise. */
export interface Passing extends Partial<RequestForOrigin> {
  onHead?(status: number, fields: FieldLines): void
  onInterim?(status: number, fields: FieldLines): void
  onTrailers?(trailers: FieldLines): void
  /** Called before anything is sent, with a function that aborts the request. */
  onAbortable?(abort: () => void): void
}

/** The response to a passed request: its head, and its body as it comes. */
export interface Passed {
  readonly status: number
  readonly fields: FieldLines
  readonly body: Readable
  text(): Promise<string>
}

/** Sends a request with a body, and resolves with the head of its response. Rejects if there is none. */
export function pass(origins: Origins, { onHead, onInterim, onTrailers, onAbortable, ...request }: Passing): Promise<Passed> {
  return new Promise((resolve, reject) => {
    const body = new Readable({ read: () => exchange.resume() })
    const exchange = origins.request({ origin: 'api', method: 'POST', target: '/', fields: ['host', 'api.example.com'], ...request }, {
      onHead: (status, fields) => {
        onHead?.(status, fields)
        resolve({ status, fields, body, text: () => text(body) })
      },
      onInterim: (status, fields) => onInterim?.(status, fields),
      onData: (chunk) => {
        if (!body.push(chunk)) exchange.pause()
      },
      onEnd: (trailers) => {
        if (trailers.length > 0) onTrailers?.(trailers)
        body.push(null)
      },
      onError: (error, headSeen) => {
        if (headSeen) body.destroy(error)
        else reject(error)
      },
    })
    onAbortable?.(() => exchange.abort())
  })
}

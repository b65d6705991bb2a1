// One HTTP/2 session with a server (RFC 9113): a connection that carries many requests, each on a stream of its own.
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import type { Duplex } from 'node:stream'
import { SpringhouseError } from '../../errors.ts'
import type { OriginTimeouts } from '../config.ts'
import { NotProcessed } from '../failures.ts'
import { FrameTap } from './http2-frames.ts'

/** What one stream may hold of an answer that nobody takes (§6.9.2): enough for 40 MB/s over 50 ms, and little for each stalled client. */
const streamWindow = 262_144
/** What all of them together are sent ahead of what has come. It is given back as bytes come, also those that nobody takes yet. */
const sessionWindow = 8_388_608
/** Of an answer's head, as undici takes it. Node only tells the server (§6.5.2). */
export const longestHead = 16_384
/** More fields than fit into those bytes: bytes are what is limited. */
const mostFields = 4_096
/** Megabytes that Node may keep for a session before it refuses streams: the windows are the bound. */
const sessionMemory = 256

/** Whoever has a stream of the session. */
export interface StreamOwner {
  /** A section of fields has begun to arrive, of so many fields. */
  announced(fields: number): void
  /** The server has reset the stream. */
  wasReset(code: number): void
}

export interface Http2ConnectionEvents {
  /** It can take requests: the server has sent its SETTINGS (§3.4). */
  ready(): void
  /** There may be room for more streams. */
  room(): void
  /** It takes no more requests; those under way go on. */
  closing(): void
  /** Its connection is gone. */
  lost(error: Error): void
}

export class Http2Connection {
  readonly timeouts: OriginTimeouts
  readonly scheme: string
  readonly #client: ClientHttp2Session
  readonly #socket: FrameTap
  readonly #events: Http2ConnectionEvents
  readonly #owners = new Map<number, StreamOwner>()
  /** Requests that it may carry at a time: SETTINGS_MAX_CONCURRENT_STREAMS (§6.5.2). */
  #limit = 0
  #ready = false
  #taken = 0
  #served = 0
  #closing = false
  #doubtful = false
  /** The last stream that the server says it may have processed (§6.8). */
  #lastStream: number | undefined
  #error: Error | undefined
  /** When its last stream was given back. */
  idleSinceMs = 0

  constructor(socket: Duplex, url: string, timeouts: OriginTimeouts, events: Http2ConnectionEvents) {
    this.timeouts = timeouts
    this.scheme = new URL(url).protocol.slice(0, -1)
    this.#events = events
    this.#socket = new FrameTap(socket, {
      section: (stream, fields) => this.#owners.get(stream)?.announced(fields),
      reset: (stream, code) => this.#owners.get(stream)?.wasReset(code),
      onLocalGoaway: (code) => this.#localGoaway(code),
      broken: (error) => { this.#error ??= error },
    })
    const client = connect(url, {
      createConnection: () => this.#socket,
      settings: { enablePush: false, initialWindowSize: streamWindow, maxHeaderListSize: longestHead },
      maxHeaderListPairs: mostFields,
      maxSessionMemory: sessionMemory,
    })
    this.#client = client
    client.once('connect', () => client.setLocalWindowSize(sessionWindow))
    client.on('remoteSettings', ({ maxConcurrentStreams = Infinity }) => {
      this.#limit = maxConcurrentStreams
      // §6.5.2: a server that has no room at all says so for a moment only.
      if (!this.#ready && this.#limit > 0) {
        this.#ready = true
        events.ready()
      } else if (this.#ready) events.room()
    })
    client.on('goaway', (code: number, lastStream: number) => {
      this.#lastStream = lastStream
      if (code !== 0) this.#error ??= reset(`GOAWAY with error ${code}`)
      this.#beClosing()
    })
    client.on('error', (error: Error) => { this.#error ??= error })
    client.on('close', () => {
      this.#closing = true
      events.lost(this.lostBy)
    })
  }

  /** Whether it can take one more request. */
  get room(): boolean {
    return this.usable && this.#taken < this.#limit
  }

  /** Whether it takes requests, now or when others are over. */
  get usable(): boolean {
    return !this.#closing && !this.#client.closed && !this.#client.destroyed
  }

  get idle(): boolean {
    return this.#taken === 0
  }

  get lost(): boolean {
    return this.#client.destroyed
  }

  /** Why its connection is gone: one error for all that was on it. */
  get lostBy(): Error {
    return this.#error ??= reset('the session was lost')
  }

  /** Whether it had served when it was lost: then it may have been closed for having been idle. */
  get stale(): boolean {
    return this.lost && this.#served > 0
  }

  /** Bytes that have come so far. */
  get received(): number {
    return this.#socket.received
  }

  take(): void {
    this.#taken++
  }

  /** A request is over. */
  giveBack(nowMs: number): void {
    this.#taken--
    this.idleSinceMs = nowMs
    if (this.#taken === 0 && this.#closing) this.#part()
  }

  /** An answer has come to its end. */
  answered(): void {
    this.#served++
  }

  /** @throws NotProcessed when it takes no more; whatever Node throws for fields that it cannot send */
  request(fields: OutgoingHttpHeaders, endStream: boolean, owner: StreamOwner): ClientHttp2Stream {
    if (!this.usable) throw new NotProcessed('the session takes no more requests')
    let stream: ClientHttp2Stream
    try {
      stream = this.#client.request(fields, { endStream })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_HTTP2_OUT_OF_STREAMS') throw error
      // §5.1.1: every identifier has been used.
      this.end()
      throw new NotProcessed('no more streams', { cause: error })
    }
    const id = stream.id as number
    this.#owners.set(id, owner)
    stream.once('close', () => this.#owners.delete(id))
    return stream
  }

  /** Whether the server has said, with GOAWAY, that it did nothing about a stream (§6.8, §8.7). */
  unprocessed(stream: number): boolean {
    return this.#lastStream !== undefined && stream > this.#lastStream
  }

  /** Nothing has come since then, although an answer was due: who knows whether there is still anybody. */
  doubt(received: number): void {
    if (received !== this.received) return
    this.#doubtful = true
    this.end()
  }

  /** It is given nothing new, and closed when what is under way is over. */
  end(): void {
    this.#beClosing()
    if (this.#taken === 0) this.#part()
  }

  // Whoever may be gone is not waited for.
  #part(): void {
    if (this.#doubtful) this.#client.destroy()
    else this.#client.close()
  }

  /** Closes its connection now. */
  destroy(error: Error): Promise<void> {
    this.#error ??= error
    this.#closing = true
    return new Promise((resolve) => {
      if (this.#client.destroyed) return resolve()
      this.#client.once('close', resolve)
      this.#client.destroy()
    })
  }

  #beClosing(): void {
    if (this.#closing) return
    this.#closing = true
    this.#events.closing()
  }

  // Node says nothing of it, reads no further, and waits (§5.4.1 has the connection closed).
  #localGoaway(code: number): void {
    if (code === 0 || this.#client.destroyed) return
    this.#error ??= new SpringhouseError('ORIGIN_MALFORMED', { detail: `HTTP/2 connection error ${code}` })
    this.#closing = true
    // When the GOAWAY, which is just being written, is on its way.
    setImmediate(() => this.#client.destroy())
  }
}

/** As the system would say it. */
function reset(message: string): Error {
  return Object.assign(new Error(message), { code: 'ECONNRESET' })
}

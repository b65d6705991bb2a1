// An HTTP/2 connection to a server (RFC 9113), which carries each request on its own stream.
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import type { Duplex } from 'node:stream'
import { SpringhouseError } from '../../errors.ts'
import type { OriginTimeouts } from '../config.ts'
import { NotProcessed } from '../failures.ts'
import { FrameTap } from './http2-frames.ts'

/**
 * The flow-control window of a stream (§6.9.2), which bounds the unread bytes of a response: enough for 40 Mbit/s over 50 ms, and
 * little memory for each stalled client.
 */
const streamWindow = 262_144
/** The flow-control window of the connection. It is replenished as bytes arrive, even if no client has read them yet. */
const sessionWindow = 8_388_608
/** The most fields of a section. Node resets the stream of a longer one. */
const mostFields = 4_096
/** How much longer the encoded form of a permitted section can be: a few bytes for each field (RFC 7541 §6). */
const encodingBytes = 16 * mostFields
/** Megabytes that Node may buffer for a session before it refuses streams. The windows are the actual bound. */
const sessionMemory = 256

/** The owner of a stream. */
export interface StreamOwner {
  /** Called with the number of fields of an arriving field section. */
  announced(fields: number): void
  /** Called when the server has reset the stream. */
  wasReset(code: number): void
}

export interface Http2ConnectionEvents {
  /** Called when the server has sent its SETTINGS (§3.4), so that requests can be sent. */
  ready(): void
  /** Called when there may be room for more streams. */
  room(): void
  /** Called when the connection accepts no more requests; requests in flight continue. */
  closing(): void
  /** Called when the connection is lost. */
  lost(error: Error): void
}

export interface Http2ConnectionOptions {
  readonly timeouts: OriginTimeouts
  /** See OriginConfig. */
  readonly maxHeaderBytes: number
}

export class Http2Connection {
  readonly timeouts: OriginTimeouts
  readonly scheme: string
  /** The most bytes of a field section. Node only announces it to the server (§6.5.2). */
  readonly maxHeaderBytes: number
  readonly #client: ClientHttp2Session
  readonly #socket: FrameTap
  readonly #events: Http2ConnectionEvents
  readonly #owners = new Map<number, StreamOwner>()
  /** Most concurrent requests: SETTINGS_MAX_CONCURRENT_STREAMS (§6.5.2). */
  #limit = 0
  #ready = false
  #taken = 0
  #served = 0
  #closing = false
  #doubtful = false
  /** The last stream that the server may have processed, from GOAWAY (§6.8). */
  #lastStream: number | undefined
  #error: Error | undefined
  /** When its last stream was released. */
  idleSinceMs = 0

  constructor(socket: Duplex, url: string, { timeouts, maxHeaderBytes }: Http2ConnectionOptions, events: Http2ConnectionEvents) {
    this.timeouts = timeouts
    this.maxHeaderBytes = maxHeaderBytes
    this.scheme = new URL(url).protocol.slice(0, -1)
    this.#events = events
    this.#socket = new FrameTap(socket, maxHeaderBytes + encodingBytes, {
      section: (stream, fields) => this.#owners.get(stream)?.announced(fields),
      reset: (stream, code) => this.#owners.get(stream)?.wasReset(code),
      onLocalGoaway: (code) => this.#localGoaway(code),
      broken: (error) => {
        this.#error ??= error
      },
    })
    const client = connect(url, {
      createConnection: () => this.#socket,
      settings: { enablePush: false, initialWindowSize: streamWindow, maxHeaderListSize: maxHeaderBytes },
      maxHeaderListPairs: mostFields,
      maxSessionMemory: sessionMemory,
    })
    this.#client = client
    client.once('connect', () => client.setLocalWindowSize(sessionWindow))
    client.on('remoteSettings', ({ maxConcurrentStreams = Infinity }) => {
      this.#limit = maxConcurrentStreams
      // §6.5.2: a limit of 0 is only temporary.
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
    client.on('error', (error: Error) => {
      this.#error ??= error
    })
    client.on('close', () => {
      this.#closing = true
      events.lost(this.lostBy)
    })
  }

  /** True if there is room for one more request. */
  get room(): boolean {
    return this.usable && this.#taken < this.#limit
  }

  /** True if the connection accepts requests, now or after others have ended. */
  get usable(): boolean {
    return !this.#closing && !this.#client.closed && !this.#client.destroyed
  }

  get idle(): boolean {
    return this.#taken === 0
  }

  get lost(): boolean {
    return this.#client.destroyed
  }

  /** The error of a lost connection, the same for all its requests. */
  get lostBy(): Error {
    return this.#error ??= reset('the session was lost')
  }

  /** True if a lost connection had served before. If so, the server may have closed it as idle. */
  get stale(): boolean {
    return this.lost && this.#served > 0
  }

  /** Bytes received so far. */
  get received(): number {
    return this.#socket.received
  }

  take(): void {
    this.#taken++
  }

  /** Releases the slot of a request that has ended. */
  giveBack(nowMs: number): void {
    this.#taken--
    this.idleSinceMs = nowMs
    if (this.#taken === 0 && this.#closing) this.#part()
  }

  /** Counts a complete response. */
  answered(): void {
    this.#served++
  }

  /** Opens a stream. @throws NotProcessed if no more requests are accepted; Node's error for fields that cannot be sent */
  request(fields: OutgoingHttpHeaders, endStream: boolean, owner: StreamOwner): ClientHttp2Stream {
    if (!this.usable) throw new NotProcessed('the session accepts no more requests')
    let stream: ClientHttp2Stream
    try {
      stream = this.#client.request(fields, { endStream })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_HTTP2_OUT_OF_STREAMS') throw error
      // §5.1.1: all stream identifiers are used.
      this.end()
      throw new NotProcessed('no more streams', { cause: error })
    }
    const id = stream.id as number
    this.#owners.set(id, owner)
    stream.once('close', () => this.#owners.delete(id))
    return stream
  }

  /** Returns whether the server reported with GOAWAY that it did not process a stream (§6.8, §8.7). */
  unprocessed(stream: number): boolean {
    return this.#lastStream !== undefined && stream > this.#lastStream
  }

  /** Ends the connection if no byte has arrived since `received`, although a response was due: the peer may be lost. */
  doubt(received: number): void {
    if (received !== this.received) return
    this.#doubtful = true
    this.end()
  }

  /** Stops new requests, and closes the connection when the requests in flight have ended. */
  end(): void {
    this.#beClosing()
    if (this.#taken === 0) this.#part()
  }

  // An orderly close would wait for a peer that may be lost.
  #part(): void {
    if (this.#doubtful) this.#client.destroy()
    else this.#client.close()
  }

  /** Closes the connection now. */
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

  // After a connection error Node reports nothing, stops reading and waits. §5.4.1 requires the connection to be closed.
  #localGoaway(code: number): void {
    if (code === 0 || this.#client.destroyed) return
    this.#error ??= new SpringhouseError('ORIGIN_MALFORMED', { detail: `HTTP/2 connection error ${code}` })
    this.#closing = true
    // After the GOAWAY, which is just being written, has been sent.
    setImmediate(() => this.#client.destroy())
  }
}

/** Returns an error like the system's for a reset. */
function reset(message: string): Error {
  return Object.assign(new Error(message), { code: 'ECONNRESET' })
}

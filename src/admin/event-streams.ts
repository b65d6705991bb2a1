// Event streams (text/event-stream) of the admin listener: bounded in number, in time, and in what a slow reader may hold.
import { Readable } from 'node:stream'
import { AdminProblem } from './problems.ts'

export interface EventStreamsOptions {
  readonly most?: number
  readonly commentMs?: number
  readonly lastsMs?: number
  readonly heldBytes?: number
}

/** A client that was refused may come back after so long. */
const retryAfterS = 5

/** The open streams of a process. */
export class EventStreams {
  readonly #open = new Set<EventStream>()
  readonly #options: Required<EventStreamsOptions>
  #dropped = 0

  constructor({ most = 50, commentMs = 15_000, lastsMs = 900_000, heldBytes = 65_536 }: EventStreamsOptions = {}) {
    this.#options = { most, commentMs, lastsMs, heldBytes }
  }

  /** Events that slow readers did not get. */
  get dropped(): number {
    return this.#dropped
  }

  get count(): number {
    return this.#open.size
  }

  /** Counts events that were lost before they reached a stream. */
  lost(count: number): void {
    this.#dropped += count
  }

  /** Opens a stream. @throws AdminProblem if there are too many */
  open(): EventStream {
    const { most } = this.#options
    if (this.#open.size >= most) throw new AdminProblem('TOO_MANY_STREAMS', { detail: `At most ${most} event streams are open at once.` }, { 'retry-after': String(retryAfterS) })
    const stream = new EventStream(this.#options, () => void this.#dropped++)
    this.#open.add(stream)
    stream.body.once('close', () => this.#open.delete(stream))
    return stream
  }

  /** Ends all streams: the listener closes. */
  close(): void {
    for (const stream of this.#open) stream.end()
  }
}

/** An open stream. Its body goes to the client, and closes when the client leaves. */
export class EventStream {
  readonly body: Readable
  readonly #heldBytes: number
  readonly #onDrop: () => void
  readonly #comments: NodeJS.Timeout
  readonly #last: NodeJS.Timeout
  #dropped = 0
  #isOver = false

  constructor({ commentMs, lastsMs, heldBytes }: Required<EventStreamsOptions>, onDrop: () => void) {
    this.#heldBytes = heldBytes
    this.#onDrop = onDrop
    this.body = new Readable({ read: () => this.#report() })
    // A browser connects again after a moment, also when the stream has lasted its time.
    this.body.push('retry: 2000\n\n')
    this.#comments = setInterval(() => this.#push(': still here\n\n'), commentMs).unref()
    this.#last = setTimeout(() => this.end(), lastsMs).unref()
    this.body.once('close', () => {
      clearInterval(this.#comments)
      clearTimeout(this.#last)
    })
  }

  /** Sends an event. If the reader is slow, the event is lost, and a later `dropped` event counts it. @param data JSON, without line breaks */
  send(event: string, data: string): void {
    if (this.#isOver || this.body.destroyed) return
    if (this.body.readableLength > this.#heldBytes) return this.drop(1)
    this.#report()
    this.#push(`event: ${event}\ndata: ${data}\n\n`)
  }

  /** Notes events that the reader does not get. */
  drop(count: number): void {
    this.#dropped += count
    for (let i = 0; i < count; i++) this.#onDrop()
  }

  end(): void {
    clearInterval(this.#comments)
    clearTimeout(this.#last)
    if (this.#isOver || this.body.destroyed) return
    this.#isOver = true
    this.body.push(null)
  }

  #report(): void {
    if (this.#dropped === 0) return
    const count = this.#dropped
    this.#dropped = 0
    this.#push(`event: dropped\ndata: {"count":${count}}\n\n`)
  }

  #push(text: string): void {
    if (!this.#isOver && !this.body.destroyed) this.body.push(text)
  }
}

// The tee of a fill: clients read a response while it arrives for the store.
import { crc32 } from 'node:zlib'
import type { Metadata } from '../../policy/stored.ts'
import { BodyGone, FellBehind, type Body, type Stored } from '../../store/store.ts'
import type { SharedResponse } from '../coalesce/shared-response.ts'
import type { SentBytes } from '../deliver/resumed-body.ts'
import type { EarlyBytes } from './early-bytes.ts'
import { windowBytes, type WindowBudget } from './window-budget.ts'

/** How far a fill runs ahead of its fastest reader. */
const aheadBytes = 262_144

const nowhere = (): Promise<undefined> => Promise.resolve(undefined)

/** Bytes of the window. `held`: the memory that they keep. */
interface Piece {
  readonly at: number
  readonly bytes: Buffer
  readonly held: number
}

/** Called when a reader comes, goes on or leaves, and when a follower waits for the end. */
export interface TeeListener {
  changed(): void
}

/**
 * The body of a response that is still arriving. It keeps the latest bytes in a window, and all bytes until they exceed it.
 *
 * A reader that is slower than the window, or comes later, reads the bytes that the store's writer has in memory. Without such bytes it
 * waits for the commit, and goes on in the store. So no reader holds another up, and none looks up an entry that is not committed. If the response does not come to its end, or is not stored, a reader that needs more than
 * the window holds gets `BodyGone`, as from a store that lost the body.
 */
export class Tee implements Body, SharedResponse {
  readonly bytes = undefined
  /** The metadata with which the response will be stored. `bodyBytes` is Infinity if the origin does not announce the length. */
  readonly meta: Metadata
  readonly #budget: WindowBudget
  readonly #listener: TeeListener
  readonly #written: (position: number) => Buffer | undefined
  #pieces: Piece[] = []
  #held = 0
  /** The window reaches from here to the end of what has arrived. */
  #start = 0
  #end = 0
  #readers = 0
  /** The furthest position that a reader has reached. */
  #furthest = 0
  #isAwaited = false
  #state: 'arriving' | 'whole' | 'broken' = 'arriving'
  /** Where readers behind the window go on; undefined: not known yet. */
  #find: (() => Promise<Stored | undefined>) | undefined
  #rest: Promise<Stored | undefined> | undefined
  #news: Promise<void> | undefined
  #tell: () => void = () => {}

  /**
   * @param early the bytes before the first reader
   * @param written returns bytes that the store's writer has in memory, from a position on
   */
  constructor(meta: Metadata, budget: WindowBudget, early: EarlyBytes, listener: TeeListener, written: (position: number) => Buffer | undefined = () => undefined) {
    this.meta = meta
    this.#budget = budget
    this.#listener = listener
    this.#written = written
    if (early.chunks.length === 0) this.#start = this.#end = early.bytes
    for (const chunk of early.chunks) this.#add(chunk)
  }

  get body(): Body {
    return this
  }

  get availableFrom(): number {
    return this.#start > 0 && this.#written(0) !== undefined ? 0 : this.#start
  }

  /** True while clients read it. */
  get isRead(): boolean {
    return this.#readers > 0
  }

  /** True if the fill must not wait for its own client: others read, or wait for the end. */
  get isShared(): boolean {
    return this.#readers > 0 || this.#isAwaited
  }

  /** True if the fill is far enough ahead of its fastest reader. Nobody else waits for it. */
  get isAhead(): boolean {
    return this.#readers > 0 && !this.#isAwaited && this.#end - this.#furthest >= aheadBytes
  }

  /** The bytes of the window, for a client that has received everything that has arrived. */
  get arrived(): SentBytes {
    const checksum = this.#pieces.reduce((sum, { bytes }) => crc32(bytes, sum), 0)
    return { start: this.#start, end: this.#end, checksum }
  }

  /** From now on the fill waits for no reader: a follower that cannot read here waits for the commit. */
  await(): void {
    if (this.#isAwaited) return
    this.#isAwaited = true
    this.#listener.changed()
  }

  /** Takes bytes that arrived. */
  push(chunk: Buffer): void {
    this.#add(chunk)
    this.#trim()
    this.#wake()
  }

  #add(chunk: Buffer): void {
    // A small slice would keep the whole buffer of its socket.
    const isSmall = chunk.length * 2 < chunk.buffer.byteLength
    const piece = { at: this.#end, bytes: isSmall ? Buffer.from(chunk) : chunk, held: isSmall ? chunk.length : chunk.buffer.byteLength }
    this.#pieces.push(piece)
    this.#end += chunk.length
    this.#hold(piece.held)
  }

  // Readers that are up to date take the last piece in a moment. Without readers, only a window that holds all bytes is of use.
  #trim(): void {
    if (this.#readers === 0 && (this.#isFull || this.#start > 0)) { while (this.#pieces.length > 0) this.#drop() }
    else while (this.#pieces.length > 1 && this.#isFull) this.#drop()
  }

  get #isFull(): boolean {
    return this.#held > windowBytes || this.#budget.isSpent
  }

  #hold(bytes: number): void {
    this.#held += bytes
    this.#budget.add(bytes)
  }

  #drop(): void {
    const piece = this.#pieces.shift()
    if (piece === undefined) return
    this.#start = piece.at + piece.bytes.length
    this.#hold(-piece.held)
  }

  /**
   * All bytes have arrived, and the commit is over.
   * @param find returns the stored response, if it is stored. Never rejects
   */
  complete(find: () => Promise<Stored | undefined>): void {
    this.#state = 'whole'
    this.#find ??= find
    // Slow readers read the store from now on, and keep no window.
    if (this.#readers > 0)
      void this.#found().then(stored => {
        if (stored !== undefined) this.#clear()
      })
    this.#over()
  }

  /** The response will not be stored. */
  notStored(): void {
    this.#find = nowhere
    this.#wake()
  }

  /** No more bytes arrive. Safe to call at any time. */
  break(): void {
    if (this.#state !== 'arriving') return
    this.#state = 'broken'
    this.#find = nowhere
    this.#over()
  }

  // A reader may begin a moment later, so the bytes stay as long as anybody refers to them.
  #over(): void {
    if (this.#readers === 0) this.#hold(-this.#held)
    this.#wake()
  }

  #clear(): void {
    this.#hold(-this.#held)
    this.#pieces = []
    this.#start = this.#end
  }

  /** @throws BodyGone if the rest is neither in the window nor in the store */
  async *read(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    let at = start
    this.#readers++
    this.#listener.changed()
    try {
      while (at < end) {
        const behind = at < this.#start ? this.#written(at) : undefined
        if (at < this.#start && behind === undefined) return yield* await this.#readRest(at, end)
        const part = (behind ?? this.#from(at))?.subarray(0, end - at)
        if (part !== undefined) {
          at += part.length
          this.#advance(at)
          yield part
        } else if (this.#state === 'whole') return
        else if (this.#state === 'broken') throw new BodyGone('the fetch broke off')
        else await this.#more()
      }
    } finally {
      this.#readers--
      if (this.#readers === 0 && this.#state !== 'arriving') this.#hold(-this.#held)
      this.#listener.changed()
    }
  }

  async #readRest(at: number, end: number): Promise<AsyncIterable<Buffer>> {
    this.await()
    while (this.#find === undefined) await this.#more()
    const stored = await this.#found()
    if (stored === undefined) throw this.#state === 'broken' ? new BodyGone('the fetch broke off') : new FellBehind('the response is not stored')
    return stored.body.read(at, Math.min(end, stored.meta.bodyBytes))
  }

  #found(): Promise<Stored | undefined> {
    return this.#rest ??= (this.#find ?? nowhere)()
  }

  #from(at: number): Buffer | undefined {
    const piece = this.#pieces.findLast(one => one.at <= at)
    const bytes = piece?.bytes.subarray(at - piece.at)
    return bytes?.length === 0 ? undefined : bytes
  }

  #advance(position: number): void {
    if (position <= this.#furthest) return
    this.#furthest = position
    this.#listener.changed()
  }

  #more(): Promise<void> {
    return this.#news ??= new Promise(resolve => {
      this.#tell = resolve
    })
  }

  #wake(): void {
    this.#news = undefined
    this.#tell()
  }
}

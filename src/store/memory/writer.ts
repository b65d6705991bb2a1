// Incoming bodies of the memory store: collected, counted, and freed when their writers are.
import { ChunkBuffer } from './chunks.ts'
import type { Refusal, Writer } from '../store.ts'

export interface IncomingOptions {
  /** Longest body that is stored. */
  readonly maxEntryBytes: number
  /** The most memory of all incoming bodies: beyond it the body that grows is refused. */
  readonly maxBytes: number
  /** Called when they hold more than before. */
  readonly grown: () => void
}

interface Held {
  bytes: number
}

/** All writers of a store. */
export class Incoming {
  readonly #options: IncomingOptions
  #bytes = 0
  // Safe: a registration holds the count, never the writer, so that a dropped writer can be collected.
  readonly #forgotten = new FinalizationRegistry<Held>((held) => this.#release(held))

  constructor(options: IncomingOptions) {
    this.#options = options
  }

  /** Memory of incoming bodies. */
  get bytes(): number {
    return this.#bytes
  }

  /** `take` makes the collected body visible. It is called at most once, and must not keep the chunks. */
  writer(take: (pieces: ChunkBuffer) => boolean): Writer {
    const held: Held = { bytes: 0 }
    const pieces = new ChunkBuffer()
    let open = true
    let gaveUp: Refusal | undefined
    const end = (): void => {
      open = false
      this.#forgotten.unregister(held)
      this.#release(held)
    }
    const writer: Writer = {
      write: (chunk) => {
        if (!open) return
        if (held.bytes === 0 && chunk.length > 0) this.#forgotten.register(writer, held, held)
        pieces.add(chunk)
        this.#bytes += pieces.heldBytes - held.bytes
        held.bytes = pieces.heldBytes
        if (pieces.bytes <= this.#options.maxEntryBytes && this.#bytes <= this.#options.maxBytes) {
          this.#options.grown()
          return
        }
        // Store-refused if other bodies take the room now; too-large if the body exceeds the bound alone.
        gaveUp = pieces.bytes > Math.min(this.#options.maxEntryBytes, this.#options.maxBytes) ? 'too-large' : 'store-refused'
        end()
        pieces.clear()
      },
      written: position => pieces.from(position),
      get gaveUp() {
        return gaveUp
      },
      commit: () => {
        if (!open) return false
        end()
        const taken = take(pieces)
        pieces.clear()
        return taken
      },
      abort: () => {
        if (!open) return
        end()
        pieces.clear()
      },
    }
    return writer
  }

  #release(held: Held): void {
    this.#bytes -= held.bytes
    held.bytes = 0
  }
}

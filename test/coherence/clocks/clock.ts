// The clocks of a process group, which the check sets while the processes run: by a file that the preloaded library reads.
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const directory = mkdtempSync(join(tmpdir(), 'springhouse-clocks-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))

let files = 0

/** Both clocks of a process group: their shift against the true clocks, and their rate. */
export class ShiftedClock {
  /** The environment of the processes that have these clocks. */
  readonly env: Readonly<Record<string, string>>
  readonly #file: number
  readonly #bytes = Buffer.alloc(40)
  #sequence = 0n
  #wallNs = 0n
  #monotonicNs = 0n
  /** Parts per million. */
  #rate = 0n
  #sinceNs = 0n

  /** @param library the compiled shift.c */
  constructor(library: string) {
    const path = join(directory, `clock-${++files}`)
    this.#file = openSync(path, 'w')
    this.env = { LD_PRELOAD: library, COHERENCE_CLOCKS: path }
    this.#change(() => {})
  }

  /** How far the wall clock is ahead of the true one, in milliseconds. */
  get wallAheadMs(): number {
    return Number(this.#wallNs) / 1e6
  }

  /** Sets the wall clock forward, or back. */
  stepWall(ms: number): void {
    this.#change(() => {
      this.#wallNs += BigInt(Math.round(ms)) * 1_000_000n
    })
  }

  /**
   * Removes a time from the monotonic clock, as if the machine had been suspended for it. The processes must have been
   * stopped for at least as long, so that the clock goes back for none of them.
   */
  suspended(ns: bigint): void {
    this.#change(() => {
      this.#monotonicNs -= ns
    })
  }

  /**
   * Makes both clocks run faster, or slower, from now on.
   * @param rate parts per million
   */
  drift(rate: number): void {
    this.#change(() => {
      this.#fold()
      this.#rate = BigInt(Math.round(rate))
    })
  }

  /** Sets the wall clock right, and lets both clocks run at their true rate. The monotonic clock continues from its time. */
  setRight(): void {
    this.#change(() => {
      this.#fold()
      this.#rate = 0n
      this.#wallNs = 0n
    })
  }

  close(): void {
    closeSync(this.#file)
  }

  // Moves the effect of the rate into the shifts. Rounded up: the monotonic clock must not go back.
  #fold(): void {
    const nowNs = process.hrtime.bigint()
    const drifted = this.#rate === 0n ? 0n : (nowNs - this.#sinceNs) * this.#rate / 1_000_000n
    this.#wallNs += drifted
    this.#monotonicNs += drifted + 1n
    this.#sinceNs = nowNs
  }

  // Readers wait while the sequence is odd, so that none reads a later time by the earlier settings.
  #change(change: () => void): void {
    this.#putSequence()
    change()
    for (const [at, number] of [this.#wallNs, this.#monotonicNs, this.#rate, this.#sinceNs].entries()) this.#bytes.writeBigInt64LE(number, at * 8)
    writeSync(this.#file, this.#bytes, 0, 32, 8)
    this.#putSequence()
  }

  #putSequence(): void {
    this.#bytes.writeBigInt64LE(++this.#sequence, 0)
    writeSync(this.#file, this.#bytes, 0, 8, 0)
  }
}

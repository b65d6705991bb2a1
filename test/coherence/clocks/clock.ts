// The clocks of one group of processes, which the check sets while they run: by a file that the preloaded library reads.
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const directory = mkdtempSync(join(tmpdir(), 'springhouse-clocks-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))

let files = 0

/** Both clocks of a process group: how far they are from the true ones, and how much faster they run. */
export class ShiftedClock {
  /** The environment of the processes whose clocks these are. */
  readonly env: Readonly<Record<string, string>>
  readonly #file: number
  readonly #bytes = Buffer.alloc(40)
  #sequence = 0n
  #wallNs = 0n
  #monotonicNs = 0n
  /** Parts in a million. */
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
    this.#change(() => { this.#wallNs += BigInt(Math.round(ms)) * 1_000_000n })
  }

  /**
   * Takes a time out of the monotonic clock, as if the machine had been suspended for it. The processes must have been
   * stopped for at least as long, so that none of them sees the clock go back.
   */
  suspended(ns: bigint): void {
    this.#change(() => { this.#monotonicNs -= ns })
  }

  /** Lets both clocks run faster, or slower, from now on. @param rate parts in a million */
  drift(rate: number): void {
    this.#change(() => {
      this.#fold()
      this.#rate = BigInt(Math.round(rate))
    })
  }

  /** Sets the wall clock right, and lets both clocks run at their true rate. The monotonic clock goes on from where it is. */
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

  // Puts what the rate has brought so far into the shifts. Rounded up: the monotonic clock must not go back.
  #fold(): void {
    const nowNs = process.hrtime.bigint()
    const drifted = this.#rate === 0n ? 0n : (nowNs - this.#sinceNs) * this.#rate / 1_000_000n
    this.#wallNs += drifted
    this.#monotonicNs += drifted + 1n
    this.#sinceNs = nowNs
  }

  // Who reads waits while the sequence is odd, so nobody has read a later time by what was before it.
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

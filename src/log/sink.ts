// Lines for one file descriptor: written whole and in order, held for a moment, or dropped and counted. Never a wait.
import { fstatSync, writeSync } from 'node:fs'
import type { Descriptor } from './descriptor.ts'

/** Lines that wait for a slow reader take at most this much. */
export const heldBytes = 64 * 1024

// Up to this many bytes a pipe takes all or nothing (PIPE_BUF), so lines of several workers do not mix.
const atomicBytes = 4096
const newline = 10

const firstRetryMs = 2
const longestRetryMs = 256
const lastWaitMs = 500

/** The result of an attempt to write. `slow`: the reader has to read first. `failed`: the lines are dropped. */
type Attempt = 'written' | 'slow' | 'failed'

/**
 * Writes lines to a descriptor that does not block. If the reader is slow, up to 64 KiB of lines are held and tried again
 * soon; further lines are dropped. If a write fails (a full disk, a closed pipe), its lines are dropped. After a loss, the
 * held lines are written first, then a line with the number of lost lines. No line is taken before that.
 */
export class LineSink {
  /** Makes the line that reports a loss. */
  lossLine: (lost: number) => string
  readonly #to: Descriptor
  readonly #buffer = Buffer.allocUnsafeSlow(heldBytes)
  // The bytes from #start to #end are to be written: whole lines, but for the rest of one that was written in part.
  #start = 0
  #end = 0
  #startsWithinLine = false
  /** The length of the file at which a full disk truncated a line. */
  #cutAt = 0
  #dropped = 0
  #unreported = 0
  #scheduled = false
  /** Set after a write that failed: nothing is tried before it fires. */
  #retry: NodeJS.Timeout | undefined
  #retryMs = firstRetryMs

  constructor(to: Descriptor, lossLine: (lost: number) => string) {
    this.#to = to
    this.lossLine = lossLine
  }

  /** Lines dropped since the start. */
  get dropped(): number {
    return this.#dropped
  }

  /** Writes a line (with its newline), and those held before it, now. */
  write(line: string): void {
    if (this.#take(line) && this.#retry === undefined) this.#flush()
  }

  /** Takes a line (with its newline). It is written at the end of this turn of the event loop, or once there is no more room. */
  append(line: string): void {
    if (!this.#take(line) || this.#scheduled || this.#retry !== undefined) return
    this.#scheduled = true
    setImmediate(this.#atEndOfTurn)
  }

  /** Writes what is held as the process ends. Waits half a second at most for a slow reader. */
  end(): void {
    for (let waitedMs = 0; this.#attempt() === 'slow' && waitedMs < lastWaitMs; waitedMs += 10) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }

  readonly #atEndOfTurn = (): void => {
    this.#scheduled = false
    if (this.#retry === undefined) this.#flush()
  }

  #take(line: string): boolean {
    if (this.#unreported === 0 && (this.#fits(line) || (this.#retry === undefined && this.#flush() && this.#fits(line)))) {
      this.#end += this.#buffer.write(line, this.#end)
      return true
    }
    this.#lose(1)
    // Everything before it could be written: the line is longer than all the room there is.
    if (this.#retry === undefined) this.#flush()
    return false
  }

  #fits(line: string): boolean {
    const room = this.#buffer.length - this.#end
    return line.length * 3 <= room || Buffer.byteLength(line) <= room
  }

  #lose(lines: number): void {
    this.#dropped += lines
    this.#unreported += lines
  }

  /** Writes all there is, or sets the timer that tries again. Returns whether everything is written. */
  #flush(): boolean {
    if (this.#attempt() === 'written') {
      this.#retryMs = firstRetryMs
      return true
    }
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#flush()
    }, this.#retryMs).unref()
    this.#retryMs = Math.min(2 * this.#retryMs, longestRetryMs)
    return false
  }

  #attempt(): Attempt {
    const held = this.#writeHeld()
    if (held !== 'written' || this.#unreported === 0) return held
    const { dropped, unreported } = { dropped: this.#dropped, unreported: this.#unreported }
    this.#end = this.#buffer.write(this.lossLine(unreported))
    this.#unreported = 0
    const report = this.#writeHeld()
    // A report that is dropped is no line that was lost.
    if (report === 'failed' && this.#start === this.#end) [this.#dropped, this.#unreported] = [dropped, unreported]
    return report
  }

  #writeHeld(): Attempt {
    if (this.#startsWithinLine && this.#to.isFile && sizeOf(this.#to.fd) !== this.#cutAt) this.#dropRestOfLine()
    while (this.#start < this.#end) {
      try {
        this.#to.unblock?.()
        const written = writeSync(this.#to.fd, this.#buffer, this.#start, this.#nextLength())
        if (written === 0) return 'slow'
        this.#retryMs = firstRetryMs
        this.#start += written
        this.#startsWithinLine = this.#buffer[this.#start - 1] !== newline
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EINTR') continue
        if (code !== 'EAGAIN') this.#dropHeld()
        this.#compact()
        return code === 'EAGAIN' ? 'slow' : 'failed'
      }
    }
    this.#start = this.#end = 0
    return 'written'
  }

  #nextLength(): number {
    const all = this.#end - this.#start
    if (this.#to.isFile || all <= atomicBytes) return all
    const last = this.#buffer.lastIndexOf(newline, this.#start + atomicBytes - 1)
    const end = last >= this.#start ? last : this.#buffer.indexOf(newline, this.#start)
    return end - this.#start + 1
  }

  #compact(): void {
    this.#buffer.copyWithin(0, this.#start, this.#end)
    this.#end -= this.#start
    this.#start = 0
  }

  // The rest of a line that a full disk has truncated is kept: it completes the line when there is room again.
  #dropHeld(): void {
    const keepsRest = this.#startsWithinLine && this.#to.isFile
    const from = keepsRest ? this.#buffer.indexOf(newline, this.#start) + 1 : this.#start
    for (let at = from; at < this.#end; at++) if (this.#buffer[at] === newline) this.#lose(1)
    this.#end = from
    this.#startsWithinLine = keepsRest
    if (keepsRest) this.#cutAt = sizeOf(this.#to.fd)
  }

  // The file was emptied, or another process has written to it: the rest would be a line that makes no sense.
  #dropRestOfLine(): void {
    this.#start = this.#buffer.indexOf(newline, this.#start) + 1
    this.#startsWithinLine = false
    this.#lose(1)
  }
}

function sizeOf(fd: number): number {
  try {
    return fstatSync(fd).size
  } catch {
    return -1
  }
}

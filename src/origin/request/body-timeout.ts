// The timeout for a pause within a response body.
import { SpringhouseError } from '../../errors.ts'
import type { Sweepable, TimeoutSweep } from '../transport/timeout-sweep.ts'
import type { ResponseControl } from '../transport/transport.ts'

/**
 * Aborts a body that pauses for too long. While back-pressure pauses the body, the server cannot send, so the timeout does not apply.
 */
export class BodyTimeout implements Sweepable {
  deadline: number
  readonly #control: ResponseControl
  readonly #idleMs: number
  readonly #sweep: TimeoutSweep

  /** @param idleMs the longest pause */
  constructor(control: ResponseControl, idleMs: number, sweep: TimeoutSweep) {
    this.#control = control
    this.#idleMs = idleMs
    this.#sweep = sweep
    this.deadline = sweep.after(idleMs)
    sweep.join(this)
  }

  /** Restarts the timeout: bytes arrived, or the body was resumed. */
  refresh(): void {
    this.deadline = this.#sweep.after(this.#idleMs)
  }

  end(): void {
    this.#sweep.leave(this)
  }

  expired(): void {
    if (this.#control.paused) this.refresh()
    else this.#control.abort(new SpringhouseError('ORIGIN_TIMEOUT', { detail: 'the body' }))
  }
}

// The timeout for a pause within a response body.
import type { Dispatcher } from 'undici'
import { SpringhouseError } from '../../errors.ts'

/**
 * Aborts a body that pauses for too long. undici's own timer starts before the head, but only the head shows whether a body may
 * pause for any time. While back-pressure pauses the body, the server cannot send, so the timeout does not apply.
 */
export class BodyTimeout {
  readonly #controller: Dispatcher.DispatchController
  readonly #timer: NodeJS.Timeout

  /** @param idleMs the longest pause */
  constructor(controller: Dispatcher.DispatchController, idleMs: number) {
    this.#controller = controller
    this.#timer = setTimeout(lookAfter, idleMs, this)
  }

  /** Restarts the timeout: bytes arrived, or the body was resumed. */
  refresh(): void {
    this.#timer.refresh()
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  look(): void {
    if (this.#controller.paused) this.#timer.refresh()
    else this.#controller.abort(new SpringhouseError('ORIGIN_TIMEOUT', { detail: 'the body' }))
  }
}

// Shared by all timers. A closure would be created at every miss.
function lookAfter(watch: BodyTimeout): void {
  watch.look()
}

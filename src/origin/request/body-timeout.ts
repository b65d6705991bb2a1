// The silence within the body of an answer, and when it has lasted too long.
import type { Dispatcher } from 'undici'
import { SpringhouseError } from '../../errors.ts'
import { fieldValue, type FieldLines } from '../../http/fields.ts'

/**
 * Gives a body up that has been silent for too long. undici has such a timer too, but it is set before the head is told, and by
 * the head it is known that a body may be silent for as long as it likes. While nobody takes what has come, its sender may
 * not go on, and is not blamed.
 */
export class BodyTimeout {
  readonly #controller: Dispatcher.DispatchController
  readonly #timer: NodeJS.Timeout

  /** @param idleMs the longest silence */
  constructor(controller: Dispatcher.DispatchController, idleMs: number) {
    this.#controller = controller
    this.#timer = setTimeout(lookAfter, idleMs, this)
  }

  /** Something has come, or what had come is taken again. */
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

// One for all of them: a closure each would be made at every miss.
function lookAfter(watch: BodyTimeout): void {
  watch.look()
}

/** Whether these are the fields of a stream of events, which waits for as long as nothing happens. */
export function isEventStream(fields: FieldLines): boolean {
  return /^text\/event-stream\s*(;|$)/i.test(fieldValue(fields, 'content-type') ?? '')
}

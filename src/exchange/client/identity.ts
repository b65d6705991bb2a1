// The identity of one exchange, as the exchange uses it: what it does with the origin's response, and what the client receives.
import type { FieldLines } from '../../http/fields.ts'
import type { LogPosition } from '../../policy/stored.ts'

/** The circumstances of an origin's response. */
export interface ResponseAt {
  readonly status: number
  readonly fields: FieldLines
  /** The position of the invalidation that this response caused; undefined if it caused none, or that is not recorded. */
  readonly position: LogPosition | undefined
  /** True if the request can be sent to the origin again. */
  readonly repeatable: boolean
}

/** The identity of a request, for as long as its exchange lasts. */
export interface Identified {
  /** The outcome of identifying the request, from a closed set, for the log. */
  readonly outcome: string
  /** True if the response may be sent again after a conflict, so that the body of the request must be kept. */
  readonly mayRepeat: boolean
  /** True if a response with this status changes what the sender may be served, so that `position` is needed. */
  needsPosition(status: number): boolean
  /**
   * Acts on the head of a final response before any of it is stored or sent. Returns undefined if there is nothing to do. Resolves to
   * `again` if the request must be sent once more.
   * @throws SpringhouseError (rejects) in place of the response
   */
  onResponse(response: ResponseAt): Promise<'done' | 'again'> | undefined
  /** Calls `cut` when the session of an open stream ends. Returns a function that ends the watch; undefined: there is no session. */
  watchStream(cut: () => void): (() => void) | undefined
  /** Returns the fields that the client receives: credentials of its session, and no permission for caches in front to share. */
  clientFields(fields: string[]): string[]
}

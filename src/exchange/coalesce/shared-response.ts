// A response that is still arriving, and may serve more requests than the one that fetches it.
import type { Stored } from '../../store/store.ts'

/** A response that is still arriving, as the followers in this process read it. */
export interface SharedResponse extends Stored {
  /** The position of the first byte that can still be read before the end has come. */
  readonly availableFrom: number
  /** A follower cannot read it, perhaps in another process, and waits for its end: no reader is to hold it up. */
  await(): void
}

/** A response that followers may read, once there are any. */
export interface SharedSource {
  /** Returns undefined if it can no longer be read before its end. */
  open(): SharedResponse | undefined
}

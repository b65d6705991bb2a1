// Streams of bearer tokens: each is closed when its token ends.
import type { Clock } from '../clock.ts'

// Node's timers take no more.
const longestMs = 2_147_483_647

/**
 * Calls `cut` at a time of the wall clock. Returns a function that ends the watch.
 * @param endsMs milliseconds since the epoch
 */
export function cutAt(endsMs: number, clock: Clock, cut: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const wait = (): void => {
    const leftMs = endsMs - clock.now()
    if (leftMs <= 0) return cut()
    timer = setTimeout(wait, Math.min(leftMs, longestMs)).unref()
  }
  wait()
  return () => clearTimeout(timer)
}

// Triggers a minor garbage collection for the buffers of forwarded bodies, whose size V8 does not take into account.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How many forwarded bytes may be uncollected. */
const mostBytes = 16_777_216

/**
 * Collects the young generation. Each read from a socket allocates a buffer outside the heap. A streamed body makes little
 * garbage in the heap, so V8 (from Node 24 on; earlier versions checked more often) collects the buffers only at some 100 MB. All
 * of them are in the young generation, whose collection takes about a millisecond.
 */
const collectYoung: (() => void) | undefined = youngCollector()

function youngCollector(): (() => void) | undefined {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('typeof gc === "function" ? gc : undefined')
  setFlagsFromString('--no-expose-gc')
  return typeof collect === 'function' ? () => void collect({ type: 'minor' }) : undefined
}

let passedBytes = 0

/** Counts bytes of a body that are forwarded, and collects when there are many. */
export function noteStreamedBytes(bytes: number): void {
  passedBytes += bytes
  if (passedBytes < mostBytes) return
  passedBytes = 0
  collectYoung?.()
}

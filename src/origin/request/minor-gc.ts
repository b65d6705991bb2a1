// The buffers of bodies that have passed: the collector does not see how much they hold, and is told when it is much.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** So much may lie about before it is collected. */
const mostBytes = 16_777_216

/**
 * Each read from a socket is a buffer of its own, outside of the heap. A body that streams makes little garbage in the heap, so
 * V8 (from Node 24 on; before, it looked more often) collects them only when they are some 100 MB. A collection of the young
 * generation, in which they all are, takes about a millisecond.
 */
const collectYoung: (() => void) | undefined = youngCollector()

function youngCollector(): (() => void) | undefined {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('typeof gc === "function" ? gc : undefined')
  setFlagsFromString('--no-expose-gc')
  return typeof collect === 'function' ? () => void collect({ type: 'minor' }) : undefined
}

let passedBytes = 0

/** Tells of bytes of a body that go on to whoever is sent them. */
export function noteStreamedBytes(bytes: number): void {
  passedBytes += bytes
  if (passedBytes < mostBytes) return
  passedBytes = 0
  collectYoung?.()
}

// A log that a test can read.
import type { Log } from '../../src/store/redis/connect/log.ts'

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly details: object
}

export function memoryLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  return {
    lines,
    info: (details, message) => lines.push({ level: 'info', message, details }),
    warn: (details, message) => lines.push({ level: 'warn', message, details }),
    error: (details, message) => lines.push({ level: 'error', message, details }),
  }
}

const mostPauseMs = 25

/**
 * Waits for something to become so, for as long as the test may run: never for time to pass. `pauseMs` is the first pause between
 * checks: longer for a check that costs much and waits for something that takes its time.
 */
export async function eventually(holds: () => boolean | Promise<boolean>, pauseMs = 2): Promise<void> {
  for (let pause = pauseMs;; pause = Math.max(pauseMs, Math.min(pause * 1.5, mostPauseMs))) {
    const began = performance.now()
    if (await holds()) return
    // At growing intervals, and for longer than the check took: a check may be a round of requests to several processes.
    const took = performance.now() - began
    await new Promise((resolve) => setTimeout(resolve, Math.max(pause, 2 * took)))
  }
}

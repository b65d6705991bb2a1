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

/** Waits for something to become so, for as long as the test may run: never for time to pass. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  // At growing intervals: a check may cost a request to each of several processes.
  for (let pauseMs = 2; !await holds(); pauseMs = Math.min(pauseMs * 1.5, mostPauseMs)) await new Promise((resolve) => setTimeout(resolve, pauseMs))
}

// Stops and reloads a running proxy.
import type { App } from '../app.ts'
import { ConfigError, problemLine, type Problem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { safeMessage } from '../error-summary.ts'
import { FAILED } from './exit-codes.ts'
import { say } from './failure.ts'
import { notice } from './notices.ts'

export const stoppingLine = 'stopping after the requests in flight; a second signal stops at once'

// With the default grace, a stop takes less than 15 s.
const lateMs = 4000

/** Returns true unless a person stops the program at a terminal: no load balancer has to notice then. */
export function isDelayed(signal: 'SIGINT' | 'SIGTERM'): boolean {
  return signal !== 'SIGINT' || !process.stdin.isTTY
}

/**
 * Ends the process: with 0 once everything is closed, with 1 if that takes too long. `delayed`: load balancers get their time to
 * notice. `stopped` is called before the end, if all is closed.
 */
export async function stopApp(app: App, config: Config, delayed: boolean, stopped: () => void = () => {}): Promise<void> {
  const { shutdownDelayMs, shutdownGraceMs } = config.proxy
  // close() aborts the remaining connections after the grace. This timer handles a close that hangs.
  const late = setTimeout(() => {
    notice('error', 'did not stop in time')
    process.exit(FAILED)
  }, shutdownDelayMs + shutdownGraceMs + lateMs)
  try {
    await app.close({ delayed })
  } catch (error) {
    notice('error', `stopping: ${safeMessage(error)}`)
    process.exit(FAILED)
  }
  clearTimeout(late)
  stopped()
  process.exit(0)
}

/** Applies a new configuration while running. Returns the settings that wait for the next start. */
export type Apply = (config: Config) => Promise<readonly string[]>

/** The result of a reload. */
export type Reloaded = { readonly done: true; readonly waiting: readonly string[] } | { readonly done: false; readonly problems: readonly Problem[] }

/** Reloads the configuration, one reload after the other: at SIGHUP, on request of the admin API, or when its files change. */
export class Reloads {
  readonly #load: () => Config
  #apply: Apply | undefined
  #missed = false
  #last: Promise<unknown> = Promise.resolve()

  constructor(load: () => Config) {
    this.#load = load
    process.on('SIGHUP', () => this.later())
  }

  /** Applies configurations from now on. A reload during the start was deferred until now; without a listener the signal would end the process. */
  started(apply: Apply): void {
    this.#apply = apply
    if (this.#missed) this.later()
  }

  /** Reloads without a caller that waits. */
  later(): void {
    if (this.#apply === undefined) this.#missed = true
    else void this.now()
  }

  /** Loads the configuration again and applies it. A bad configuration is refused as a whole; the running one stays in force. */
  async now(): Promise<Reloaded> {
    const turn = this.#last.then(() => this.#reload())
    this.#last = turn
    return turn
  }

  async #reload(): Promise<Reloaded> {
    try {
      if (this.#apply === undefined) throw new Error('the proxy is starting')
      const waiting = await this.#apply(this.#load())
      say('configuration reloaded')
      return { done: true, waiting }
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems : [{ path: '', message: safeMessage(error) }]
      const lines = error instanceof ConfigError ? problems.map((problem) => `config: ${problemLine(problem)}`) : problems.map(problemLine)
      for (const line of lines) say(line)
      notice('error', 'the new configuration is refused; the running configuration stays in force', { problems: lines })
      return { done: false, problems }
    }
  }
}

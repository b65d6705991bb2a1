// Stops and reloads a running proxy.
import type { App } from '../app.ts'
import { ConfigError, problemLine } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { safeMessage } from '../error-summary.ts'
import { FAILED, say } from './failure.ts'
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

/** Applies a new configuration while running. */
export type Apply = (config: Config) => Promise<void> | void

/**
 * Reloads at each SIGHUP, one reload after the other. Returns a function to call once the start is done. A signal during the start
 * is deferred until then; without a listener it would end the process.
 */
export function reloadOnHangup(load: () => Config): (running: Apply) => void {
  let apply: Apply | undefined
  let missed = false
  let last: Promise<void> = Promise.resolve()
  process.on('SIGHUP', () => {
    if (apply === undefined) missed = true
    else last = reloadAfter(last, load, apply)
  })
  return (running) => {
    apply = running
    if (missed) last = reloadAfter(last, load, running)
  }
}

async function reloadAfter(last: Promise<void>, load: () => Config, apply: Apply): Promise<void> {
  await last
  await reload(load, apply)
}

/** Loads the configuration again and applies it. A bad configuration is refused as a whole; the running one stays in force. */
async function reload(load: () => Config, apply: Apply): Promise<void> {
  try {
    await apply(load())
    say('configuration reloaded')
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems.map((problem) => `config: ${problemLine(problem)}`) : [safeMessage(error)]
    for (const problem of problems) say(problem)
    notice('error', 'the new configuration is refused; the running configuration stays in force', { problems })
  }
}

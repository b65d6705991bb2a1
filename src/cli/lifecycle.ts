// How a running proxy stops and reloads.
import type { App } from '../app.ts'
import { ConfigError, problemLine } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { safeMessage } from '../error-summary.ts'
import { FAILED, say } from './failure.ts'

export const stoppingLine = 'stopping, once what is under way is done; a second signal stops at once'

// With the grace that there is unless told, less than 15 s for a stop.
const lateMs = 4000

/** Ends the process: with 0 once everything is closed, with 1 when that takes longer than it may. */
export async function stopApp(app: App, config: Config): Promise<void> {
  const { shutdownDelayMs, shutdownGraceMs } = config.proxy
  // close() cuts what is left when the grace is over. This is for the case that something still hangs then.
  const late = setTimeout(() => {
    say('did not stop in time')
    process.exit(FAILED)
  }, shutdownDelayMs + shutdownGraceMs + lateMs)
  try {
    await app.close()
  } catch (error) {
    say(`stopping: ${safeMessage(error)}`)
    process.exit(FAILED)
  }
  clearTimeout(late)
  process.exit(0)
}

/** Takes a new configuration while running. */
export type Apply = (config: Config) => Promise<void> | void

/**
 * Reloads at each SIGHUP, one after the other. Returns what is to be called once the start is done: a signal that comes
 * before that waits for it, where it would otherwise end the process.
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

/** Loads the configuration again and hands it on; one that is bad is refused whole, and what runs stays. */
async function reload(load: () => Config, apply: Apply): Promise<void> {
  try {
    await apply(load())
    say('the configuration is reloaded')
  } catch (error) {
    if (error instanceof ConfigError) for (const problem of error.problems) say(`config: ${problemLine(problem)}`)
    else say(safeMessage(error))
    say('the new configuration is refused; the running one stays')
  }
}

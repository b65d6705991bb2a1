// Runs the proxy, as one process or as several workers.
import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { startApp, type App } from '../app.ts'
import { systemClock } from '../clock.ts'
import { loadConfig, type Flags } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { createLogger } from '../log/logger.ts'
import { standardError } from '../log/outputs.ts'
import { watchFiles } from '../watched-files.ts'
import { announce } from './announce.ts'
import { configurationNotices } from './configuration-notices.ts'
import { consoleToLog } from './console.ts'
import { endOnUncaught } from './crash.ts'
import { FAILED } from './exit-codes.ts'
import { CommandFailure, startFailure } from './failure.ts'
import { isDelayed, Reloads, stopApp, stoppingLine } from './lifecycle.ts'
import { logNotices, notice } from './notices.ts'
import { runWorker } from './workers/worker.ts'
import { runWorkers } from './workers/primary.ts'

/** The flags of `serve`. */
export type ServeOptions = Flags & { readonly config?: string; readonly watch?: boolean }

/** Runs the proxy until a signal stops it. A worker runs until its primary stops it. */
export async function serve({ config: file, watch = false, ...flags }: ServeOptions): Promise<void> {
  // The primary sends a worker the configuration, which it has already checked.
  if (cluster.isWorker) return runWorker()
  let notices: readonly string[] = []
  let files: readonly string[] = []
  const told = new Set<string>()
  const tellNew = (): void => {
    for (const line of notices) if (!told.has(line)) notice('warn', line)
    for (const line of notices) told.add(line)
  }
  const load = withAdminToken(() => {
    const loaded = loadConfig({ file, env: process.env, flags })
    notices = configurationNotices(loaded, systemClock.now())
    ;({ files } = loaded)
    return loaded.config
  })
  const config = load()
  logNotices(createLogger(config.log))
  tellNew()
  const count = workerCount(config)
  const loadAgain = () => {
    const next = load()
    tellNew()
    if (workerCount(next) !== count) notice('warn', 'workers: a changed number takes effect at the next start')
    return next
  }
  // Signals are handled from the beginning: a signal during the start stops the proxy once it has started.
  const reloads = new Reloads(loadAgain)
  if (watch) watchFiles(() => files, () => reloads.later())
  if (count > 1) return runWorkers(count, config, reloads)
  return runAlone(config, reloads)
}

/** Returns the number of workers. `auto` is one per processor; without Redis it is one, because processes need a shared store. */
function workerCount({ workers, redis }: Config): number {
  if (workers !== 'auto') return workers
  return redis === undefined ? 1 : availableParallelism()
}

/** Wraps `load`: if there is no admin token, generates one, prints it once, and uses it at every reload. */
function withAdminToken(load: () => Config): () => Config {
  let made: string | undefined
  return () => {
    const config = load()
    // Happens only on loopback: elsewhere a configuration without a token is refused.
    if (config.admin.tokens.length > 0) return config
    if (made === undefined) {
      made = randomBytes(24).toString('base64url')
      standardError.write(`admin token (made for this run): ${made}\n`)
    }
    config.admin.tokens.push({ name: 'made', token: made, scopes: ['read', 'purge', 'sessions'] })
    return config
  }
}

async function runAlone(config: Config, reloads: Reloads): Promise<void> {
  let stopping = false
  let app: App | undefined
  const logger = createLogger(config.log)
  const watch = endOnUncaught(logger)
  consoleToLog(logger)
  logNotices(logger)
  const stopped = (): void => notice('info', 'stopped')
  const stop = async (signal: 'SIGINT' | 'SIGTERM') => {
    if (stopping) process.exit(FAILED) // the second signal: at once
    stopping = true
    watch.phase = 'stopping'
    notice('info', stoppingLine)
    if (app !== undefined) await stopApp(app, config, isDelayed(signal), stopped)
  }
  process.on('SIGTERM', (signal) => void stop(signal as 'SIGTERM'))
  process.on('SIGINT', (signal) => void stop(signal as 'SIGINT'))
  try {
    app = await startApp({ config, logger, reload: () => reloads.now() })
  } catch (error) {
    throw new CommandFailure(startFailure(error))
  }
  if (stopping) return stopApp(app, config, false, stopped)
  watch.phase = 'serving'
  announce(config, app)
  const running = app
  reloads.started(async (next) => {
    watch.phase = 'reloading'
    try {
      return await running.reload(next)
    } finally {
      watch.phase = stopping ? 'stopping' : 'serving'
    }
  })
}

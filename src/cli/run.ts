// Running the proxy: alone, or as several workers; from the first signal to the last.
import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { startApp, type App } from '../app.ts'
import { loadConfig, type Flags } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { createLogger } from '../log/logger.ts'
import { standardError } from '../log/outputs.ts'
import { announce } from './announce.ts'
import { consoleToLog } from './console.ts'
import { endOnUncaught } from './crash.ts'
import { CommandFailure, FAILED, say, startFailure } from './failure.ts'
import { reloadOnHangup, stopApp, stoppingLine } from './lifecycle.ts'
import { runWorker } from './workers/worker.ts'
import { runWorkers } from './workers/primary.ts'

/** Runs until it is told to stop; as a worker, as its primary says. */
export async function serve({ config: file, ...flags }: Flags & { config?: string }): Promise<void> {
  // A worker does as its primary says: it is sent the configuration that the primary has checked.
  if (cluster.isWorker) return runWorker()
  let notices: readonly string[] = []
  const load = withAdminToken(() => {
    const loaded = loadConfig({ file, env: process.env, flags })
    notices = loaded.notices
    return loaded.config
  })
  const config = load()
  if (notices.length > 0) {
    const logger = createLogger(config.log)
    for (const notice of notices) logger.warn(notice)
  }
  const count = workerCount(config)
  const loadAgain = () => {
    const next = load()
    if (workerCount(next) !== count) say('workers: a change of their number waits for the next start')
    return next
  }
  if (count > 1) return runWorkers(count, config, loadAgain)
  return runAlone(config, loadAgain)
}

/** `auto` is one per processor; without Redis it is one, as processes could not share what they keep. */
function workerCount({ workers, redis }: Config): number {
  if (workers !== 'auto') return workers
  return redis === undefined ? 1 : availableParallelism()
}

/** Loading that gives the admin API a token where there is none, the same at every reload, and says it once. */
function withAdminToken(load: () => Config): () => Config {
  let made: string | undefined
  return () => {
    const config = load()
    // Only on loopback: elsewhere a configuration without a token has been refused.
    if (config.admin.tokens.length > 0) return config
    if (made === undefined) {
      made = randomBytes(24).toString('base64url')
      standardError.write(`admin token (made for this run): ${made}\n`)
    }
    config.admin.tokens.push({ name: 'made', token: made, scopes: ['read', 'purge', 'sessions'] })
    return config
  }
}

async function runAlone(config: Config, load: () => Config): Promise<void> {
  // Signals count from the first moment: one that comes during the start stops what has then started.
  let stopping = false
  let app: App | undefined
  const logger = createLogger(config.log)
  const watch = endOnUncaught(logger)
  consoleToLog(logger)
  const started = reloadOnHangup(load)
  const stop = async () => {
    if (stopping) process.exit(FAILED) // the second signal: at once
    stopping = true
    watch.phase = 'stopping'
    say(stoppingLine)
    if (app !== undefined) await stopApp(app, config)
  }
  process.on('SIGTERM', () => void stop())
  process.on('SIGINT', () => void stop())
  try {
    app = await startApp({ config, logger })
  } catch (error) {
    throw new CommandFailure(startFailure(error))
  }
  if (stopping) return stopApp(app, config)
  watch.phase = 'serving'
  announce(config, app)
  const running = app
  started(async (next) => {
    watch.phase = 'reloading'
    try {
      await running.reload(next)
    } finally {
      watch.phase = stopping ? 'stopping' : 'serving'
    }
  })
}

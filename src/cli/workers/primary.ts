// The primary: starts the workers behind the two listeners, replaces crashed workers, and passes signals on.
//
// node:cluster gives each connection to one worker, on the admin listener too. So any worker may serve the admin API: all workers
// read the purge log, stored responses are in Redis, and statistics are collected from all workers (aggregate.ts).
import cluster, { type Worker } from 'node:cluster'
import { systemClock } from '../../clock.ts'
import type { Config } from '../../config/schema.ts'
import { createLogger } from '../../log/logger.ts'
import { announce } from '../announce.ts'
import { consoleToLog } from '../console.ts'
import { endOnUncaught } from '../crash.ts'
import { PrimarySide } from './aggregate.ts'
import { FAILED } from '../exit-codes.ts'
import { CommandFailure } from '../failure.ts'
import { handOver } from './orphaned-connections.ts'
import { isDelayed, stoppingLine, type Reloads } from '../lifecycle.ts'
import { logNotices, notice } from '../notices.ts'
import { ReloadReplies } from './reload-replies.ts'
import type { FromWorker, ToWorker } from './worker.ts'

// A worker that keeps crashing is restarted with growing delays; a worker that has lasted is restarted at once.
const firstDelayMs = 100
const longestDelayMs = 30_000
const lastedMs = 60_000

const crew = new PrimarySide(send)

interface Ready {
  readonly pid: number
  readonly proxyUrl: string
  readonly adminUrl: string
  readonly redirectUrl: string | undefined
  readonly redisReached: boolean | undefined
}

/** Resolves when all workers serve. @throws CommandFailure if a worker cannot start. */
export async function runWorkers(count: number, first: Config, reloads: Reloads): Promise<void> {
  let config = first
  // Its end is that of all workers.
  const logger = createLogger(first.log)
  const watch = endOnUncaught(logger)
  consoleToLog(logger)
  logNotices(logger)
  let serving = false
  let stopping = false
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) {
      for (const worker of workers()) worker.process.kill('SIGKILL')
      process.exit(FAILED)
    }
    stopping = true
    watch.phase = 'stopping'
    notice('info', stoppingLine)
    for (const worker of workers()) send(worker, { type: 'stop', delayed: isDelayed(signal as 'SIGINT' | 'SIGTERM') })
    // Each worker has its own deadline. This timer handles a worker that does not react.
    setTimeout(() => {
      for (const worker of workers()) worker.process.kill('SIGKILL')
      notice('error', 'did not stop in time')
      process.exit(FAILED)
    }, config.proxy.shutdownDelayMs + config.proxy.shutdownGraceMs + 4500)
    endWhenAlone()
  }
  const endWhenAlone = () => {
    if (!stopping || workers().length > 0) return
    notice('info', 'stopped')
    process.exit(0)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  // Both events are needed: after the later one, the worker is no longer in the list.
  cluster.on('exit', endWhenAlone)
  cluster.on('disconnect', endWhenAlone)

  const replies = new ReloadReplies()
  cluster.on('message', (worker: Worker, message: FromWorker) => {
    if (message.type === 'reload') void reloads.now().then((result) => send(worker, { type: 'reload-result', id: message.id, result }))
    else if (message.type === 'reloaded') replies.take(worker, message)
  })
  let ready: Ready[]
  try {
    ready = await Promise.all(Array.from({ length: count }, () => startWorker(config, keep)))
  } catch (error) {
    if (stopping) return // a stop during the start: endWhenAlone ends the process
    for (const worker of workers()) worker.process.kill('SIGKILL')
    throw error
  }
  if (stopping) return
  serving = true
  watch.phase = 'serving'
  announce(config, ready[0] as Ready, ready.map(({ pid }) => pid))
  reloads.started((next) => {
    config = next
    return replies.of(workers(), (worker, id) => send(worker, { type: 'reload', config, id }))
  })
  // Replaces workers that crashed while others were still starting.
  for (let missing = count - workers().length; missing > 0; missing--) void replace(firstDelayMs)

  /** Replaces a worker after `delayMs` if it ends unexpectedly. */
  function keep(worker: Worker, delayMs: number): void {
    const startedMs = systemClock.monotonic()
    worker.once('exit', (code, signal) => {
      if (stopping || !serving) return // runWorkers reports a failed start
      const wait = systemClock.monotonic() - startedMs > lastedMs ? firstDelayMs : delayMs
      const { pid } = worker.process
      notice('error', `worker ${pid} ended (${signal ?? `code ${code}`}); another worker starts in ${wait}ms`, { worker: pid, code, signal, waitMs: wait })
      setTimeout(() => void replace(Math.min(wait * 2, longestDelayMs)), wait)
    })
  }

  async function replace(nextDelayMs: number): Promise<void> {
    if (stopping) return
    try {
      const { pid } = await startWorker(config, (worker) => keep(worker, nextDelayMs))
      notice('info', `worker ${pid} serves in its place`, { worker: pid })
    } catch (error) {
      // `keep` starts the next worker. Only the reason is reported here.
      if (!stopping) notice('error', (error as CommandFailure).message)
    }
  }
}

function workers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
}

/** Forks a worker and waits until it serves. Calls `born` right after the fork. */
async function startWorker(config: Config, born: (worker: Worker, delayMs: number) => void): Promise<Ready> {
  const worker = cluster.fork()
  handOver(worker)
  worker.once('exit', () => crew.left(worker))
  // Safe to ignore: a message could not be sent to a worker that has just died. Its exit event is handled.
  worker.on('error', () => {})
  born(worker, firstDelayMs)
  return new Promise((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'listening') send(worker, { type: 'start', config })
      else if (message.type === 'ready') {
        crew.joined(worker)
        resolve({ pid: worker.process.pid ?? 0, proxyUrl: message.proxyUrl, adminUrl: message.adminUrl, redirectUrl: message.redirectUrl, redisReached: message.redisReached })
      } else if (message.type === 'failed') reject(new CommandFailure(message.line))
      else if (message.type === 'gather' || message.type === 'told') crew.take(worker, message)
    })
    worker.once('exit', () => reject(new CommandFailure('a worker ended before it was ready')))
  })
}

function send(worker: Worker, message: ToWorker): void {
  // Safe to ignore: a closed channel belongs to a worker that is ending. Its exit event is handled.
  if (worker.isConnected()) worker.send(message, () => {})
}

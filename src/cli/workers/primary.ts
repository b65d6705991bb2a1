// Several processes behind one pair of listeners: the primary starts them, replaces those that crash, and passes signals on.
//
// node:cluster hands each connection to one of them, on the admin listener too. So any worker may answer the admin API:
// a purge goes through the log that all of them read, what is stored is in Redis, and numbers are gathered from all (aggregate.ts).
import cluster, { type Worker } from 'node:cluster'
import { systemClock } from '../../clock.ts'
import type { Config } from '../../config/schema.ts'
import { createLogger } from '../../log/logger.ts'
import { announce } from '../announce.ts'
import { consoleToLog } from '../console.ts'
import { endOnUncaught } from '../crash.ts'
import { PrimarySide } from './aggregate.ts'
import { CommandFailure, FAILED, say } from '../failure.ts'
import { handOver } from './orphaned-connections.ts'
import { reloadOnHangup, stoppingLine } from '../lifecycle.ts'
import type { FromWorker, ToWorker } from './worker.ts'

// A worker that crashes again and again is started less and less often; one that has lasted is started at once.
const firstDelayMs = 100
const longestDelayMs = 30_000
const lastedMs = 60_000

const crew = new PrimarySide(send)

interface Ready {
  readonly pid: number
  readonly proxyUrl: string
  readonly adminUrl: string
}

/** Resolves when all workers serve. @throws CommandFailure when one of them cannot start. */
export async function runWorkers(count: number, first: Config, load: () => Config): Promise<void> {
  let config = first
  // Its end is that of all workers.
  const logger = createLogger(first.log)
  const watch = endOnUncaught(logger)
  consoleToLog(logger)
  let serving = false
  let stopping = false
  const stop = () => {
    if (stopping) {
      for (const worker of workers()) worker.process.kill('SIGKILL')
      process.exit(FAILED)
    }
    stopping = true
    watch.phase = 'stopping'
    say(stoppingLine)
    for (const worker of workers()) send(worker, { type: 'stop' })
    // Each worker has its own bound; this is for one that does not even hear.
    setTimeout(() => {
      for (const worker of workers()) worker.process.kill('SIGKILL')
      say('did not stop in time')
      process.exit(FAILED)
    }, config.proxy.shutdownDelayMs + config.proxy.shutdownGraceMs + 4500)
    endWhenAlone()
  }
  const endWhenAlone = () => {
    if (stopping && workers().length === 0) process.exit(0)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  // Whichever of the two comes last for a worker finds it gone from the list.
  cluster.on('exit', endWhenAlone)
  cluster.on('disconnect', endWhenAlone)

  const started = reloadOnHangup(load)
  let ready: Ready[]
  try {
    ready = await Promise.all(Array.from({ length: count }, () => startWorker(config, keep)))
  } catch (error) {
    if (stopping) return // told to stop during the start: endWhenAlone sees to it
    for (const worker of workers()) worker.process.kill('SIGKILL')
    throw error
  }
  if (stopping) return
  serving = true
  watch.phase = 'serving'
  announce(config, ready[0] as Ready, ready.map(({ pid }) => pid))
  started((next) => {
    config = next
    for (const worker of workers()) send(worker, { type: 'reload', config })
  })
  // Those that served already and crashed while the others were starting.
  for (let missing = count - workers().length; missing > 0; missing--) void replace(firstDelayMs)

  /** Replaces a worker when it ends unasked. `delayMs` is how long to wait before that. */
  function keep(worker: Worker, delayMs: number): void {
    const startedMs = systemClock.monotonic()
    worker.once('exit', (code, signal) => {
      if (stopping || !serving) return // a start that fails is told once, by runWorkers
      const wait = systemClock.monotonic() - startedMs > lastedMs ? firstDelayMs : delayMs
      say(`worker ${worker.process.pid} ended (${signal ?? `code ${code}`}); another one starts in ${wait}ms`)
      setTimeout(() => void replace(Math.min(wait * 2, longestDelayMs)), wait)
    })
  }

  async function replace(nextDelayMs: number): Promise<void> {
    if (stopping) return
    try {
      const { pid } = await startWorker(config, (worker) => keep(worker, nextDelayMs))
      say(`worker ${pid} serves in its place`)
    } catch (error) {
      // It ended, so `keep` is on to the next one. Why it did is all that is left to say.
      if (!stopping) say((error as CommandFailure).message)
    }
  }
}

function workers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
}

/** Forks a worker and waits until it serves. `born` is told of it first. */
async function startWorker(config: Config, born: (worker: Worker, delayMs: number) => void): Promise<Ready> {
  const worker = cluster.fork()
  handOver(worker)
  worker.once('exit', () => crew.left(worker))
  // Safe to ignore: what cannot be sent to a worker that has just died; its exit is what counts.
  worker.on('error', () => {})
  born(worker, firstDelayMs)
  return new Promise((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'listening') send(worker, { type: 'start', config })
      else if (message.type === 'ready') {
        crew.joined(worker)
        resolve({ pid: worker.process.pid ?? 0, proxyUrl: message.proxyUrl, adminUrl: message.adminUrl })
      } else if (message.type === 'failed') reject(new CommandFailure(message.line))
      else crew.take(worker, message)
    })
    worker.once('exit', () => reject(new CommandFailure('a worker ended before it was ready')))
  })
}

function send(worker: Worker, message: ToWorker): void {
  // Safe to ignore: a channel that is closed belongs to a worker that is ending, and its exit is what counts.
  if (worker.isConnected()) worker.send(message, () => {})
}

// A worker process: starts, reloads and stops on messages from the primary.
import { startApp, type App } from '../../app.ts'
import type { Config } from '../../config/schema.ts'
import { safeMessage } from '../../error-summary.ts'
import { unreachable } from '../../errors.ts'
import { createLogger } from '../../log/logger.ts'
import { consoleToLog } from '../console.ts'
import { endOnUncaught, type ProcessState } from '../crash.ts'
import { WorkerSide, type FromMember, type ToMember } from './aggregate.ts'
import { FAILED } from '../exit-codes.ts'
import { startFailure } from '../failure.ts'
import { stopApp, type Reloaded } from '../lifecycle.ts'
import { logNotices } from '../notices.ts'
import type { ReloadReply } from './reload-replies.ts'

/** A message from the primary to a worker. The primary has checked the configuration. */
export type ToWorker =
  | { readonly type: 'start'; readonly config: Config }
  | { readonly type: 'reload'; readonly config: Config; readonly id: number }
  | { readonly type: 'reload-result'; readonly id: number; readonly result: Reloaded }
  | { readonly type: 'stop'; readonly delayed: boolean }
  | ToMember

/** A message from a worker to the primary. */
export type FromWorker =
  | { readonly type: 'listening' }
  | { readonly type: 'ready'; readonly proxyUrl: string; readonly adminUrl: string; readonly redirectUrl: string | undefined; readonly redisReached: boolean | undefined }
  | { readonly type: 'failed'; readonly line: string }
  /** The admin API of the worker received a request to reload. */
  | { readonly type: 'reload'; readonly id: number }
  | ReloadReply
  | FromMember

/** Runs a worker until the primary stops it. If the primary ends, node:cluster ends the worker at once. */
export async function runWorker(): Promise<void> {
  let app: App | undefined
  let config: Config | undefined
  let watch: ProcessState | undefined
  let stopping = false
  const asked = new Map<number, (result: Reloaded) => void>()
  let last = 0
  const reload = () =>
    new Promise<Reloaded>((resolve) => {
      asked.set(++last, resolve)
      tell({ type: 'reload', id: last })
    })
  const crew = new WorkerSide((message) => tell(message))
  const stop = (delayed: boolean) => {
    if (stopping) return
    stopping = true
    if (watch !== undefined) watch.phase = 'stopping'
    if (app === undefined || config === undefined) process.exit(0)
    void stopApp(app, config, delayed)
  }
  // Ctrl-C and SIGHUP reach the whole process group. The worker ignores them, because the primary gets them too and decides.
  process.on('SIGINT', () => {})
  process.on('SIGHUP', () => {})
  process.on('SIGTERM', () => stop(true))
  process.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'stop':
        return stop(message.delayed)
      case 'start':
      case 'reload':
        return void take(message)
      case 'reload-result':
        asked.get(message.id)?.(message.result)
        asked.delete(message.id)
        return
      case 'tell':
      case 'gathered':
        return void crew.take(message)
      default:
        return unreachable(message)
    }
  })

  // Reports to the primary that messages are received: messages sent before the listener could be lost.
  tell({ type: 'listening' })

  async function take(message: ToWorker & { type: 'start' | 'reload' }): Promise<void> {
    ;({ config } = message)
    try {
      if (message.type === 'reload') tell({ type: 'reloaded', id: message.id, waiting: await app?.reload(config) ?? [] })
      else {
        const logger = createLogger(config.log)
        watch = endOnUncaught(logger)
        consoleToLog(logger)
        logNotices(logger)
        app = await startApp({ config, logger, crew, reload })
        watch.phase = 'serving'
        tell({ type: 'ready', proxyUrl: app.proxyUrl, adminUrl: app.adminUrl, redirectUrl: app.redirectUrl, redisReached: app.redisReached })
      }
    } catch (error) {
      const line = `worker ${process.pid}: ${safeMessage(error)}`
      if (message.type === 'reload') tell({ type: 'reloaded', id: message.id, waiting: [], failure: line })
      else tell({ type: 'failed', line: startFailure(error) }, () => process.exit(FAILED))
    }
  }
}

// Safe to ignore: a closed channel belongs to a primary that has ended, and node:cluster then ends this process.
function tell(message: FromWorker, then: () => void = () => {}): void {
  process.send?.(message, undefined, undefined, then)
}

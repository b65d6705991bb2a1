// A process that serves one configuration after another, as its parent's messages say: the parts of `serve` around each, for tests
// of so many configurations that a start of the program for each would cost most of the test. tools/packages.mjs bundles it.
import type { Logger } from 'pino'
import { startApp, type App } from '../../src/app.ts'
import { consoleToLog } from '../../src/cli/console.ts'
import { endOnUncaught } from '../../src/cli/crash.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createLogger } from '../../src/log/logger.ts'
import { lastLine, type Reported, type Requested } from './hosting.ts'

let logger: Logger | undefined
let app: App | undefined

function report(reported: Reported): void {
  process.send?.(reported)
}

async function start(file: string): Promise<void> {
  const { config } = loadConfig({ file, env: {} })
  if (logger === undefined) {
    logger = createLogger(config.log)
    endOnUncaught(logger)
    consoleToLog(logger)
  }
  app = await startApp({ config, logger })
  report({ proxyUrl: app.proxyUrl, adminUrl: app.adminUrl })
}

async function stop(): Promise<void> {
  await app?.close()
  logger?.info(lastLine)
  report({ stopped: true })
}

process.on('message', (requested: Requested) => void ('start' in requested ? start(requested.start) : stop()))
process.on('SIGTERM', () => process.exit(0))

// PLACEHOLDER for the composition root: two listeners that answer nothing of use, so that the command can be built and tested.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import type { Config } from './config/schema.ts'

export interface App {
  readonly proxyUrl: string
  readonly adminUrl: string
  close(): Promise<void>
  reload(config: Config): Promise<void>
}

export async function startApp(options: { config: Config; clock?: Clock; logger?: Logger }): Promise<App> {
  const { proxy, admin } = options.config
  const listeners: Server[] = []
  const listen = (host: string, port: number) => new Promise<string>((resolve, reject) => {
    const server = createServer((_, answer) => answer.end('{}'))
    listeners.push(server)
    server.once('error', reject).listen(port, host, () => resolve(`http://${host}:${(server.address() as AddressInfo).port}`))
  })
  return {
    proxyUrl: await listen(proxy.host, proxy.port),
    adminUrl: await listen(admin.host, admin.port),
    close: async () => {
      await Promise.all(listeners.map((server) => new Promise((resolve) => {
        server.close(resolve)
        setTimeout(() => server.closeAllConnections(), proxy.shutdownGraceMs).unref()
      })))
    },
    reload: async () => {},
  }
}

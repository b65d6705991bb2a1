// A worker that stops listening with a connection on its way to it, and lives on. A program of its own: node:cluster forks it.
import cluster from 'node:cluster'
import { createServer, type AddressInfo } from 'node:net'
import { handOver } from '../../src/cli/workers/orphaned-connections.ts'

if (cluster.isPrimary) {
  const worker = cluster.fork()
  handOver(worker)
  const { process: child } = worker
  const send = child.send.bind(child) as (...message: unknown[]) => boolean
  Object.defineProperty(child, 'send', {
    value: (...message: unknown[]): boolean => {
      if ((message[0] as { act?: unknown }).act === 'newconn') process.stderr.write('given\n')
      return send(...message)
    },
  })
  worker.on('message', (said: string) => process.stderr.write(`worker ${child.pid} ${said}\n`))
  process.on('SIGTERM', () => {
    worker.send('stop', () => process.stderr.write('told\n'))
  })
} else {
  const server = createServer()
  server.listen(0, '127.0.0.1', () => process.send?.(`listens on ${(server.address() as AddressInfo).port}`))
  process.on('message', () => server.close(() => process.send?.('has closed')))
}

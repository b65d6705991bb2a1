// One demo server as a process: node dist/cli/demo/backend.js --port 3000 --name a
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { systemClock } from '../../clock.ts'
import { demoApi } from './api.ts'

/** What a server that was started with an IPC channel tells its parent once it listens. */
export interface Listening {
  readonly port: number
}

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '3000' },
    host: { type: 'string', default: '127.0.0.1' },
    name: { type: 'string', default: hostname() },
  },
})

const server = createServer(demoApi({ name: values.name, clock: systemClock }))
// Longer than a proxy in front keeps its idle connections: whoever closes first must not be the one who cannot tell
// that a request is on its way.
server.keepAliveTimeout = 75_000

function stop(): void {
  process.exit(0)
}

process.once('SIGTERM', stop)
// A parent that is gone, even by SIGKILL, closes the channel: no demo server outlives its demo. One that was started
// by hand has no channel.
process.once('disconnect', stop)
// A terminal's Ctrl-C goes to the whole group; a child leaves it to its parent to end things in order.
process.on('SIGINT', () => {
  if (!process.connected) stop()
})

server.listen({ port: Number(values.port), host: values.host }, () => {
  const { port } = server.address() as AddressInfo
  if (process.send === undefined) console.log(`demo server ${values.name} listens on http://${values.host}:${port}`)
  else process.send({ port } satisfies Listening)
})

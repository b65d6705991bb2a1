// A demo server as a process: node dist/cli/demo/backend.js --port 3000 --name a --keys http://proxy:8080/.well-known/springhouse/jwks.json
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { systemClock } from '../../clock.ts'
import { demoApi } from './api.ts'
import { sessionReader } from './session-field.ts'

/** The message by which the parent says where the proxy publishes its keys. A server replies with the same. */
export interface KeysAt {
  readonly keysUrl: string
}

/** The message that a server with an IPC channel sends to its parent once it listens. */
export interface Listening {
  readonly port: number
}

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '3000' },
    host: { type: 'string', default: '127.0.0.1' },
    name: { type: 'string', default: hostname() },
    // Where the proxy publishes its keys, and the name of this origin there. Without keys no session is accepted.
    keys: { type: 'string' },
    audience: { type: 'string', default: 'default' },
  },
})

let keysUrl = values.keys
process.on('message', (message: KeysAt) => {
  ;({ keysUrl } = message)
  process.send?.(message)
})
const readSession = sessionReader({ keysUrl: () => keysUrl, audience: values.audience, clock: systemClock })
const server = createServer(demoApi({ name: values.name, clock: systemClock, readSession }))
// Longer than a proxy in front keeps idle connections. If the server closed first, it could close a connection just as a request
// arrives.
server.keepAliveTimeout = 75_000

function stop(): void {
  process.exit(0)
}

process.once('SIGTERM', stop)
// If the parent ends, even by SIGKILL, the channel closes, so that no demo server outlives its demo. A server that was started by
// hand has no channel.
process.once('disconnect', stop)
// A terminal sends Ctrl-C to the whole process group. A child ignores it, because its parent stops it in order.
process.on('SIGINT', () => {
  if (!process.connected) stop()
})

server.listen({ port: Number(values.port), host: values.host }, () => {
  const { port } = server.address() as AddressInfo
  if (process.send === undefined) console.log(`demo server ${values.name} listens on http://${values.host}:${port}`)
  else process.send({ port } satisfies Listening)
})

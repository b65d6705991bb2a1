// Replies that belong to no command: they cost the connection, and never the process.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { RedisServers } from '../../src/store/redis/connect/client.ts'
import { connectRedis } from '../../src/store/redis/connect/connections.ts'
import { endWithUs } from '../support/children.ts'
import { listen, oddReplies } from '../support/impostors.ts'
import { eventually, memoryLog } from '../support/log.ts'
import { startRedis } from '../support/redis.ts'

t.setTimeout(360_000)

const ways: Record<string, (node: string) => RedisServers> = {
  'a server': (node) => ({ url: `redis://${node}/3`, password: 'p' }),
  'a Sentinel': (node) => ({ sentinel: { master: 'm', nodes: [node] } }),
  'a node of a cluster': (node) => ({ cluster: [node] }),
}

// The guards: `reader.dispatch`, and the reply transformers of INFO and CLUSTER, in contained.ts. An exception in a callback
// of ioredis is an uncaught exception, for which tap fails the running test.
for (const [who, servers] of Object.entries(ways))
  for (const text of oddReplies) {
    t.test(`${JSON.stringify(text)}, again and again, of ${who}`, async (test) => {
      let connections = 0
      const port = await listen(test, (socket) => {
        connections++
        // In place of the first reply, and behind the replies to a whole handshake.
        if (connections % 2 === 0) socket.on('data', () => socket.write(text.repeat(3)))
        else socket.on('data', (bytes) =>
            socket.write(bytes.toString('latin1').replaceAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g, () =>
              '+OK\r\n').match(/\+OK\r\n/g)?.slice(0, -1).join('') + text.repeat(2)))
      })
      const redis = connectRedis({ ...servers(`127.0.0.1:${port}`), commandTimeoutMs: 50, connectTimeoutMs: 100, clock: systemClock, logger: memoryLog() })
      test.teardown(() => redis.close())
      const dedicated = redis.dedicated()
      dedicated.on('ready', () => {
        dedicated.subscribe('channel').catch(() => {})
      })
      await eventually(async () => {
        await Promise.allSettled([redis.small.call('HVALS', ['k'], 20), redis.bodies.call('GET', ['k'], 20)])
        return connections > 4 || redis.small.client instanceof Redis && redis.small.client.status === 'ready'
      })
      test.pass('the process goes on')
    })
  }

t.test('an exception of our own listener is not taken for one of the reader', async (test) => {
  const port = await listen(test,
    (socket) => socket.on('data', () => socket.write('+OK\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n')))
  const contained = new URL('../../src/store/redis/connect/contained.js', import.meta.url).href
  const ioredis = import.meta.resolve('ioredis')
  const child = spawn(process.execPath, ['--input-type=module', '-e', `
    const { contain } = await import(${JSON.stringify(contained)})
    const { Redis } = (await import(${JSON.stringify(ioredis)})).default
    const client = new Redis(${port}, '127.0.0.1', { enableReadyCheck: false, disableClientInfo: true })
    contain(client)
    client.on('messageBuffer', () => { throw new Error('of a listener') })
    process.on('uncaughtException', ({ message }) => { process.stdout.write(message, () => process.exit(7)) })
  `], { stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env['PATH'] } })
  endWithUs(child)
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const [code] = await once(child, 'close') as [number]
  test.equal(said, 'of a listener')
  test.equal(code, 7)
})

// The guards: the listener for 'end' in `contain`, and the reply transformer of INFO.
t.test('a Sentinel that names an invalid address, and then a server that is not Redis, is queried again', async (test) => {
  const real = await startRedis()
  test.teardown(() => real.stop())
  let asked = 0
  const address = (port: number): string => `*2\r\n$9\r\n127.0.0.1\r\n$${String(port).length}\r\n${port}\r\n`
  const port = await listen(test, (socket) => {
    socket.on('data', (bytes) => {
      for (const [, command = '', word = ''] of bytes.toString('latin1').matchAll(/\*\d+\r\n\$\d+\r\n([a-z]+)(?:\r\n\$\d+\r\n([\w-]+))?/gi)) {
        // The same address is the Sentinel, and the server that it names the second time, whose reply to INFO is invalid.
        if (command === 'sentinel' && word === 'get-master-addr-by-name') socket.write(address([99_999_999, port, real.port][Math.min(2, Math.floor(asked++ / 3))] as number))
        else socket.write(command === 'info' ? '_\r\n' : command === 'sentinel' ? '*0\r\n' : '+OK\r\n')
      }
    })
  })
  const redis = connectRedis({ sentinel: { master: 'm', nodes: [`127.0.0.1:${port}`] }, commandTimeoutMs: 500, connectTimeoutMs: 500, clock: systemClock, logger: memoryLog() })
  test.teardown(() => redis.close())
  await eventually(() => redis.small.healthy === true && redis.bodies.healthy === true)
  test.equal(String(await redis.small.call('PING', [])), 'PONG')
  test.ok(asked > 6)
})

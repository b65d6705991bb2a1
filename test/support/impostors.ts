// Listeners in the place of a Redis that are none, and a Redis whose replies are garbled: for tests of clients.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { testCertificate, testKey } from './certificate.ts'
import { marks, server, type RedisError } from './redis-errors.ts'

const { password } = marks

/** A listener that is no Redis: `serve` handles each connection. */
function impostor(name: string, serve: (socket: Socket) => void, more: Pick<RedisError, 'refuses'> & { way?: 'single' | 'sentinel' | 'cluster' } = {}): RedisError {
  const { way = 'single', ...rest } = more
  return {
    name: way === 'single' ? name : `${name}, as one of a ${way}`,
    ...rest,
    start: async (t) => {
      const port = await listen(t, serve)
      const node = `127.0.0.1:${port}`
      if (way === 'cluster') return { redis: { cluster: [node], password } }
      if (way === 'sentinel') return { redis: { sentinel: { master: 'cache', nodes: [node], password: marks.sentinel }, password } }
      return { redis: { url: `redis://:${password}@${node}` } }
    },
  }
}

/** Listens on a free port of 127.0.0.1, and returns the port. Closed with the test. */
export async function listen(t: Test, serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    serve(socket)
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  return (listener.address() as AddressInfo).port
}

/** A Redis with a part of its replies replaced: `replace` receives each reply behind the handshake. */
function garbled(name: string, replace: (reply: Buffer) => Buffer | string): RedisError {
  return {
    name,
    start: async (t) => {
      const redis = await server(t)
      let begun = false
      const port = await listen(t, (near) => {
        const far = connect(redis.port, redis.host)
        far.on('error', () => near.destroy())
        near.on('close', () => far.destroy())
        far.on('close', () => near.destroy())
        near.on('data', (bytes) => far.write(bytes))
        far.on('data', (bytes: Buffer) => near.write(begun ? replace(bytes) : bytes))
      })
      return { redis: { url: `redis://:${password}@127.0.0.1:${port}` }, begin: async () => {
        begun = true
      } }
    },
  }
}

/** The reply of a server that repeats its input. */
const repeats = (bytes: Buffer): string => `-ERR cannot do ${bytes.toString('latin1').replaceAll('\r\n', ' ')}\r\n`

const echo = (socket: Socket): void => {
  socket.on('data', (bytes) => socket.write(bytes))
}

const web = (socket: Socket): void => {
  socket.on('data', (bytes) => socket.write(`HTTP/1.1 400 Bad Request\r\nContent-Length: ${bytes.length}\r\n\r\n${bytes.toString('latin1')}`))
}

const repeat = (socket: Socket): void => {
  socket.on('data', (bytes) => socket.write(repeats(bytes)))
}

const secure = (socket: Socket): void => {
  new TLSSocket(socket, { isServer: true, cert: testCertificate, key: testKey }).on('error', () => socket.destroy()).resume()
}

// ioredis writes a refusal of INFO on the console, and goes on.
const repeatToInfo = (socket: Socket): void => {
  let all = ''
  socket.on('data', (bytes) => {
    const text = bytes.toString('latin1')
    all += text.replaceAll('\r\n', ' ')
    for (const [, command] of text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) socket.write(command === 'info' ? `-NOPERM ${all}\r\n` : '+OK\r\n')
  })
}

const cut = (socket: Socket): void => {
  socket.end()
}

export const impostors: readonly RedisError[] = [
  impostor('an echo', echo),
  impostor('errors that repeat what was sent', repeat, { refuses: /ERR/ }),
  impostor('errors of several lines that repeat what was sent', (socket) => {
    socket.on('data', (bytes) => {
      const text = `ERR cannot do\n    at ${bytes.toString('latin1')} (node:internal:1:1)`
      socket.write(`!${Buffer.byteLength(text)}\r\n${text}\r\n`)
    })
  }),
  impostor('a refusal of INFO that repeats what was sent', repeatToInfo),
  impostor('a web server', web, { refuses: /not Redis/ }),
  impostor('one that closes at once', (socket) => {
    socket.end()
  }),
  impostor('one that says nothing', () => {}),
  impostor('a port that speaks TLS', secure),
  impostor('a port that speaks TLS', secure, { way: 'sentinel' }),
  impostor('a port that speaks TLS', secure, { way: 'cluster' }),
  garbled('replies that are replaced by nonsense', (reply) => reply.toString('latin1').replaceAll(/[$+:*]/g, '?')),
  garbled('replies that are replaced by unsolicited ones', () => `$${marks.body.length}\r\n${marks.body}\r\n$-1\r\n_\r\n*-1\r\n`),
  garbled('replies that are replaced by errors', () => `-${marks.token} ${marks.body}\r\n`),
  // RESP3: pushes that say too little, or are none.
  garbled('pushes that are truncated',
    (reply) => Buffer.concat([Buffer.from('>1\r\n_\r\n>1\r\n$9\r\nsubscribe\r\n>1\r\n$7\r\nmessage\r\n>0\r\n>2\r\n$7\r\nmessage\r\n_\r\n'), reply])),
  impostor('an echo', echo, { way: 'sentinel' }),
  impostor('errors that repeat what was sent', repeat, { way: 'sentinel' }),
  impostor('one that closes at once', cut, { way: 'sentinel' }),
  impostor('an echo', echo, { way: 'cluster' }),
  impostor('errors that repeat what was sent', repeat, { way: 'cluster', refuses: /ERR/ }),
  impostor('a web server', web, { way: 'cluster' }),
  impostor('one that closes at once', cut, { way: 'cluster' }),
]

/** Replies in the form of Redis that fit no command. */
export const oddReplies: readonly string[] = [
  '$-1\r\n',
  '*-1\r\n',
  '_\r\n',
  ':1\r\n',
  '+OK\r\n',
  '*0\r\n',
  '*1\r\n$-1\r\n',
  '*1\r\n*3\r\n:0\r\n:5\r\n$-1\r\n',
  '*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$-1\r\n:1\r\n',
  '*1\r\n*3\r\n:0\r\n:9007199254740991\r\n*2\r\n$1\r\nh\r\n:1\r\n',
  '*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$9\r\n127.0.0.1\r\n:99999999\r\n',
  '*2\r\n$9\r\n127.0.0.1\r\n$8\r\n99999999\r\n',
  '*2\r\n$1\r\nx\r\n$1\r\ny\r\n',
  '*2\r\n$-1\r\n$-1\r\n',
  '%1\r\n+a\r\n:1\r\n',
  '~0\r\n',
  '#t\r\n',
  ',1.5\r\n',
  '(12345678901234567890\r\n',
  '-\r\n',
  '-ERR\r\n',
  '!0\r\n\r\n',
  '>1\r\n_\r\n',
  '>0\r\n',
  '>1\r\n$7\r\nmessage\r\n',
  '>1\r\n$9\r\nsubscribe\r\n',
  '>3\r\n$9\r\nsubscribe\r\n_\r\n:1\r\n',
  '\r\n',
  '*3\r\n',
  '$5\r\nab',
  '|1\r\n+a\r\n+b\r\n+c\r\n',
]

// Probes of the listeners: proxy and admin.
import { connect as connectH2 } from 'node:http2'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { ask, open, rawRequest, type Answer } from '../../support/client.ts'
import { strangeCertificate, strangeKey, testCertificate, testKey } from '../../support/certificate.ts'
import { eventually } from '../../support/log.ts'
import { token } from '../../support/proxy.ts'
import { freePort } from '../../cli/command.ts'
import { each, pair, raced, type Probe, type Under } from './probe.ts'

const logIn = (house: Under, secret: string): Promise<Answer> =>
  ask(adminPort(house), { path: '/v1/login', method: 'POST', headers: ['Content-Type', 'application/json'], body: JSON.stringify({ token: secret }) })
const adminPort = (house: Under): number => Number(new URL(house.app.adminUrl).port)

function reachable(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host)
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** Listening on one address of this machine and not on another. */
const host = (port: (house: Under) => number): Probe =>
  each({
    values: ['127.0.0.1', '127.0.0.2'],
    expected: [[true, false], [false, true]],
    see: async (house) => [await reachable('127.0.0.1', port(house)), await reachable('127.0.0.2', port(house))],
  })

const listens: Probe = async (t, path) => {
  const ports = [await freePort(), await freePort()] as const
  return each({ values: ports, expected: [[true, false], [false, true]], see: () => Promise.all(ports.map((port) => reachable('127.0.0.1', port))) })(t, path)
}

function pems(t: { testdir(files: Record<string, string>): string }): { cert: string; key: string; otherCert: string; otherKey: string } {
  const folder = t.testdir({ 'cert.pem': testCertificate, 'key.pem': testKey, 'other-cert.pem': strangeCertificate, 'other-key.pem': strangeKey })
  return { cert: `${folder}/cert.pem`, key: `${folder}/key.pem`, otherCert: `${folder}/other-cert.pem`, otherKey: `${folder}/other-key.pem` }
}

function handshake(port: number): Promise<string | false | null> {
  return new Promise((resolve) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1'] }, () => {
      resolve(socket.alpnProtocol)
      socket.destroy()
    })
  })
}

/** Returns the status of the response to bytes on a connection of their own, once the proxy closes it. */
const statusOf = async (house: Under, bytes: string): Promise<string | undefined> => /^HTTP\/1\.1 (\d+)/.exec(await rawRequest(house.port, bytes))?.[1]

export const listeners: Readonly<Record<string, Probe>> = {
  'proxy.host': host(({ port }) => port),
  'proxy.port': listens,
  'proxy.trustProxy': each({
    values: [false, true],
    expected: ['127.0.0.1', '203.0.113.9, 127.0.0.1'],
    see: async (house) => {
      await house.get('/', { 'X-Forwarded-For': '203.0.113.9' })
      return house.origin.requests[0]?.header('x-forwarded-for')
    },
  }),
  'proxy.tls.cert': (t, path) => {
    const { cert, key, otherCert } = pems(t)
    return each({ values: [cert, otherCert], with: { 'proxy.tls.key': key }, expected: ['h2', 'refused'], see: ({ port }) => handshake(port) })(t, path)
  },
  'proxy.tls.key': (t, path) => {
    const { cert, key, otherKey } = pems(t)
    return each({ values: [key, otherKey], with: { 'proxy.tls.cert': cert }, expected: ['h2', 'refused'], see: ({ port }) => handshake(port) })(t, path)
  },
  'proxy.tls.http2': (t, path) => {
    const { cert, key } = pems(t)
    return each({ values: [true, false], with: { 'proxy.tls.cert': cert, 'proxy.tls.key': key }, expected: ['h2', 'http/1.1'], see: ({ port }) => handshake(port) })(t, path)
  },
  'proxy.tls.certificates[].cert': (t, path) => {
    const { cert, key, otherCert } = pems(t)
    return each({ values: [cert, otherCert], with: { 'proxy.tls.certificates[].key': key, 'proxy.tls.http2': true }, expected: ['h2', 'refused'],
      see: ({ port }) => handshake(port) })(t, path)
  },
  'proxy.tls.certificates[].key': (t, path) => {
    const { cert, key, otherKey } = pems(t)
    return each({ values: [key, otherKey], with: { 'proxy.tls.certificates[].cert': cert, 'proxy.tls.http2': true }, expected: ['h2', 'refused'],
      see: ({ port }) => handshake(port) })(t, path)
  },
  'proxy.tls.minVersion': (t, path) => {
    const { cert, key } = pems(t)
    return each({
      values: ['TLSv1.2', 'TLSv1.3'],
      with: { 'proxy.tls.cert': cert, 'proxy.tls.key': key },
      expected: ['TLSv1.2', 'refused by the server'],
      see: ({ port }) =>
        new Promise((resolve) => {
          const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, maxVersion: 'TLSv1.2' }, () => {
            resolve(socket.getProtocol())
            socket.destroy()
          })
          socket.on('error', () => resolve('refused by the server'))
        }),
    })(t, path)
  },
  'proxy.redirectPort': (t, path) => {
    const { cert, key } = pems(t)
    return each({ values: [undefined, 0], with: { 'proxy.tls.cert': cert, 'proxy.tls.key': key }, expected: [undefined, 301],
      see: async ({ app: { redirectUrl } }) => redirectUrl && (await ask(Number(new URL(redirectUrl).port))).status })(t, path)
  },
  'proxy.h2c': each({
    values: [true, false],
    expected: [200, 'lost'],
    see: ({ port }) =>
      new Promise((resolve) => {
        const session = connectH2(`http://127.0.0.1:${port}`)
        const end = (what: unknown): void => {
          session.destroy()
          resolve(what)
        }
        session.on('error', () => end('lost'))
        session.request({ ':path': '/' }).on('error', () => end('lost')).on('response', (fields) => end(fields[':status']))
      }),
  }),
  'proxy.requestTimeoutMs': raced({
    values: ['1h', '1s'],
    with: { 'proxy.headersTimeoutMs': '500ms' },
    origin: () => {},
    ends: '408',
    see: (house) => statusOf(house, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf'),
  }),
  'proxy.headersTimeoutMs': raced({ values: ['1h', '100ms'], with: { 'proxy.requestTimeoutMs': '1h' }, ends: '408',
    see: (house) => statusOf(house, 'GET / HTTP/1.1\r\nHost: a\r\n') }),
  'proxy.keepAliveTimeoutMs': raced({ values: [0, '10ms'], ends: '200', see: (house) => statusOf(house, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n') }),
  'proxy.stalledTimeoutMs': raced({
    values: [0, '100ms'],
    origin: (_request, response) => void response.writeHead(200, { 'Cache-Control': 'no-store' }).end(Buffer.alloc(64 << 20)),
    ends: 'disconnected',
    see: (house) =>
      new Promise((resolve) => {
        const request = open(house.port, {}, (response) => {
          response.pause()
          response.on('error', () => resolve('disconnected'))
          response.on('close', () => resolve('disconnected'))
          response.socket.on('close', () => resolve('disconnected'))
          // A paused socket does not notice its end. A socket that writes does.
          const look = setInterval(() => response.socket.write('\r\n'), 50)
          look.unref()
        })
        request.on('error', () => resolve('disconnected'))
      }),
  }),
  // Meanwhile another client is connected.
  'proxy.maxClients': each({
    values: [1, 2],
    expected: [503, 200],
    see: async (house) => {
      const other = connect(house.port, '127.0.0.1')
      await new Promise((resolve) => {
        other.once('connect', resolve)
      })
      const { status } = await house.get('/')
      other.destroy()
      return status
    },
  }),
  // Meanwhile another request is in flight.
  'proxy.maxRequests': each({
    values: [1, 2],
    origin: (request, response) => void (request.url === '/held' ? undefined : response.end()),
    expected: [503, 200],
    see: async (house) => {
      ask(house.port, { path: '/held' }).catch(() => {})
      await house.origin.nth(1)
      return (await house.get('/')).status
    },
  }),
  'proxy.maxHeaderBytes': each({ values: ['16KiB', '1KiB'], expected: [200, 431], see: async (house) => (await house.get('/', { 'X-Long': 'x'.repeat(2000) })).status }),
  'proxy.maxTargetBytes': each({ values: ['8KiB', 256], expected: [200, 414], see: async (house) => (await house.get(`/${'x'.repeat(300)}`)).status }),
  'proxy.shutdownGraceMs': pair({
    values: ['1h', 0],
    origin: (_request, response) => {
      response.writeHead(200, { 'Cache-Control': 'no-store' }).write('half')
      setTimeout(() => response.end(), 1_000_000).unref()
    },
    expected: ['goes on', 'cut'],
    see: async (first, second) => {
      const seen = ['goes on', 'goes on']
      const asked = [first, second].map((house, i) =>
        new Promise<void>((resolve) => {
          open(house.port, {}, (response) => {
            response.once('data', () => resolve())
            response.on('error', () => {
              seen[i] = 'cut'
            })
            response.on('close', () => {
              seen[i] = 'cut'
            })
          }).on('error', () => {
            seen[i] = 'cut'
          })
        })
      )
      await Promise.all(asked)
      void first.app.close()
      await second.app.close()
      await eventually(() => seen[1] === 'cut')
      const [before, after] = [...seen]
      // Ends the wait of the first.
      await first.origin.close()
      return [before, after]
    },
  }),
  'proxy.shutdownDelayMs': each({
    values: [0, '1s'],
    expected: [false, true],
    see: async (house) => {
      const closed = house.app.close({ delayed: true })
      await new Promise(setImmediate)
      const taken = await ask(house.port).then(({ status }) => status === 200, () => false)
      await closed
      return taken
    },
  }),
  'proxy.healthPath': each({ values: ['/up', '/other'], expected: ['ok\n', 'body'], see: async (house) => String((await house.get('/up')).body) }),
  'proxy.viaName': each({ values: ['springhouse', 'edge'], expected: ['1.1 springhouse', '1.1 edge'], see: async (house) => (await house.get('/')).header('via') }),
  'admin.host': host(adminPort),
  'admin.port': listens,
  'admin.tokens[].name': each({
    values: ['test', 'other'],
    expected: ['test', 'other'],
    see: async (house) => {
      await house.purge({ all: true })
      return house.log.map((line) => (line as { token?: string }).token).find((name) => name !== undefined)
    },
  }),
  'admin.tokens[].token': each({ values: [token, 'another-token-of-the-test'], expected: [200, 401], see: async (house) => (await house.admin('/v1/stats')).status }),
  'admin.tokens[].tokenFile': (t, path) => {
    const folder = t.testdir({ right: `${token}\n`, other: 'another-token-of-the-test\n' })
    return each({ values: [`${folder}/right`, `${folder}/other`], with: { 'admin.tokens[].token': undefined }, expected: [200, 401],
      see: async (house) => (await house.admin('/v1/stats')).status })(t, path)
  },
  'admin.sessionTtl': each({
    values: ['1m', '2h'],
    expected: [60, 7_200],
    see: async (house) => Number(/Max-Age=(\d+)/.exec((await logIn(house, token)).header('set-cookie') ?? '')?.[1]),
  }),
  'admin.dashboard': each({ values: [true, false], expected: [200, 404], see: async (house) => (await house.admin('/')).status }),
  'admin.loginsPerMinute': each({
    values: [1, 2],
    expected: [429, 401],
    see: async (house) => {
      await logIn(house, 'a-token-that-nobody-has')
      return (await logIn(house, 'a-token-that-nobody-has')).status
    },
  }),
  'admin.tokens[].scopes': each({ values: [['read', 'purge'], ['read']], expected: [200, 403], see: async (house) => (await house.purge({ all: true })).status }),
}

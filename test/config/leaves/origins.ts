// Probes of origins: their servers, and how they are contacted.
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:https'
import type { Test } from 'tap'
import { ask, open, rawRequest } from '../../support/client.ts'
import { strangeCertificate, strangeKey, testCertificate, testKey } from '../../support/certificate.ts'
import { eventually } from '../../support/log.ts'
import { startOrigin, type OriginHandler } from '../../support/scripted-origin.ts'
import { each, pair, raced, type Options, type Probe } from './probe.ts'

const body = (text: string, status = 200): OriginHandler => (_request, response) => void response.writeHead(status, { 'Cache-Control': 'no-store' }).end(text)

async function server(t: Test, handler: OriginHandler): Promise<string> {
  const origin = await startOrigin(handler)
  t.teardown(() => origin.close())
  return origin.url
}

const silent: OriginHandler = () => {}

async function listening(t: Test, listener: ReturnType<typeof createTcpServer>): Promise<number> {
  await new Promise<void>((resolve) => {
    listener.listen(0, '127.0.0.1', resolve)
  })
  const sockets = new Set<Socket>()
  listener.on('connection', (socket: Socket) => sockets.add(socket))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  return (listener.address() as AddressInfo).port
}

/** Starts an origin over TLS, and records the server names that clients send. */
async function secure(t: Test): Promise<{ url: string; names: (string | undefined)[] }> {
  const names: (string | undefined)[] = []
  const listener = createTlsServer({ cert: testCertificate, key: testKey }, (_request, response) => response.end('secure'))
  listener.on('secureConnection', (socket) => names.push((socket as unknown as { servername?: string | false }).servername || undefined))
  return { url: `https://127.0.0.1:${await listening(t, listener)}`, names }
}

/** An origin that requires a certificate of its clients: the right one, and another one, or its key. */
const demanding = async (t: Test, path: string, changed: 'cert' | 'key') => {
  const folder = t.testdir({ cert: testCertificate, key: testKey, otherCert: strangeCertificate, otherKey: strangeKey })
  const listener = createTlsServer({ cert: testCertificate, key: testKey, ca: testCertificate, requestCert: true, rejectUnauthorized: true },
    (_request, response) => response.end('secure'))
  const url = `https://127.0.0.1:${await listening(t, listener)}`
  const files = { cert: `${folder}/cert`, key: `${folder}/key`, [changed]: undefined }
  const right = `${folder}/${changed}`
  return each({
    values: [right, `${folder}/other${changed === 'cert' ? 'Cert' : 'Key'}`],
    with: { 'origins.<name>.servers': [url], 'origins.<name>.tls': { rejectUnauthorized: false, ...files } },
    expected: [200, 'refused'],
    see: async (house) => (await house.get('/')).status,
  })(t, path)
}

const overTls = async (t: Test, path: string, options: Pick<Options, 'values' | 'with'>, expected: readonly [unknown, unknown]) => {
  const { url } = await secure(t)
  return each({ ...options, with: { 'origins.<name>.servers': [url], ...options.with }, expected, see: async (house) => (await house.get('/')).status })(t, path)
}

/** Sends a request, and resolves with the status of its response, whose body is not read, and with how the client leaves. */
function head(port: number, path: string): Promise<{ status: number | undefined; leave(): void }> {
  return new Promise((resolve) => {
    const request = open(port, { path }, (response) => {
      response.on('error', () => {})
      resolve({ status: response.statusCode, leave: () => request.destroy() })
    })
    request.on('error', () => {})
  })
}

/** Two requests to an origin that sends no response: the fate of the second. */
const second = (values: readonly [unknown, unknown], others: Options['with'], ends: readonly [unknown, unknown]): Probe =>
  pair({
    values,
    ...(others !== undefined && { with: others }),
    origin: silent,
    expected: ends,
    see: async (first, last) => {
      const seen: unknown[] = ['waits', 'waits']
      for (const house of [first, last]) {
        ask(house.port, { path: '/1' }).catch(() => {})
        await house.origin.nth(1)
        ask(house.port, { path: '/2' }).then(({ status }) => {
          seen[house.index] = status
        }, () => {})
      }
      await eventually(() => seen[1] !== 'waits')
      return [seen[0] === 'waits' && first.origin.requests.length === 2 ? 'sent' : seen[0], seen[1]]
    },
  })

export const origins: Readonly<Record<string, Probe>> = {
  'origins.<name>.servers': async (t, path) => {
    const urls = [await server(t, body('a')), await server(t, body('b'))] as const
    return each({ values: [[urls[0]], [urls[1]]], expected: ['a', 'b'], see: async (house) => (await house.get('/')).body.toString() })(t, path)
  },
  // The first request is held: by the fewest requests in flight the other server is chosen, by turns the first again.
  'origins.<name>.balance': async (t, path) => {
    const seen: string[] = []
    const note = (name: string): OriginHandler => (request, response) => {
      seen.push(`${name} ${request.url}`)
      if (request.url !== '/held') response.writeHead(200, { 'Cache-Control': 'no-store' }).end()
    }
    const servers = [await server(t, note('a')), await server(t, note('b'))]
    return each({
      values: ['least-pending', 'round-robin'],
      with: { 'origins.<name>.servers': servers },
      expected: [1, 2],
      see: async (house) => {
        seen.length = 0
        ask(house.port, { path: '/held' }).catch(() => {})
        await eventually(() => seen.length === 1)
        for (let i = 0; i < 4; i++) await house.get(`/${i}`)
        return new Set(seen.slice(1).map((line) => line[0])).size
      },
    })(t, path)
  },
  'origins.<name>.health.path': pair({
    values: ['/up', '/ready'],
    with: { 'origins.<name>.health.intervalMs': '100ms' },
    expected: ['/up', '/ready'],
    see: async (...houses) => {
      const [first, last] = await Promise.all(houses.map(async ({ origin }) => (await origin.nth(1)).target))
      return [first, last]
    },
  }),
  'origins.<name>.health.intervalMs': raced({ values: ['1h', '100ms'], with: { 'origins.<name>.health.path': '/up' }, ends: '/up',
    see: async ({ origin }) => (await origin.nth(3)).target }),
  // Its handshake is part of a connection, and this server never begins one.
  'origins.<name>.timeouts.connectMs': async (t, path) => {
    const port = await listening(t, createTcpServer((socket) => socket.on('error', () => {})))
    return raced({ values: ['10m', '20ms'], with: { 'origins.<name>.servers': [`https://127.0.0.1:${port}`], 'origins.<name>.retries': 0 }, ends: 504,
      see: async (house) => (await house.get('/')).status })(t, path)
  },
  'origins.<name>.timeouts.headersMs': raced({ values: ['1h', '20ms'], with: { 'origins.<name>.retries': 0 }, origin: silent, ends: 504,
    see: async (house) => (await house.get('/')).status }),
  'origins.<name>.timeouts.idleMs': raced({
    values: [0, '20ms'],
    origin: (_request, response) => void response.writeHead(200, { 'Cache-Control': 'no-store' }).write('half'),
    ends: false,
    see: async (house) => (await house.get('/')).complete,
  }),
  // The first request holds the only connection, so the next waits.
  'origins.<name>.timeouts.queueMs': async (t, path) => {
    const held: (() => void)[] = []
    return raced({
      values: ['1h', '20ms'],
      with: { 'origins.<name>.maxConnections': 1 },
      origin: (_request, response) => held.push(() => response.end()),
      ends: 503,
      see: async (house) => {
        void house.get('/1').catch(() => {})
        await house.origin.nth(1)
        return (await house.get('/2')).status
      },
    })(t, path)
  },
  'origins.<name>.maxStreams': each({
    values: [2, 1],
    origin: (_request, response) => void response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1'),
    expected: [200, 503],
    see: async (house) => {
      const first = await head(house.port, '/1')
      const { status, leave } = await head(house.port, '/2')
      first.leave()
      leave()
      return status
    },
  }),
  'origins.<name>.reuse': each({
    values: ['safe', 'always'],
    origin: body(''),
    expected: [2, 1],
    see: async (house) => {
      await house.get('/')
      house.manual.advance(100)
      await house.get('/', {}, { method: 'POST', body: 'x' })
      return new Set(house.origin.requests.map(({ socket }) => socket)).size
    },
  }),
  'origins.<name>.http2': each({ values: [false, true], origin: body(''), expected: [200, 502], see: async (house) => (await house.get('/')).status }),
  'origins.<name>.maxHeaderBytes': each({
    values: ['64KiB', '16KiB'],
    origin: (_request, response) => void response.writeHead(200, { 'X-Long': 'x'.repeat(20_000) }).end(),
    expected: ['200', '502'],
    see: async (house) => /^HTTP\/1\.1 (\d+)/.exec(await rawRequest(house.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))?.[1],
  }),
  'origins.<name>.maxConnections': second([256, 1], { 'origins.<name>.maxQueue': 0 }, ['sent', 503]),
  'origins.<name>.maxQueue': second([1, 0], { 'origins.<name>.maxConnections': 1 }, ['waits', 503]),
  'origins.<name>.retries': async (t, path) => {
    const servers = [await server(t, (request) => request.socket.destroy()), await server(t, body('b'))]
    return each({
      values: [1, 0],
      with: { 'origins.<name>.servers': servers, 'origins.<name>.balance': 'round-robin' },
      expected: [[200, 200], [200, 502]],
      see: async (house) => [(await house.get('/1')).status, (await house.get('/2')).status].toSorted((a, b) => a - b),
    })(t, path)
  },
  'origins.<name>.hostHeader': each({
    values: ['client', 'vhost.example'],
    expected: [true, false],
    see: async (house) => {
      await house.get('/')
      return house.origin.requests[0]?.header('host') !== 'vhost.example'
    },
  }),
  'origins.<name>.tls.cert': (t, path) => demanding(t, path, 'cert'),
  'origins.<name>.tls.key': (t, path) => demanding(t, path, 'key'),
  'origins.<name>.tls.ca': (t, path) => {
    const folder = t.testdir({ 'a.pem': testCertificate, 'b.pem': strangeCertificate })
    return overTls(t, path, { values: [`${folder}/a.pem`, `${folder}/b.pem`] }, [200, 502])
  },
  'origins.<name>.tls.rejectUnauthorized': (t, path) => overTls(t, path, { values: [true, false] }, [502, 200]),
  'origins.<name>.tls.servername': async (t, path) => {
    const { url, names } = await secure(t)
    return each({
      values: [undefined, 'origin.test'],
      with: { 'origins.<name>.servers': [url], 'origins.<name>.tls': { rejectUnauthorized: false } },
      expected: [undefined, 'origin.test'],
      see: async (house) => {
        await house.get('/')
        return names.at(-1)
      },
    })(t, path)
  },
}

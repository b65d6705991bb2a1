// gRPC by its own client and server: every kind of call passes, over TLS and without, in both directions at once.
import { connect as connectH2 } from 'node:http2'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import * as grpc from '@grpc/grpc-js'
import { ConfigError } from '../../src/config/problem.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { systemClock } from '../../src/clock.ts'
import { ask, rawRequest } from '../support/client.ts'
import { testCertificate, testKey } from '../support/certificate.ts'
import { startHttp2Origin } from '../support/http2-origin.ts'
import { eventually } from '../support/log.ts'
import { startOrigin, type ScriptedOrigin } from '../support/scripted-origin.ts'
import { startProxy, type TestProxy } from '../support/proxy.ts'

const same = (bytes: Buffer): Buffer => bytes
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path,
  requestStream,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
})
const service = { unary: method('/t.T/Unary', false, false), list: method('/t.T/List', false, true), sum: method('/t.T/Sum', true, false), talk: method('/t.T/Talk', true, true) }

const failure = { code: grpc.status.FAILED_PRECONDITION, details: 'not now' }

async function startGrpcServer(t: Test, secure: boolean): Promise<string> {
  const server = new grpc.Server()
  server.addService(service, {
    unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      const trailers = new grpc.Metadata()
      trailers.set('x-trailer', 'here')
      if (call.request.toString() === 'fail') done({ ...failure, metadata: trailers })
      else done(null, Buffer.from(`got ${call.request.toString()}`), trailers)
    },
    list: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let i = 0; i < 3; i++) call.write(Buffer.from(String(i)))
      if (call.request.toString() === 'fail') call.emit('error', failure)
      else call.end()
    },
    sum: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      let sum = 0
      call.on('data', (bytes: Buffer) => {
        sum += Number(bytes.toString())
      })
      call.on('end', () => done(null, Buffer.from(String(sum))))
    },
    talk: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (bytes: Buffer) => call.write(Buffer.from(`re ${bytes.toString()}`)))
      call.on('end', () => call.end())
    },
  })
  const credentials = secure
    ? grpc.ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(testCertificate), private_key: Buffer.from(testKey) }])
    : grpc.ServerCredentials.createInsecure()
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  t.teardown(() => server.forceShutdown())
  return `${secure ? 'https' : 'http'}://127.0.0.1:${port}`
}

async function house(t: Test, url: string, { secure, ...proxy }: { readonly secure: boolean } & Record<string, unknown>): Promise<TestProxy<typeof systemClock>> {
  const folder = t.testdir({ 'cert.pem': testCertificate, 'key.pem': testKey })
  const origin: ScriptedOrigin = await startOrigin(() => undefined)
  t.teardown(() => origin.close())
  return startProxy(t, {
    origin,
    clock: systemClock,
    config: {
      proxy: { host: '127.0.0.1', port: 0, shutdownGraceMs: 0, ...(secure ? { tls: { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` } } : { h2c: true }), ...proxy },
      origins: { api: { servers: [url], http2: true, ...(url.startsWith('https') && { tls: { ca: `${folder}/cert.pem` } }) } },
    },
  })
}

function clientOf(t: Test, port: number, secure: boolean): grpc.Client {
  // The library would send an address as the server name, which Node 26 refuses.
  const client = new grpc.Client(`127.0.0.1:${port}`, secure ? grpc.credentials.createSsl(Buffer.from(testCertificate)) : grpc.credentials.createInsecure(),
    secure ? { 'grpc.ssl_target_name_override': 'localhost' } : {})
  t.teardown(() => client.close())
  return client
}

interface Ended {
  readonly messages: string[]
  readonly code: number
  readonly details: string
  readonly metadata: grpc.Metadata
}

function ended(call: grpc.ClientReadableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>): Promise<Ended> {
  const messages: string[] = []
  call.on('data', (bytes: Buffer) => messages.push(bytes.toString()))
  call.on('error', () => undefined)
  return new Promise((resolve) => {
    call.on('status', (status: grpc.StatusObject) => resolve({ messages, ...status }))
  })
}

for (const [secure, secureOrigin] of [[true, true], [false, false], [true, false], [false, true]] as const) {
  t.test(`each kind of gRPC call passes (client ${secure ? 'over TLS' : 'h2c'}, origin ${secureOrigin ? 'over TLS' : 'h2c'})`, async (t) => {
    const { port } = await house(t, await startGrpcServer(t, secureOrigin), { secure })
    const client = clientOf(t, port, secure)
    const unary = (text: string): Promise<unknown> =>
      new Promise((resolve) => {
        let metadata: grpc.Metadata | undefined
        client.makeUnaryRequest(service.unary.path, same, same, Buffer.from(text), (error, value) =>
          resolve([error === null ? value?.toString() : [error.code, error.details, error.metadata.get('x-trailer')], metadata]))
          .on('status', (status: grpc.StatusObject) => {
            metadata = status.metadata
          })
      })
    t.match(await unary('a'), ['got a'])
    t.match(await unary('fail'), [[failure.code, failure.details, ['here']]], 'an error in trailers')
    t.match(await ended(client.makeServerStreamRequest(service.list.path, same, same, Buffer.from('a'))), { messages: ['0', '1', '2'], code: 0 })
    t.match(await ended(client.makeServerStreamRequest(service.list.path, same, same, Buffer.from('fail'))), { ...failure })
    const sum = await new Promise<unknown>((resolve) => {
      const call = client.makeClientStreamRequest(service.sum.path, same, same, (error, value) => resolve(error ?? value?.toString()))
      for (let i = 1; i <= 4; i++) call.write(Buffer.from(String(i)))
      call.end()
    })
    t.equal(sum, '10')
    const talk = client.makeBidiStreamRequest(service.talk.path, same, same)
    const talked = ended(talk)
    for (const text of ['a', 'b', 'c']) {
      const reply = new Promise((resolve) => {
        talk.once('data', (bytes: Buffer) => resolve(bytes.toString()))
      })
      talk.write(Buffer.from(text))
      t.equal(await reply, `re ${text}`, 'each message has its reply before the next is sent')
    }
    talk.end()
    t.match(await talked, { messages: ['re a', 're b', 're c'], code: 0 })
  })
}

// The guard: acceptsTrailers, and `te` in http2-fields.ts.
t.test('TE reaches an HTTP/2 origin as trailers alone, and no HTTP/1.1 origin', async (t) => {
  const seen: unknown[] = []
  const origin = await startHttp2Origin((stream, fields) => {
    seen.push(fields.te)
    stream.respond({ ':status': 200 }, { endStream: true })
  }, { secure: false })
  t.teardown(() => origin.close())
  const { port } = await house(t, origin.url, { secure: false })
  for (const te of ['trailers', 'Trailers, deflate;q=0.5', 'deflate', 'trailers;q=1', undefined])
    await ask(port, { method: 'POST', headers: te === undefined ? [] : ['TE', te, 'Connection', 'TE'] })
  t.same(seen, ['trailers', 'trailers', undefined, undefined, undefined])
  const plain = await startProxy(t, { origin: (_request, response) => response.end() })
  await plain.get('/', { TE: 'trailers' }, { method: 'POST' })
  t.equal(plain.origin.requests[0]?.header('te'), undefined)
})

// The guard: `headersSent` in upload-timeout.ts. With 0, no limit begins at all.
t.test('once the response has begun, a silent client keeps its stream; before, it has requestTimeoutMs', async (t) => {
  const origin = await startHttp2Origin((stream, fields) => {
    if (fields[':path'] === '/silent') return
    stream.respond({ ':status': 200 })
    stream.write('begun')
    stream.on('data', (chunk: Buffer) => stream.write(chunk))
    stream.on('end', () => stream.end())
  }, { secure: false })
  t.teardown(() => origin.close())
  const { port } = await house(t, origin.url, { secure: false, requestTimeoutMs: '100ms', headersTimeoutMs: '100ms' })
  const session = connectH2(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  t.teardown(() => session.destroy())
  const talk = session.request({ ':method': 'POST', ':path': '/talk' })
  let heard = ''
  talk.setEncoding('utf8').on('data', (text: string) => {
    heard += text
  })
  talk.on('error', (error) => t.fail(String(error)))
  await eventually(() => heard === 'begun')
  // The other stream begins later, so its limit ends later than that of the first would.
  const late = session.request({ ':method': 'POST', ':path': '/silent' })
  late.on('error', () => undefined)
  t.equal(await new Promise((resolve) => {
    late.once('response', (fields) => resolve(fields[':status']))
  }), 408)
  talk.write(' on')
  await eventually(() => heard === 'begun on')
  talk.end()
  await new Promise((resolve) => {
    talk.once('close', resolve)
  })
  t.equal(talk.rstCode, 0)
  const { port: unlimited } = await house(t, origin.url, { secure: false, requestTimeoutMs: 0 })
  t.equal((await ask(unlimited, { method: 'POST', path: '/talk', body: 'x' })).body.toString(), 'begunx')
})

// Fails without `mayBeSilent`: the stream began before the other one, and would be aborted before it.
t.test('a gRPC response may be silent; idleMs ends any other one', async (t) => {
  const origin = await startHttp2Origin((stream, fields) => {
    stream.on('error', () => undefined)
    stream.respond({ ':status': 200, 'content-type': fields[':path'] === '/text' ? 'text/plain' : String(fields[':path']).slice(1) })
    stream.write('begun')
  }, { secure: false })
  t.teardown(() => origin.close())
  const proxy = await startProxy(t, { origin: (_request, response) => response.end(), clock: systemClock,
    config: { proxy: { host: '127.0.0.1', port: 0, h2c: true }, origins: { api: { servers: [origin.url], http2: true, timeouts: { idleMs: '100ms' } } },
      routes: [{ origin: 'api' }] } })
  const session = connectH2(`http://127.0.0.1:${proxy.port}`)
  session.on('error', () => undefined)
  t.teardown(() => session.destroy())
  const kinds = ['application/grpc', 'application/grpc+proto', 'application/grpc-web-text']
  const open = async (path: string) => {
    const stream = session.request({ ':method': 'POST', ':path': path, 'te': 'trailers' })
    stream.on('error', () => undefined).end()
    await new Promise((resolve) => {
      stream.once('data', resolve)
    })
    return stream
  }
  const silent = await Promise.all(kinds.map((kind) => open(`/${kind}`)))
  const text = await open('/text')
  await new Promise((resolve) => {
    text.once('close', resolve)
  })
  t.not(text.rstCode, 0)
  t.same(silent.map((stream) => stream.closed), [false, false, false])
})

t.test('on one port, clients speak HTTP/1.1 and h2c, in whatever pieces their first bytes come', async (t) => {
  const seen: string[] = []
  const origin = await startHttp2Origin((stream, fields) => {
    seen.push(String(fields[':path']))
    stream.respond({ ':status': 200 }, { endStream: true })
  }, { secure: false })
  t.teardown(() => origin.close())
  const { port } = await house(t, origin.url, { secure: false, headersTimeoutMs: '200ms' })
  const first = 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  t.match(await rawRequest(port, first), /^HTTP\/1\.1 200 /)
  const byByte = async (bytes: string): Promise<string> =>
    new Promise((resolve) => {
      let got = ''
      const socket = connect(port, '127.0.0.1', async () => {
        socket.setNoDelay(true)
        for (const byte of bytes) {
          socket.write(byte, 'latin1')
          await new Promise(setImmediate)
        }
      })
      socket.on('data', (chunk: Buffer) => {
        got += chunk.toString('latin1')
        // SETTINGS: the server's part of the preface.
        if (chunk[3] === 4 && !got.startsWith('HTTP')) socket.destroy()
      })
      socket.on('error', () => undefined)
      socket.on('close', () => resolve(got))
    })
  t.match(await byByte(first), /^HTTP\/1\.1 200 /)
  t.match(await byByte(`POST /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc`), /^HTTP\/1\.1 200 /, 'it begins as the preface does')
  t.equal((await byByte('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'))[3], '\x04')
  for (const wrong of ['PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n', 'PRI * HTTP/1.1\r\nHost: a\r\n\r\n']) t.match(await byByte(wrong), /^HTTP\/1\.1 (?:400|405|501|505) /, wrong)
  t.match(await byByte('PRI * HT'), /^HTTP\/1\.1 4\d\d /, 'half a preface has the time of a head')
  t.match(await byByte(''), /^HTTP\/1\.1 408 /, 'a silent client too')
  t.same(seen, ['/x', '/x', '/b'])
})

t.test('h2c beside TLS is refused, and without h2c the preface is no request', async (t) => {
  t.throws(() => resolveConfig({ proxy: { h2c: true, tls: { cert: '/dev/null', key: '/dev/null' } }, origins: { api: { servers: ['http://127.0.0.1:1'] } } }), ConfigError)
  const plain = await startProxy(t, { origin: (_request, response) => response.end() })
  t.match(await rawRequest(plain.port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /^HTTP\/1\.1 (?:400|501|505) /)
  t.equal(plain.origin.requests.length, 0)
})

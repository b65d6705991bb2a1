// A small response goes to its client in one write, and its bytes are the same as in several.
import { Socket } from 'node:net'
import t from 'tap'
import { rawRequest } from '../support/client.ts'
import { startProxy } from '../support/proxy.ts'

/** Counts the pieces that are written to the connections of one port, from now to the end of the test. */
function countWrites(test: { teardown(end: () => void): void }, port: number): { taken(): number } {
  const prototype = Socket.prototype as unknown as Record<'_write' | '_writev', (...args: unknown[]) => unknown>
  const { _write, _writev } = prototype
  let count = 0
  prototype._write = function(this: Socket, ...args: unknown[]): unknown {
    if (this.localPort === port) count++
    return _write.apply(this, args)
  }
  prototype._writev = function(this: Socket, ...args: unknown[]): unknown {
    if (this.localPort === port) count += (args[0] as unknown[]).length
    return _writev.apply(this, args)
  }
  test.teardown(() => void Object.assign(prototype, { _write, _writev }))
  return {
    taken: () => {
      const taken = count
      count = 0
      return taken
    },
  }
}

const bytes = Buffer.from(Array.from({ length: 1_024 }, (_, i) => i % 256))
const text = bytes.toString('latin1')

// Guard: `#join` of http1-response.ts, and `#isWhole` of Fill and PassRelay.
t.test('a hit, a fill and a passed response of 1 KB are one piece each', async (test) => {
  const house = await startProxy(test, {
    origin: (request, response) => {
      const head = { 'Cache-Control': request.url?.startsWith('/hit') === true ? 'max-age=60' : 'no-store', 'Content-Length': bytes.length }
      response.writeHead(200, head).end(bytes)
    },
  })
  const writes = countWrites(test, house.port)
  for (const [name, method, target] of [['a fill', 'GET', '/hit'], ['a hit', 'GET', '/hit'], ['a response that is not stored', 'GET', '/no'], ['a passed response', 'POST',
    '/post']] as const) {
    const raw = await rawRequest(house.port, `${method} ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${method === 'POST' ? 'Content-Length: 0\r\n' : ''}\r\n`)
    test.equal(writes.taken(), 1, name)
    test.match(raw, /^HTTP\/1\.1 200 OK\r\n/)
    test.equal(raw.slice(raw.indexOf('\r\n\r\n') + 4), text, `${name}: each of the 256 bytes`)
  }
})

t.test('no body follows a response that has none, and a long body, chunks and requests in a row arrive whole', async (test) => {
  const long = 'y'.repeat(40_000)
  const house = await startProxy(test, {
    origin: (request, response) => {
      if (request.url === '/204') return response.writeHead(204, { 'Cache-Control': 'no-store' }).end()
      if (request.url === '/chunks') return void (response.writeHead(200, { 'Cache-Control': 'no-store' }), response.write('one'), setImmediate(() => response.end('two')))
      const body = request.url === '/long' ? long : 'small'
      response.writeHead(200, { 'Cache-Control': 'max-age=60', 'ETag': '"a"', 'Content-Length': body.length }).end(body)
    },
  })
  const bodyOf = async (request: string, version = '1.1'): Promise<string> => {
    const raw = await rawRequest(house.port, request.replace(/\n/g, '\r\n').replaceAll('VERSION', `HTTP/${version}`))
    return raw.slice(raw.indexOf('\r\n\r\n') + 4)
  }
  const close = 'Host: h\nConnection: close\n\n'
  for (let i = 0; i < 2; i++) {
    test.equal(await bodyOf(`GET /long VERSION\n${close}`), long)
    test.equal(await bodyOf(`GET /small VERSION\n${close}`), 'small')
    test.equal(await bodyOf(`GET /small VERSION\n${close}`, '1.0'), 'small')
    test.equal(await bodyOf(`HEAD /small VERSION\n${close}`), '')
    test.equal(await bodyOf(`GET /small VERSION\nIf-None-Match: "a"\n${close}`), '')
    test.equal(await bodyOf(`GET /204 VERSION\n${close}`), '')
    test.match((await bodyOf(`GET /chunks VERSION\n${close}`)).replaceAll('\r\n', ' '), /^(?:3 one 3 two|6 onetwo) 0  $/)
  }
  const row = await bodyOf(`GET /small VERSION\nHost: h\n\nGET /long VERSION\nHost: h\n\nGET /small VERSION\n${close}`)
  test.match(row, /^smallHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\ny{40000}HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nsmall$/)
})

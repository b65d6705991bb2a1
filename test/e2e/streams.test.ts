// Bodies that stream to the client and the store at once. A truncated body is never complete, and a client that leaves stops
// nothing.
import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import t from 'tap'
import { open, type Answer } from '../support/client.ts'
import { startOrigin } from '../support/scripted-origin.ts'
import { detail, startProxy, type TestProxy } from '../support/proxy.ts'

const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** Requests the path until it comes from cache: storing may end after the client has its response. */
async function untilStored(house: TestProxy, path: string): Promise<Answer> {
  for (;;) {
    const answer = await house.get(path, { 'Cache-Control': 'only-if-cached' })
    if (answer.status === 200) return answer
  }
}

t.test('a body of 5 MiB reaches client and store byte for byte', async t => {
  const body = randomBytes(5 * 1024 * 1024)
  const house = await startProxy(t, { origin: (_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(body)
  } })
  t.equal(sum((await house.get('/a')).body), sum(body))
  const hit = await house.get('/a')
  t.equal(detail(hit), 'fresh')
  t.equal(sum(hit.body), sum(body))
  t.equal(hit.header('content-length'), String(body.length))
  t.equal((await house.get('/a', { Range: 'bytes=1000000-1000009' })).body.toString('hex'), body.subarray(1_000_000, 1_000_010).toString('hex'))
})

t.test('a small body of every byte there is comes back as it was, whole and in part', async t => {
  const body = Buffer.from(Array.from({ length: 1024 }, (_, i) => i % 256))
  const house = await startProxy(t, { origin: (_, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(body)
  } })
  t.equal(sum((await house.get('/a')).body), sum(body))
  const hit = await house.get('/a')
  t.equal(detail(hit), 'fresh')
  t.equal(sum(hit.body), sum(body))
  t.equal(sum((await house.get('/a', { Range: 'bytes=100-299' })).body), sum(body.subarray(100, 300)))
})

t.test('a chunked body is stored whole, and its length is known afterwards', async t => {
  const house = await startProxy(t, {
    origin: (_, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60' })
      response.write('one ')
      response.end('two')
    },
  })
  const miss = await house.get('/a')
  t.equal(miss.body.toString(), 'one two')
  t.equal(miss.header('transfer-encoding'), 'chunked')
  const hit = await house.get('/a')
  t.equal(hit.body.toString(), 'one two')
  t.equal(hit.header('content-length'), '7')
})

// The guards: onHeadAlone (fill.ts), and for passes onHeadAlone (http-proxy.ts). A pass is relayed at once or once it has
// invalidated.
for (const [method, status, enabled] of [['GET', 200, true], ['GET', 200, false], ['POST', 200, true], ['POST', 404, true], ['PUT', 500, true]] as const) {
  t.test(`the head of the ${status} to ${method}${enabled ? '' : ' on a route without a cache'} reaches the client before there is a body`, async t => {
    let finish: () => void = () => {}
    const house = await startProxy(t, {
      cache: { mode: enabled ? 'cache' : 'bypass' },
      origin: (_, response) => {
        response.writeHead(status, { 'Content-Type': 'text/event-stream' }).flushHeaders()
        finish = () => response.end('data: 1\n\n')
      },
    })
    const text = await new Promise<string>((resolve, reject) => {
      open(house.port, { method, path: '/a' }, response => {
        let came = ''
        finish()
        response.on('data', (chunk: Buffer) => {
          came += chunk.toString()
        })
        response.on('end', () => resolve(came))
      }).on('error', reject)
    })
    t.equal(text, 'data: 1\n\n')
  })
}

t.test("no request waits for another's stream of events, whatever lifetime it has, and it ends when its client leaves", async t => {
  const closed: Promise<unknown>[] = []
  const house = await startProxy(t, {
    origin: (request, response) => {
      closed.push(new Promise(resolve => {
        request.socket.on('close', resolve)
      }))
      response.writeHead(200, { 'Content-Type': 'text/event-stream;charset=utf-8', 'Cache-Control': 'max-age=60' }).flushHeaders()
    },
  })
  const listen = (): Promise<() => void> =>
    new Promise((resolve, reject) => {
      const request = open(house.port, { path: '/a' }, response => {
        response.on('error', () => undefined)
        resolve(() => request.destroy())
      })
      request.on('error', reject)
    })
  const leave = [await listen(), await listen()]
  t.equal(house.origin.requests.length, 2)
  for (const each of leave) each()
  await Promise.all(closed)
})

t.test('the first bytes reach the client before the origin has sent the last', async t => {
  let finish: () => void = () => {}
  const house = await startProxy(t, {
    origin: (_, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60' })
      response.write('first')
      finish = () => response.end('last')
    },
  })
  const whole = await new Promise<string>((resolve, reject) => {
    open(house.port, { path: '/a' }, response => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (text === 'first') finish()
      })
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })
  t.equal(whole, 'firstlast')
})

for (const [framing, fields] of [['a length', { 'Content-Length': '100' }], ['chunks', {}]] as const) {
  t.test(`a truncated response with ${framing} is never complete and is never stored`, async t => {
    const house = await startProxy(t, {
      origin: (_, response) => {
        response.writeHead(200, { 'Cache-Control': 'max-age=60', ...fields })
        response.write('only the beginning', () => response.socket?.destroy())
      },
    })
    const cut = await house.get('/a')
    t.equal(cut.complete, false)
    t.equal((await house.get('/a', { 'Cache-Control': 'only-if-cached' })).status, 504)
  })
}

t.test('a client that leaves does not stop the fill', async t => {
  let finish: () => void = () => {}
  const house = await startProxy(t, {
    origin: (_, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Length': '9' })
      response.write('first')
      finish = () => response.end('last')
    },
  })
  await new Promise<void>(resolve => {
    const request = open(house.port, { path: '/a' }, response => {
      response.on('error', () => undefined)
      response.once('data', () => request.destroy())
      response.once('close', resolve)
    })
    request.on('error', () => undefined)
  })
  finish()
  t.equal((await untilStored(house, '/a')).body.toString(), 'firstlast')
  t.equal(house.origin.requests.length, 1)
})

t.test('a client that leaves before the origin has begun does not stop the fill, with or without coalescing', async t => {
  for (const coalesce of [true, false]) {
    let finish: () => void = () => {}
    const house = await startProxy(t, {
      origin: (_, response) => {
        finish = () => response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('whole')
      },
      config: { cache: { coalesce } },
    })
    const leaving = connect(house.port, '127.0.0.1', () => leaving.write(`GET /a HTTP/1.1\r\nHost: 127.0.0.1:${house.port}\r\n\r\n`))
    await house.origin.nth(1)
    leaving.destroy()
    // Over another connection, and so behind the end of that one.
    await house.admin('/v1/stats')
    finish()
    t.equal((await untilStored(house, '/a')).body.toString(), 'whole')
  }
})

t.test('a fetch that its clients have left is aborted where others would have to wait for its slot', async t => {
  const origin = await startOrigin((request, response) => {
    if (request.url === '/wanted') response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('wanted')
  })
  t.teardown(() => origin.close())
  const house = await startProxy(t, { origin, config: { origins: { api: { servers: [origin.url], maxConnections: 1, timeouts: { headersMs: 3_600_000 } } } } })
  const leaving = ['/first', '/queued'].map(path => {
    const socket = connect(house.port, '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${house.port}\r\n\r\n`))
    return socket
  })
  await origin.nth(1)
  for (const socket of leaving) socket.destroy()
  t.equal((await house.get('/wanted')).body.toString(), 'wanted')
})

t.test('a client that leaves a response that may not be stored takes the fetch with it', async t => {
  let dropped: () => void = () => {}
  const gone = new Promise<void>(resolve => {
    dropped = resolve
  })
  const house = await startProxy(t, {
    origin: (_, response) => {
      response.writeHead(200, { 'Cache-Control': 'no-store' })
      response.write('first')
      response.on('close', dropped)
    },
  })
  const request = open(house.port, { path: '/a' }, response => {
    response.on('error', () => undefined)
    // Without a reset it may be a client that has only ended its side (proxy/half-closed).
    response.once('data', () => response.socket.resetAndDestroy())
  })
  request.on('error', () => undefined)
  await t.resolves(gone, 'the origin sees its connection closed')
})

t.test('a body beyond maxEntryBytes is passed on whole and not stored, announced or not', async t => {
  const body = randomBytes(300_000)
  const house = await startProxy(t, {
    origin: (request, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', ...(request.url === '/announced' ? { 'Content-Length': String(body.length) } : {}) })
      response.write(body.subarray(0, 200_000))
      response.end(body.subarray(200_000))
    },
    cache: { maxEntryBytes: 100_000 },
  })
  for (const path of ['/announced', '/chunked']) {
    const answer = await house.get(path)
    t.equal(answer.complete, true)
    t.equal(sum(answer.body), sum(body))
    t.equal((await house.get(path, { 'Cache-Control': 'only-if-cached' })).status, 504)
  }
})

t.test('an empty body and a 204 are served from cache as they were', async t => {
  const house = await startProxy(t, { origin: (request, response) => {
    response.writeHead(request.url === '/none' ? 204 : 200, { 'Cache-Control': 'max-age=60' }).end()
  } })
  for (const [path, status] of [['/none', 204], ['/empty', 200]] as const) {
    t.equal((await house.get(path)).status, status)
    const hit = await house.get(path)
    t.equal(hit.status, status)
    t.equal(detail(hit), 'fresh')
    t.equal(hit.body.length, 0)
  }
})

for (const method of ['GET', 'POST']) {
  t.test(`RFC 9112 §8: for an HTTP/1.0 client, which knows no chunks, a truncated response to ${method} ends in a reset`, async t => {
    const house = await startProxy(t, {
      origin: (_, response) => {
        response.writeHead(200, { 'Cache-Control': 'max-age=60' })
        response.write('only the beginning', () => response.socket?.destroy())
      },
    })
    const end = await new Promise<string>(resolve => {
      const socket = connect(house.port, '127.0.0.1', () => socket.write(`${method} /a HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n`))
      socket.resume()
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
      socket.on('end', () => resolve('an orderly end'))
    })
    t.equal(end, 'ECONNRESET')
  })
}

t.test('a client that leaves a response that waits behind another holds nothing up', async t => {
  const body = randomBytes(1024 * 1024)
  let finish: () => void = () => {}
  const house = await startProxy(t, {
    origin: (request, response) => {
      if (request.url === '/slow') finish = () => response.end()
      else response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(body)
    },
  })
  const socket = connect(house.port, '127.0.0.1', () => socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n'))
  await house.origin.nth(2)
  socket.destroy()
  t.equal(sum((await house.get('/a', { Host: 'x' })).body), sum(body))
  finish()
})

t.test("a client that leaves while it waits for another's fetch does not become the one that others wait for", async t => {
  const body = randomBytes(1024 * 1024)
  let count = 0
  let fail: () => void = () => {}
  const house = await startProxy(t, {
    origin: (_, response) => {
      if (++count === 1) fail = () => response.socket?.destroy()
      else response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(body)
    },
  })
  const waiting = async (): Promise<number> => JSON.parse((await house.admin('/v1/stats')).body.toString()).waits
  const first = house.get('/a')
  await house.origin.nth(1)
  const leaving = connect(house.port, '127.0.0.1', () => leaving.write(`GET /a HTTP/1.1\r\nHost: 127.0.0.1:${house.port}\r\n\r\n`))
  while (await waiting() === 0);
  await new Promise<void>(resolve => {
    leaving.on('close', () => resolve())
    leaving.destroy()
  })
  // Over another connection, and so behind the end of that one.
  await house.get('/other', {}, { method: 'HEAD' })
  count = 1
  fail()
  t.equal((await first).status, 502)
  t.equal(sum((await house.get('/a')).body), sum(body))
})

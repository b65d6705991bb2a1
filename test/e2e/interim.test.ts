// Messages before and after the final response: 1xx and trailers, RFC 9110 §15.2 and §6.5.
import t from 'tap'
import { readResponses, statusOf } from '../hostile/wire.ts'
import { rawRequest } from '../support/client.ts'
import { startProxy } from '../support/proxy.ts'

const ask = (target: string, version = '1.1'): string => `GET ${target} HTTP/${version}\r\nHost: x\r\nConnection: close\r\n\r\n`

t.test('103 and 102 reach the client that waits for the origin, and no other', async t => {
  const house = await startProxy(t, {
    origin: (_, response) => {
      response.writeProcessing()
      response.writeEarlyHints({ 'link': ['</a.css>; rel=preload; as=style', '</b,c.js>; rel=preload'], 'X-Other': '1', 'Cache-Tag': 'secret' })
      response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('done')
    },
  })
  const miss = await rawRequest(house.port, ask('/a'))
  t.match(miss,
    /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload; as=style, <\/b,c\.js>; rel=preload\r\nx-other: 1\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  t.match(await rawRequest(house.port, ask('/a')), /^HTTP\/1\.1 200 OK\r\n/, 'a hit has none')
  t.match(await rawRequest(house.port, ask('/b', '1.0')), /^HTTP\/1\.1 200 OK\r\n/, 'HTTP/1.0 knows none')
})

t.test('a response that waits for its turn sends nothing ahead of its turn, nor amid another response', async t => {
  let answerFirst = (): void => undefined
  const house = await startProxy(t, {
    origin: (request, response) => {
      if (request.url === '/first') {
        answerFirst = () => response.end('first')
        return
      }
      if (request.method === 'GET') {
        response.writeEarlyHints({ link: '</a.css>' })
        response.writeProcessing()
      }
      request.resume().on('end', () => {
        response.end('second')
        // When the second response has reached the proxy, or nearly.
        setTimeout(answerFirst, 50)
      })
    },
  })
  for (const second of ['GET /hints HTTP/1.1\r\nHost: x\r\n', 'POST /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n',
    'GET /expected HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n']) {
    const heard = await rawRequest(house.port, `GET /first HTTP/1.1\r\nHost: x\r\n\r\n${second}Connection: close\r\n\r\n${second.startsWith('POST') ? 'abc' : ''}`)
    const { messages, fault } = readResponses(heard)
    t.strictSame([fault, messages.filter(message => statusOf(message) >= 200).map(({ body }) => body)], [undefined, ['first', 'second']], second)
  }
})

t.test('a client whose request is refused gets no 100 before it', async t => {
  const house = await startProxy(t, { origin: (_, response) => response.end() })
  const expecting = (host: string): string => `POST /a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`
  t.match(await rawRequest(house.port, expecting('a/b')), /^HTTP\/1\.1 400 /)
  t.match(await rawRequest(house.port, `${expecting('a')}abc`), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
})

t.test('a hint that cannot be read is left out', async t => {
  const house = await startProxy(t, {
    origin: (request, response) => {
      request.socket.write('HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\n')
      response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('done')
    },
  })
  t.match(await rawRequest(house.port, ask('/a')), /^HTTP\/1\.1 200 OK\r\n/)
})

t.test('trailers reach the client as trailers, and are not kept', async t => {
  const house = await startProxy(t, {
    origin: (_, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Trailer': 'X-Sum' })
      response.write('abc')
      response.addTrailers({ 'X-Sum': '1', 'Cache-Tag': 'secret', 'Set-Cookie': 'a=b', 'Vary': '*' })
      response.end()
    },
  })
  const miss = await rawRequest(house.port, ask('/a'))
  t.match(miss, /\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n$/)
  t.notMatch(miss, /trailer:/i)
  t.notMatch(await rawRequest(house.port, ask('/a')), /x-sum/i)
  t.match(await rawRequest(house.port, ask('/b', '1.0')), /\r\n\r\nabc$/, 'without chunks there is no place for them')
})

t.test('a passed request has its 1xx responses and its trailers too', async t => {
  const house = await startProxy(t, {
    origin: (_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' })
      response.writeHead(200)
      response.write('abc')
      response.addTrailers({ 'X-Sum': '1', 'Set-Cookie': 'a=b' })
      response.end()
    },
  })
  const passed = await rawRequest(house.port, 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi')
  t.match(passed, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  t.match(passed, /\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n$/)
  const old = await rawRequest(house.port, 'POST /a HTTP/1.0\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi')
  t.match(old, /^HTTP\/1\.1 200 OK\r\n/)
  t.match(old, /\r\n\r\nabc$/)
})

t.test('a 100 that no client expects is skipped, however it comes', async t => {
  const final = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok'
  const unasked = 'HTTP/1.1 100 Continue\r\n\r\n'
  const ways: Record<string, string[]> = {
    'at once': [unasked + final],
    'twice': [unasked + unasked + final],
    'with fields, before a 103': ['HTTP/1.1 100 Go On\r\nX: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n', unasked, final],
    'byte by byte': [...(unasked + final)],
    'without a phrase': [`HTTP/1.1 100\r\n\r\n${final}`],
    'not at all': [final],
  }
  for (const [way, parts] of Object.entries(ways)) {
    const house = await startProxy(t, {
      origin: async (request) => {
        for (const part of parts) {
          request.socket.write(part)
          if (parts.length > 1)
            await new Promise(resolve => {
              setImmediate(resolve)
            })
        }
      },
    })
    for (const method of ['GET', 'POST']) {
      // Twice, over one connection.
      for (let times = 0; times < 2; times++) {
        const answer = await rawRequest(house.port, `${method} /${method}${times} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
        t.match(answer, /HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/, `${way}: ${method}`)
        t.notMatch(answer, / 100 /)
      }
    }
  }
})

// What comes before and after an answer: 1xx and trailers, RFC 9110 §15.2 and §6.5.
import t from 'tap'
import { rawRequest } from '../support/client.ts'
import { startHouse } from '../support/house.ts'

const ask = (target: string, version = '1.1'): string => `GET ${target} HTTP/${version}\r\nHost: x\r\nConnection: close\r\n\r\n`

t.test('103 and 102 reach the client who waits for the origin, and nobody else', async t => {
  const house = await startHouse(t, {
    origin: (_, response) => {
      response.writeProcessing()
      response.writeEarlyHints({ 'link': ['</a.css>; rel=preload; as=style', '</b,c.js>; rel=preload'], 'X-Other': '1' })
      response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('done')
    },
  })
  const miss = await rawRequest(house.port, ask('/a'))
  t.match(miss, /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload; as=style, <\/b,c\.js>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  t.match(await rawRequest(house.port, ask('/a')), /^HTTP\/1\.1 200 OK\r\n/, 'a hit has none')
  t.match(await rawRequest(house.port, ask('/b', '1.0')), /^HTTP\/1\.1 200 OK\r\n/, 'HTTP/1.0 knows none')
})

t.test('a hint that cannot be read is left out', async t => {
  const house = await startHouse(t, {
    origin: (request, response) => {
      request.socket.write('HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\n')
      response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('done')
    },
  })
  t.match(await rawRequest(house.port, ask('/a')), /^HTTP\/1\.1 200 OK\r\n/)
})

t.test('trailers reach the client as trailers, and are not kept', async t => {
  const house = await startHouse(t, {
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

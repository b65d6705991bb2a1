// Response heads up to `maxHeaderBytes` pass whole, over each protocol and in each kind of message; larger ones are a 502.
import t from 'tap'
import { startHttp2Origin } from '../support/http2-origin.ts'
import { startCannedOrigin, startOrigin } from '../support/scripted-origin.ts'
import { rawRequest } from '../support/client.ts'
import { startProxy } from '../support/proxy.ts'
import { fetchFrom, originsOf } from './origins-under-test.ts'

const tags = (bytes: number): string => Array.from({ length: Math.floor(bytes / 40) }, (_, i) => `tag-${String(i).padStart(34, '0')}`).join(',')

// The guards: maxHeaderBytes of Http1Reader, maxHeaderListSize and the check of a section over HTTP/2.
for (const http2 of [false, true]) {
  t.test(`a head passes if it fits into maxHeaderBytes (${http2 ? 'HTTP/2' : 'HTTP/1.1'})`, async (t) => {
    let long = ''
    const origin = http2
      ? await startHttp2Origin((stream) => stream.respond({ ':status': 200, 'cache-tag': [long.slice(0, long.length / 2), long.slice(long.length / 2)] }, { endStream: true }), {
        secure: false,
      })
      : await startOrigin((_request, response) => response.writeHead(200, { 'Cache-Tag': [long.slice(0, long.length / 2), long.slice(long.length / 2)] }).end())
    const few = originsOf({ servers: [origin.url], http2, maxHeaderBytes: 20_000 })
    const many = originsOf({ servers: [origin.url], http2, maxHeaderBytes: 65_536 })
    t.teardown(async () => {
      await few.close()
      await many.close()
      await origin.close()
    })
    for (const bytes of [1_000, 15_000, 17_000, 24_576, 60_000]) {
      long = 'x'.repeat(bytes)
      const whole = await fetchFrom(many)
      t.equal(whole.fields.filter((text) => text.startsWith('x')).join(''), long, `${bytes}`)
      t.equal((await fetchFrom(few)).error?.code, bytes > 20_000 ? 'ORIGIN_FIELDS_TOO_LARGE' : undefined, `${bytes}`)
    }
    t.same(few.status().map(({ healthy, consecutiveFailures, pending }) => [healthy, consecutiveFailures, pending]), [[true, 0, 0]])
  })
}

t.test('the same holds for an interim response and for trailers', async (t) => {
  const long = 'x'.repeat(30_000)
  for (const [name, bytes] of [
    ['an interim response', `HTTP/1.1 103 Early Hints\r\nLink: ${long}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`],
    ['trailers', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ${long}\r\n\r\n`],
  ] as const) {
    const origin = await startCannedOrigin(bytes)
    for (const maxHeaderBytes of [65_536, 16_384]) {
      const origins = originsOf({ servers: [origin.url], maxHeaderBytes })
      const { error, status } = await fetchFrom(origins)
      if (maxHeaderBytes > 30_000) t.same([error, status], [undefined, 200], name)
      else t.ok(error !== undefined, name)
      await origins.close()
    }
    await origin.close()
  }
})

// The guards: maxHeaderSize of the handshake, and HPE_HEADER_OVERFLOW in failures.ts.
t.test('the same holds for the response to a WebSocket handshake, and its server is not blamed', async (t) => {
  const origin = await startOrigin((_request, response) => response.writeHead(403, { 'X-Long': 'x'.repeat(30_000) }).end())
  t.teardown(() => origin.close())
  for (const [maxHeaderBytes, expected] of [[65_536, 403], [16_384, 'ORIGIN_FIELDS_TOO_LARGE']] as const) {
    const origins = originsOf({ servers: [origin.url], maxHeaderBytes })
    const got = await new Promise<unknown>((resolve) => {
      origins.upgrade({ origin: 'api', target: '/', fields: ['host', 'a', 'connection', 'upgrade', 'upgrade', 'websocket'], protocol: 'websocket' }, { onSwitched: resolve,
        onRefused: resolve, onError: ({ code }) => resolve(code) })
    })
    t.equal(got, expected)
    t.same(origins.status().map(({ consecutiveFailures }) => consecutiveFailures), [0])
    await origins.close()
  }
})

t.test('a response with 24 KiB of tags is stored and purged by its last tag, through the whole proxy', async (t) => {
  const long = tags(24_576)
  const house = await startProxy(t, { origin: (_request, response) => response.writeHead(200, { 'Cache-Tag': long, 'Cache-Control': 'max-age=60' }).end('here') })
  const status = async (): Promise<string | undefined> =>
    /cache-status: ([^\r]*)/i.exec(await rawRequest(house.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))?.[1]
  t.match(await status(), /stored/)
  t.match(await status(), /hit/)
  t.equal((await house.purge({ tags: [long.split(',').at(-1)] })).status, 200)
  t.match(await status(), /stored/)
})
